/**
 * What every implementation of the `Backend` port must do. Run it on an implementation from that one's own test file.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import { afterEach, describe, expect, test } from "vitest";
import { readApplied } from "../apply/applied.js";
import { type Backend, type BucketName, bucketNames } from "../backend.js";
import { encodeRevisionKey } from "../mvcc/revision-key.js";

/** A backend under test and what only its implementation can do to it. */
export interface BackendUnderTest {
  readonly backend: Backend;
  /** Commits everything that is sealed; ends when it is durable. */
  commit(): void | Promise<void>;
  /** Loses everything that is not durable, as a power loss does, and returns the backend a new process would open. */
  crash(): Backend | Promise<Backend>;
  /** Releases what the backend holds. */
  close(): void | Promise<void>;
}

type Row = [main: number, sub: number, tombstone: boolean, value: string];

const bytes = bytesFromLatin1;
const text = latin1FromBytes;

export function backendContract(name: string, make: () => BackendUnderTest | Promise<BackendUnderTest>): void {
  describe(`backend contract: ${name}`, () => {
    const opened: BackendUnderTest[] = [];

    async function open(): Promise<BackendUnderTest> {
      const made = await make();
      opened.push(made);
      return made;
    }

    afterEach(async () => {
      for (const made of opened.splice(0)) await made.close();
    });

    describe("rows of any bucket", () => {
      test("are read back as soon as they are written, and gone as soon as they are deleted", async () => {
        const { backend } = await open();
        for (const bucket of plainBuckets) {
          expect(backend.get(bucket, bytes("k"))).toBeUndefined();
          backend.put(bucket, bytes("k"), bytes(`value in ${bucket}`));
          expect(text(storedIn(backend, bucket, "k"))).toBe(`value in ${bucket}`);
          backend.put(bucket, bytes("k"), bytes(""));
          expect(backend.get(bucket, bytes("k"))).toEqual(bytes(""));
          backend.delete(bucket, bytes("k"));
          expect(backend.get(bucket, bytes("k"))).toBeUndefined();
          backend.delete(bucket, bytes("k"));
        }
      });

      test("are read back after they were committed, too", async () => {
        const { backend, commit } = await open();
        backend.put("lease", bytes("kept"), bytes("1"));
        backend.put("lease", bytes("changed"), bytes("1"));
        backend.put("lease", bytes("deleted"), bytes("1"));
        backend.sealEntry(1, 1);
        await commit();
        backend.put("lease", bytes("changed"), bytes("2"));
        backend.delete("lease", bytes("deleted"));
        backend.put("lease", bytes("added"), bytes("3"));
        expect(scanAll(backend, "lease")).toEqual(["added=3", "changed=2", "kept=1"]);
        expect(backend.get("lease", bytes("deleted"))).toBeUndefined();
        expect(text(storedIn(backend, "lease", "changed"))).toBe("2");
      });

      test("do not keep the bytes they were given", async () => {
        const { backend } = await open();
        const key = bytes("key");
        const value = bytes("value");
        backend.put("auth", key, value);
        key.fill(0);
        value.fill(0);
        expect(scanAll(backend, "auth")).toEqual(["key=value"]);
      });

      test("are scanned in byte order within half-open bounds", async () => {
        const { backend, commit } = await open();
        const keys = ["b", "a", "\xff", "\x7f", "\x80", "aa", "a\0"];
        for (const key of keys.slice(0, 4)) backend.put("cluster", bytes(key), bytes("x"));
        backend.sealEntry(1, 1);
        await commit();
        for (const key of keys.slice(4)) backend.put("cluster", bytes(key), bytes("x"));
        expect(scanKeys(backend, "cluster", "", undefined)).toEqual(["a", "a\0", "aa", "b", "\x7f", "\x80", "\xff"]);
        expect(scanKeys(backend, "cluster", "a\0", "b")).toEqual(["a\0", "aa"]);
        expect(scanKeys(backend, "cluster", "b", "b")).toEqual([]);
        expect(scanKeys(backend, "cluster", "c", "a")).toEqual([]);
        expect(scanKeys(backend, "cluster", "\x80", undefined)).toEqual(["\x80", "\xff"]);
      });

      test("a scan ends when the visitor says so", async () => {
        const { backend } = await open();
        for (const key of ["a", "b", "c"]) backend.put("alarm", bytes(key), bytes(""));
        const seen: string[] = [];
        backend.scan("alarm", bytes(""), undefined, (key) => {
          seen.push(text(key));
          return seen.length < 2;
        });
        expect(seen).toEqual(["a", "b"]);
      });
    });

    describe("records", () => {
      test("are found by revision; a tombstone is no record", async () => {
        const { backend } = await open();
        backend.putRecord(2, 0, false, bytes("first"));
        backend.putRecord(2, 1, true, bytes("gone"));
        expect(text(backend.getRecord(2, 0) ?? bytes("missing"))).toBe("first");
        expect(backend.getRecord(2, 1)).toBeUndefined();
        expect(backend.getRecord(3, 0)).toBeUndefined();
      });

      test("are the bucket `key` under etcd's byte keys", async () => {
        const { backend } = await open();
        backend.putRecord(2, 0, false, bytes("first"));
        backend.putRecord(2, 1, true, bytes("gone"));
        expect(text(valueOfKey(backend, encodeRevisionKey(2, 0)))).toBe("first");
        expect(text(valueOfKey(backend, encodeRevisionKey(2, 1, true)))).toBe("gone");
        expect(backend.get("key", encodeRevisionKey(2, 1))).toBeUndefined();
        const keys: string[] = [];
        backend.scan("key", bytes(""), undefined, (key) => {
          keys.push(text(key));
          return true;
        });
        expect(keys).toEqual([text(encodeRevisionKey(2, 0)), text(encodeRevisionKey(2, 1, true))]);
      });

      test("are scanned in revision order, also across what is committed and what is not", async () => {
        const { backend, commit } = await open();
        const rows: Row[] = [];
        // Mains that need one, two and five bytes; subs that do not sort as text.
        for (const main of [2, 3, 255, 256, 70_000, 2 ** 40]) {
          for (const sub of [0, 1, 9, 10, 300]) rows.push([main, sub, sub === 9, `${main}/${sub}`]);
        }
        const half = Math.floor(rows.length / 2);
        for (const row of rows.slice(0, half)) putRow(backend, row);
        backend.sealEntry(1, 1);
        await commit();
        for (const row of rows.slice(half)) putRow(backend, row);
        expect(scanRows(backend, 0, 0, Number.MAX_SAFE_INTEGER)).toEqual(rows);
        expect(scanRows(backend, 3, 9, 256)).toEqual(
          rows.filter(([main, sub]) => (main === 3 && sub >= 9) || main === 255),
        );
        expect(scanRows(backend, 256, 0, 256)).toEqual([]);
        expect(scanRows(backend, 2 ** 41, 0, Number.MAX_SAFE_INTEGER)).toEqual([]);
      });

      test("a scan goes on where it ended", async () => {
        const { backend, commit } = await open();
        for (let main = 2; main < 50; main++) backend.putRecord(main, 0, false, bytes(String(main)));
        backend.sealEntry(1, 1);
        await commit();
        for (let main = 50; main < 100; main++) backend.putRecord(main, 0, false, bytes(String(main)));
        const seen: number[] = [];
        let from = 0;
        for (let slice = 0; slice < 30; slice++) {
          let count = 0;
          backend.scanRecords(from, 0, 1000, (main) => {
            seen.push(main);
            from = main + 1;
            return ++count < 7;
          });
        }
        expect(seen).toEqual(Array.from({ length: 98 }, (_, at) => at + 2));
      });

      test("are replaced and deleted one by one", async () => {
        const { backend, commit } = await open();
        for (let sub = 0; sub < 5; sub++) backend.putRecord(7, sub, false, bytes(`old ${sub}`));
        backend.putRecord(7, 5, true, bytes("dead"));
        backend.sealEntry(1, 1);
        await commit();
        backend.putRecord(7, 1, false, bytes("new 1"));
        backend.deleteRecord(7, 2, false);
        backend.deleteRecord(7, 5, true);
        backend.deleteRecord(7, 9, false);
        const expected: Row[] = [
          [7, 0, false, "old 0"],
          [7, 1, false, "new 1"],
          [7, 3, false, "old 3"],
          [7, 4, false, "old 4"],
        ];
        expect(scanRows(backend, 7, 0, 8)).toEqual(expected);
        backend.sealEntry(2, 1);
        await commit();
        expect(scanRows(backend, 7, 0, 8)).toEqual(expected);
        expect(backend.getRecord(7, 2)).toBeUndefined();
      });

      test("hold values of any length", async () => {
        const { backend, commit } = await open();
        const lengths = [0, 1, 511, 4096, 70_000, 2_000_000];
        for (const [sub, length] of lengths.entries())
          backend.putRecord(2, sub, false, new Uint8Array(length).fill(sub + 1));
        const check = (): void => {
          for (const [sub, length] of lengths.entries()) {
            const value = backend.getRecord(2, sub);
            expect(value?.length).toBe(length);
            expect(value?.every((byte) => byte === sub + 1)).toBe(true);
          }
        };
        check();
        backend.sealEntry(1, 1);
        await commit();
        check();
      });

      test("do not keep the bytes they were given", async () => {
        const { backend } = await open();
        const value = bytes("value");
        backend.putRecord(2, 0, false, value);
        value.fill(0);
        expect(text(backend.getRecord(2, 0) ?? value)).toBe("value");
      });
    });

    describe("entries", () => {
      test("carry index and term into `meta`", async () => {
        const { backend, commit } = await open();
        expect(readApplied(backend)).toEqual({ index: 0, term: 0 });
        backend.sealEntry(5, 3);
        await commit();
        expect(readApplied(backend)).toEqual({ index: 5, term: 3 });
        expect(backend.get("meta", bytes("consistent_index"))).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 5));
        expect(backend.get("meta", bytes("term"))).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 3));
      });

      test("become durable whole: what is committed survives a crash, nothing else does", async () => {
        const made = await open();
        const { backend } = made;
        backend.putRecord(2, 0, false, bytes("one"));
        backend.put("lease", bytes("l1"), bytes("1"));
        backend.sealEntry(10, 2);
        await made.commit();
        backend.putRecord(3, 0, false, bytes("unsealed"));
        backend.put("lease", bytes("l1"), bytes("changed"));
        backend.put("lease", bytes("l2"), bytes("2"));
        backend.deleteRecord(2, 0, false);
        const after = await made.crash();
        expect(readApplied(after)).toEqual({ index: 10, term: 2 });
        expect(scanRows(after, 0, 0, 100)).toEqual([[2, 0, false, "one"]]);
        expect(scanAll(after, "lease")).toEqual(["l1=1"]);
      });

      test("a commit does not take what is not yet sealed", async () => {
        const made = await open();
        const { backend } = made;
        backend.putRecord(2, 0, false, bytes("sealed"));
        backend.sealEntry(1, 1);
        backend.putRecord(3, 0, false, bytes("half of"));
        backend.put("meta", bytes("x"), bytes("half of"));
        await made.commit();
        expect(text(backend.getRecord(3, 0) ?? bytes("missing"))).toBe("half of");
        const after = await made.crash();
        expect(scanRows(after, 0, 0, 100)).toEqual([[2, 0, false, "sealed"]]);
        expect(after.get("meta", bytes("x"))).toBeUndefined();
        expect(readApplied(after)).toEqual({ index: 1, term: 1 });
      });

      test("several in one commit", async () => {
        const made = await open();
        const { backend } = made;
        for (let index = 1; index <= 200; index++) {
          backend.putRecord(index + 1, 0, false, bytes(`v${index}`));
          if (index % 3 === 0) backend.deleteRecord(index, 0, false);
          backend.sealEntry(index, 1);
        }
        await made.commit();
        const before = scanRows(backend, 0, 0, 1000);
        const after = await made.crash();
        expect(scanRows(after, 0, 0, 1000)).toEqual(before);
        expect(before).toHaveLength(200 - 66);
        expect(readApplied(after)).toEqual({ index: 200, term: 1 });
      });

      test("the sizes are those of the last commit", async () => {
        const { backend, commit } = await open();
        for (let main = 2; main < 300; main++) backend.putRecord(main, 0, false, new Uint8Array(1000));
        backend.sealEntry(1, 1);
        await commit();
        expect(backend.sizeInUseBytes()).toBeGreaterThanOrEqual(298_000);
        expect(backend.sizeBytes()).toBeGreaterThanOrEqual(backend.sizeInUseBytes());
        const allocated = backend.sizeBytes();
        for (let main = 2; main < 300; main++) backend.deleteRecord(main, 0, false);
        backend.sealEntry(2, 1);
        await commit();
        expect(backend.sizeInUseBytes()).toBeLessThan(298_000);
        expect(backend.sizeBytes()).toBeGreaterThanOrEqual(allocated);
      });
    });
  });
}

