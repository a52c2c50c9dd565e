/** The database in memory does what the backend above it relies on. */

import { backendContract } from "@etcd-ts/store/testing";
import { expect, test } from "vitest";
import { BatchWriter } from "../backend/batch.js";
import { BufferedBackend } from "../backend/buffered-backend.js";
import { type Batch, tableNames } from "../backend/database.js";
import { writeRevisionKey } from "../backend/revision-key.js";
import type { Clock } from "../env.js";
import { nodeDigest } from "../platform/digest.js";
import { MemoryDatabase } from "./memory-database.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const keyTable = tableNames.indexOf("key");
const leaseTable = tableNames.indexOf("lease");

function revisionKey(main: number, sub: number, tombstone: boolean): Uint8Array {
  const key = new Uint8Array(18);
  return key.slice(0, writeRevisionKey(key, main, sub, tombstone));
}

backendContract("memory", () => {
  const database = new MemoryDatabase(turn);
  const clock = { setTimer: () => ({ cancel: () => undefined }) } as unknown as Clock;
  const open = (): BufferedBackend =>
    new BufferedBackend({
      clock,
      digest: nodeDigest,
      database,
      onFailure: (error) => {
        throw error;
      },
    });
  let backend = open();
  return {
    backend,
    commit: async () => {
      backend.requestCommit();
      const index = backend.get("meta", bytes("consistent_index"));
      if (index !== undefined) await backend.whenDurable(Number(new DataView(index.slice().buffer).getBigUint64(0)));
    },
    crash: async () => {
      backend = open();
      return backend;
    },
    close: () => backend.close(),
  };
});

function rowsOf(lo: Uint8Array, hi: Uint8Array | undefined, database: Pick<MemoryDatabase, "scan">): string[] {
  const rows: string[] = [];
  database.scan(keyTable, lo, hi, (key, value) => {
    rows.push(`${Buffer.from(key).toString("hex")}=${new TextDecoder().decode(value)}`);
    return true;
  });
  return rows;
}

test("bounds of a scan are bytes, whole keys or not", async () => {
  const database = new MemoryDatabase(turn);
  const keys = [1, 2, 3].flatMap((main) => [0, 1].map((sub) => revisionKey(main, sub, main === 2)));
  const writer = new BatchWriter();
  for (const key of keys) writer.add(keyTable, key, bytes("v"));
  await database.commit(writer.upTo(writer.place));
  const compare = (left: Uint8Array, right: Uint8Array): number => Buffer.compare(left, right);
  const bounds = [
    ...keys,
    revisionKey(2, 0, false),
    revisionKey(3, 1, true),
    revisionKey(3, 0, false).slice(0, 8),
    new Uint8Array(0),
  ];
  for (const lo of bounds) {
    for (const hi of [...bounds, undefined]) {
      const expected = keys.filter((key) => compare(key, lo) >= 0 && (hi === undefined || compare(key, hi) < 0));
      expect(rowsOf(lo, hi, database)).toEqual(expected.map((key) => `${Buffer.from(key).toString("hex")}=v`));
    }
  }
});

test("what is pinned are whole transactions, and stays", async () => {
  const database = new MemoryDatabase(turn);
  const batch = (value: string): Batch => {
    const writer = new BatchWriter();
    for (let main = 1; main <= 2500; main++) writer.add(keyTable, revisionKey(main, 0, false), bytes(value));
    writer.add(leaseTable, bytes("last"), bytes(value));
    return writer.upTo(writer.place);
  };
  await database.commit(batch("old"));
  let isDone = false;
  const committing = database.commit(batch("new")).then(() => {
    isDone = true;
  });
  await turn();
  expect(isDone).toBe(false);
  const pinned = database.pin();
  await committing;
  await database.commit(batch("newer"));
  expect(pinned.get(leaseTable, bytes("last"))).toEqual(bytes("new"));
  const rows = rowsOf(new Uint8Array(0), undefined, pinned);
  expect(rows).toHaveLength(2500);
  expect(rows.every((row) => row.endsWith("=new"))).toBe(true);
});

test("deleted rows give their bytes back to the size in use", async () => {
  const database = new MemoryDatabase(turn);
  const writer = new BatchWriter();
  writer.add(leaseTable, bytes("a"), new Uint8Array(1000));
  const full = await database.commit(writer.upTo(writer.place));
  expect(full.sizeInUseBytes).toBeGreaterThan(1000);
  const remover = new BatchWriter();
  remover.add(leaseTable, bytes("a"), undefined);
  expect(await database.commit(remover.upTo(remover.place))).toEqual({
    sizeBytes: full.sizeBytes,
    sizeInUseBytes: 0,
  });
});
