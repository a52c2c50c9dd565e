import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import { bucketNames } from "@etcd-ts/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BufferedBackend } from "../backend/buffered-backend.js";
import { createNodeEnv } from "../platform/env.js";
import { hashDatabase } from "./database-hash.js";

const env = createNodeEnv();
const bytes = bytesFromLatin1;
let directory: string;
let backend: BufferedBackend;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "etcd-ts-hash-"));
  const onFailure = (error: Error): never => {
    throw error;
  };
  const database = await env.openDatabase(directory);
  backend = new BufferedBackend({ clock: env.clock, digest: env.digest, database, onFailure });
  for (let main = 2; main < 3000; main++) backend.putRecord(main, 0, main % 7 === 0, bytes(`value ${main}`));
  backend.put("authUsers", bytes("u".repeat(3000)), bytes("a name too long for the database"));
  backend.put("authUsers", bytes("v"), bytes("v"));
  backend.put("meta", bytes("scheduledCompactRev"), bytes("x"));
  backend.sealEntry(1, 1);
});

afterEach(async () => {
  await backend.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What etcd's Hash does, over the rows as they are now. */
function expectedHash(): number {
  const { crc32c } = env.digest;
  let crc = 0;
  for (const bucket of bucketNames) {
    crc = crc32c(crc, bytes(bucket));
    backend.scan(bucket, new Uint8Array(0), undefined, (key, value) => {
      if (["consistent_index", "term", "storageVersion"].includes(latin1FromBytes(key))) return true;
      crc = crc32c(crc32c(crc, key), value);
      return true;
    });
  }
  return crc;
}

test("is that of all rows at one moment, whatever is written meanwhile", async () => {
  const expected = expectedHash();
  const pinned = await backend.pinDurable(1);
  const hash = hashDatabase(env, pinned, new AbortController().signal);
  backend.putRecord(2999, 0, false, bytes("later"));
  backend.deleteRecord(2998, 0, false);
  backend.sealEntry(2, 1);
  await backend.whenDurable(2);
  expect(await hash).toBe(expected);
  expect(expectedHash()).not.toBe(expected);
  backend.sealEntry(3, 2);
  await backend.whenDurable(3);
  expect(await hashDatabase(env, await backend.pinDurable(3), new AbortController().signal)).toBe(expectedHash());
});

test("ends when the database goes away", async () => {
  const aborted = new AbortController();
  // Each look at the clock ends a slice.
  let now = 0;
  const clock = { ...env.clock, now: () => (now += 10) };
  const hash = hashDatabase({ ...env, clock }, await backend.pinDurable(1), aborted.signal);
  aborted.abort();
  await expect(hash).rejects.toThrow("given up");
});