const plainBuckets = bucketNames.filter((name) => name !== "key");

function storedIn(backend: Backend, bucket: BucketName, key: string): Uint8Array {
  return backend.get(bucket, bytes(key)) ?? bytes("missing");
}

function valueOfKey(backend: Backend, key: Uint8Array): Uint8Array {
  return backend.get("key", key) ?? bytes("missing");
}

function putRow(backend: Backend, [main, sub, tombstone, value]: Row): void {
  backend.putRecord(main, sub, tombstone, bytes(value));
}

function scanRows(backend: Backend, loMain: number, loSub: number, hiMain: number): Row[] {
  const rows: Row[] = [];
  backend.scanRecords(loMain, loSub, hiMain, (main, sub, tombstone, value) => {
    rows.push([main, sub, tombstone, text(value)]);
    return true;
  });
  return rows;
}

function scanKeys(backend: Backend, bucket: BucketName, lo: string, hi: string | undefined): string[] {
  const keys: string[] = [];
  backend.scan(bucket, bytes(lo), hi === undefined ? undefined : bytes(hi), (key) => {
    keys.push(text(key));
    return true;
  });
  return keys;
}

function scanAll(backend: Backend, bucket: BucketName): string[] {
  const rows: string[] = [];
  backend.scan(bucket, bytes(""), undefined, (key, value) => {
    rows.push(`${text(key)}=${text(value)}`);
    return true;
  });
  return rows;
}
