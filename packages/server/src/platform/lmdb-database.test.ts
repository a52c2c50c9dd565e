import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BufferedBackend } from "../backend/buffered-backend.js";
import { tableNames } from "../backend/database.js";
import { nodeClock } from "./clock.js";
import { nodeDigest } from "./digest.js";
import { openLmdbDatabase } from "./lmdb-database.js";

async function withBackend(use: (open: () => Promise<BufferedBackend>) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-lmdb-"));
  try {
    await use(
      async () =>
        new BufferedBackend({
          clock: nodeClock,
          digest: nodeDigest,
          database: await openLmdbDatabase(directory),
          onFailure: (error) => {
            throw error;
          },
        }),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("what is sealed is there after reopening, with its index", () =>
  withBackend(async (open) => {
    const first = await open();
    first.putRecord(2, 0, false, bytes("a"));
    first.putRecord(3, 0, true, bytes("b"));
    first.put("lease", bytes("l"), bytes("1"));
    first.put("alarm", bytes("m"), new Uint8Array(0));
    first.sealEntry(7, 3);
    await first.whenDurable(7);
    expect(first.getRecord(2, 0)).toEqual(bytes("a"));
    expect(first.durableIndex).toBe(7);
    first.deleteRecord(2, 0, false);
    first.sealEntry(8, 3);
    await first.close();
    const second = await open();
    expect(second.durableIndex).toBe(8);
    expect(second.getRecord(2, 0)).toBeUndefined();
    expect(second.get("lease", bytes("l"))).toEqual(bytes("1"));
    expect(second.get("alarm", bytes("m"))).toHaveLength(0);
    expect([...(second.get("meta", bytes("consistent_index")) ?? [])]).toEqual([0, 0, 0, 0, 0, 0, 0, 8]);
    const seen: unknown[] = [];
    second.scanRecords(0, 0, 100, (main, sub, tombstone, value) => {
      seen.push([main, sub, tombstone, new TextDecoder().decode(value)]);
      return true;
    });
    expect(seen).toEqual([[3, 0, true, "b"]]);
    expect(second.sizeBytes()).toBeGreaterThan(second.sizeInUseBytes() - 1);
    await second.close();
  }));

test("an entry that is not sealed does not reach the disk", () =>
  withBackend(async (open) => {
    const first = await open();
    first.put("auth", bytes("k"), bytes("1"));
    first.sealEntry(1, 1);
    await first.whenDurable(1);
    first.put("auth", bytes("k"), bytes("2"));
    first.requestCommit();
    await first.close();
    const second = await open();
    expect(second.get("auth", bytes("k"))).toEqual(bytes("1"));
    expect(second.durableIndex).toBe(1);
    await second.close();
  }));

test("keys longer than the database takes are found and scanned in order", () =>
  withBackend(async (open) => {
    const first = await open();
    const long = (last: number): Uint8Array => new Uint8Array(5000).fill(97).fill(last, 4999);
    first.put("authUsers", long(99), bytes("c"));
    first.put("authUsers", long(98), bytes("b"));
    first.put("authUsers", bytes("a"), bytes("short"));
    first.put("authUsers", bytes("b"), bytes("last"));
    first.sealEntry(1, 1);
    await first.whenDurable(1);
    first.delete("authUsers", long(98));
    first.sealEntry(2, 1);
    await first.close();
    const second = await open();
    expect(second.get("authUsers", long(99))).toEqual(bytes("c"));
    expect(second.get("authUsers", long(98))).toBeUndefined();
    const values: string[] = [];
    second.scan("authUsers", bytes("a"), undefined, (_key, value) => values.push(new TextDecoder().decode(value)) > 0);
    expect(values).toEqual(["short", "c", "last"]);
    await second.close();
  }));

test("a pinned read keeps seeing what it saw, however much is committed and reset", () =>
  withBackend(async (open) => {
    const backend = await open();
    for (let i = 0; i < 50; i++) backend.put("lease", bytes(`l${String(i).padStart(2, "0")}`), bytes("old"));
    backend.sealEntry(1, 1);
    const pinned = await backend.pinDurable(1);
    const lease = tableNames.indexOf("lease");
    for (let round = 2; round < 6; round++) {
      for (let i = 0; i < 60; i++) backend.put("lease", bytes(`l${String(i).padStart(2, "0")}`), bytes(`new${round}`));
      backend.sealEntry(round, 1);
      await backend.whenDurable(round);
      expect(pinned.get(lease, bytes("l07"))).toEqual(bytes("old"));
      const seen: string[] = [];
      pinned.scan(lease, bytes("l"), bytes("l48"), (_key, value) => seen.push(new TextDecoder().decode(value)) > 0);
      expect(seen).toEqual(Array.from({ length: 48 }, () => "old"));
      expect(backend.get("lease", bytes("l07"))).toEqual(bytes(`new${round}`));
    }
    pinned.release();
    await backend.close();
  }));

test("a commit that may not fit on the disk fails before it is begun, and loses nothing that is there", async () => {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-lmdb-"));
  const open = async (freeBytesMin: number, onFailure: (error: Error) => void): Promise<BufferedBackend> => {
    const database = await openLmdbDatabase(directory, { freeBytesMin });
    return new BufferedBackend({ clock: nodeClock, digest: nodeDigest, database, onFailure });
  };
  const fail = (error: Error): void => {
    throw error;
  };
  try {
    const first = await open(0, fail);
    first.put("alarm", bytes("a"), bytes("1"));
    first.sealEntry(1, 1);
    await first.whenDurable(1);
    await first.close();
    const failures: Error[] = [];
    const full = await open(2 ** 60, (error) => failures.push(error));
    full.put("alarm", bytes("a"), bytes("2"));
    full.sealEntry(2, 1);
    await expect(full.whenDurable(2)).rejects.toThrow("ENOSPC: no space left on device");
    expect(failures).toMatchObject([{ name: "DiskError", code: "ENOSPC", path: directory }]);
    await full.close();
    const second = await open(0, fail);
    expect(second.durableIndex).toBe(1);
    expect(second.get("alarm", bytes("a"))).toEqual(bytes("1"));
    await second.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("large commits one after the other, through the same buffers, write what each was given", () =>
  withBackend(async (open) => {
    const first = await open();
    const valueBytes = 200_000;
    const recordsPerCommit = 40;
    const commits = 3;
    for (let main = 2; main < 2 + recordsPerCommit * commits; main++) {
      first.putRecord(main, 0, false, new Uint8Array(valueBytes).fill(main));
      if (main % recordsPerCommit !== 1) continue;
      first.sealEntry(main, 1);
      await first.whenDurable(main);
    }
    await first.close();
    const second = await open();
    for (let main = 2; main < 2 + recordsPerCommit * commits; main++) {
      const value = second.getRecord(main, 0);
      expect([value?.length, value?.[0], value?.[valueBytes - 1]]).toEqual([valueBytes, main, main]);
    }
    await second.close();
  }));
