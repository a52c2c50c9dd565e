import { latin1FromBytes } from "@etcd-ts/api";
import type { BucketName } from "@etcd-ts/store";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock, Timer } from "../env.js";
import { nodeDigest } from "../platform/digest.js";
import { BufferedBackend } from "./buffered-backend.js";
import { tableNames } from "./database.js";
import { writeRevisionKey } from "./revision-key.js";
import { FakeDatabase } from "./testing/fake-database.js";

/** Timers fire when told. */
class ManualClock implements Clock {
  readonly timers = new Set<() => void>();
  now(): number {
    return 0;
  }
  wallTime(): number {
    return 0;
  }
  setTimer(_delayMs: number, callback: () => void): Timer {
    this.timers.add(callback);
    return { cancel: () => void this.timers.delete(callback) };
  }
  defer(callback: () => void): void {
    callback();
  }
  fire(): void {
    const due = [...this.timers];
    this.timers.clear();
    for (const callback of due) callback();
  }
}

interface Harness {
  readonly clock: ManualClock;
  readonly database: FakeDatabase;
  readonly backend: BufferedBackend;
  readonly failures: Error[];
}

function start(
  database = new FakeDatabase(),
  options: { commitOperations?: number; commitBytes?: number } = {},
): Harness {
  const clock = new ManualClock();
  const failures: Error[] = [];
  const onFailure = (error: Error): number => failures.push(error);
  const backend = new BufferedBackend({ clock, digest: nodeDigest, database, onFailure, ...options });
  return { clock, database, backend, failures };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Lets settled promises run their reactions. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("memory that a commit has left is used again, and nothing that is read or written lies in it", async () => {
  const { database, backend } = start();
  const valueBytes = 300_000;
  const valueAt = (main: number): Uint8Array => new Uint8Array(valueBytes).fill(main);
  /** Comparing megabytes one byte after the other takes too long. */
  const expectValue = (value: Uint8Array | undefined, main: number): void => {
    expect([value?.length, value?.[0], value?.[valueBytes / 2], value?.[valueBytes - 1]]).toEqual([
      valueBytes,
      main,
      main,
      main,
    ]);
  };
  const recordsPerRound = 24;
  let committed = 1;
  let main = 1;
  for (let round = 1; round <= 4; round++) {
    const firstOfRound = main + 1;
    for (let i = 0; i < recordsPerRound; i++) backend.putRecord(++main, 0, false, valueAt(main));
    backend.sealEntry(round, 1);
    // What is written while the commit is under way lies elsewhere.
    backend.requestCommit();
    for (let i = 0; i < recordsPerRound; i++) backend.putRecord(++main, 0, false, valueAt(main));
    for (let at = firstOfRound; at <= main; at++) expectValue(backend.getRecord(at, 0), at);
    database.settle();
    await turn();
    committed = firstOfRound + recordsPerRound - 1;
    for (let at = 2; at <= main; at++) expectValue(backend.getRecord(at, 0), at);
  }
  const keyTable = database.durable[tableNames.indexOf("key")];
  expect(keyTable?.size).toBe(committed - 1);
  const key = new Uint8Array(18);
  for (let at = 2; at <= committed; at++) {
    const text = latin1FromBytes(key.subarray(0, writeRevisionKey(key, at, 0, false)));
    expectValue(keyTable?.get(text), at);
  }
});

describe("commits", () => {
  test("begin when the interval has passed", async () => {
    const { clock, database, backend } = start();
    backend.put("auth", bytes("a"), bytes("1"));
    backend.sealEntry(5, 2);
    expect(database.hasPendingCommit).toBe(false);
    clock.fire();
    expect(database.hasPendingCommit).toBe(true);
    backend.put("auth", bytes("b"), bytes("2"));
    database.settle();
    await turn();
    expect(backend.durableIndex).toBe(5);
    const { backend: reopened } = start(database.reopened());
    expect(reopened.get("auth", bytes("a"))).toEqual(bytes("1"));
    expect(reopened.get("auth", bytes("b"))).toBeUndefined();
    expect(reopened.durableIndex).toBe(5);
    expect([...(reopened.get("meta", bytes("term")) ?? [])].at(-1)).toBe(2);
  });

  test("within an entry take the entries before it, with rows as these left them", async () => {
    const { clock, database, backend } = start();
    backend.put("auth", bytes("a"), bytes("sealed"));
    backend.putRecord(2, 0, false, bytes("sealed"));
    backend.sealEntry(1, 1);
    backend.put("auth", bytes("a"), bytes("half"));
    backend.put("auth", bytes("a"), bytes("more"));
    backend.put("auth", bytes("b"), bytes("half"));
    backend.putRecord(2, 0, false, bytes("half"));
    clock.fire();
    database.settle();
    await turn();
    expect(backend.durableIndex).toBe(1);
    expect(backend.get("auth", bytes("a"))).toEqual(bytes("more"));
    const crashed = start(database.reopened()).backend;
    expect(crashed.get("auth", bytes("a"))).toEqual(bytes("sealed"));
    expect(crashed.get("auth", bytes("b"))).toBeUndefined();
    expect(crashed.getRecord(2, 0)).toEqual(bytes("sealed"));
    // Asked for within the entry, the rest is committed at its end.
    backend.requestCommit();
    expect(database.hasPendingCommit).toBe(false);
    backend.sealEntry(2, 1);
    database.settle();
    await turn();
    const reopened = start(database.reopened()).backend;
    expect(reopened.getRecord(2, 0)).toEqual(bytes("half"));
    expect(reopened.get("auth", bytes("b"))).toEqual(bytes("half"));
    expect(reopened.durableIndex).toBe(2);
  });

  test("take what is sealed again under the same index", async () => {
    const { clock, database, backend } = start();
    backend.putRecord(2, 0, false, bytes("v"));
    backend.sealEntry(3, 1);
    clock.fire();
    database.settle();
    await turn();
    backend.deleteRecord(2, 0, false);
    backend.sealEntry(3, 1);
    clock.fire();
    database.settle();
    await turn();
    expect(start(database.reopened()).backend.getRecord(2, 0)).toBeUndefined();
  });

  test("begin at the limit of operations, one at a time, and writers are asked to wait", async () => {
    const { database, backend } = start(new FakeDatabase(), { commitOperations: 3 });
    for (let i = 1; i <= 3; i++) {
      backend.putRecord(i + 1, 0, false, bytes("v"));
      backend.sealEntry(i, 1);
    }
    expect(database.hasPendingCommit).toBe(true);
    expect(backend.isCongested).toBe(false);
    for (let i = 4; i <= 6; i++) {
      backend.putRecord(i + 1, 0, false, bytes("v"));
      backend.sealEntry(i, 1);
    }
    expect(backend.isCongested).toBe(true);
    let isRelieved = false;
    void backend.whenRelieved().then(() => {
      isRelieved = true;
    });
    await turn();
    expect(isRelieved).toBe(false);
    database.settle();
    await turn();
    expect(isRelieved).toBe(true);
    expect(backend.durableIndex).toBe(3);
    expect(database.hasPendingCommit).toBe(true);
    database.settle();
    await turn();
    expect(backend.durableIndex).toBe(6);
  });

  test("begin at the limit of bytes", () => {
    const { database, backend } = start(new FakeDatabase(), { commitBytes: 1000 });
    backend.putRecord(2, 0, false, new Uint8Array(1000));
    backend.sealEntry(1, 1);
    expect(database.hasPendingCommit).toBe(true);
  });

  test("a flush waits for what was sealed before it, with or without a new entry", async () => {
    const { database, backend } = start();
    backend.putRecord(1, 0, false, bytes("a"));
    backend.sealEntry(1, 1);
    backend.requestCommit();
    // As a compaction does: the same entry, more rows.
    backend.deleteRecord(1, 0, false);
    backend.sealEntry(1, 1);
    let isFlushed = false;
    void backend.flush().then(() => {
      isFlushed = true;
    });
    database.settle();
    await turn();
    expect(isFlushed).toBe(false);
    expect(backend.durableIndex).toBe(1);
    database.settle();
    await turn();
    expect(isFlushed).toBe(true);
    expect(database.durable[tableNames.indexOf("key")]?.size).toBe(0);
    await backend.flush();
    backend.put("auth", bytes("a"), bytes("1"));
    backend.sealEntry(2, 1);
    const failing = backend.flush();
    database.settle(new Error("disk"));
    await expect(failing).rejects.toThrow("disk");
  });

  test("whenDurable asks for the commit it waits for", async () => {
    const { database, backend } = start();
    backend.put("lease", bytes("a"), bytes("1"));
    backend.sealEntry(1, 1);
    backend.requestCommit();
    backend.put("lease", bytes("a"), bytes("2"));
    backend.sealEntry(2, 1);
    let reached = 0;
    void backend.whenDurable(2).then(() => {
      reached = backend.durableIndex;
    });
    database.settle();
    await turn();
    expect(reached).toBe(0);
    database.settle();
    await turn();
    expect(reached).toBe(2);
    await backend.whenDurable(1);
  });

  test("carry the index of entries that changed nothing", async () => {
    const { clock, database, backend } = start();
    backend.sealEntry(9, 4);
    clock.fire();
    database.settle();
    await turn();
    expect(backend.durableIndex).toBe(9);
    clock.fire();
    expect(database.hasPendingCommit).toBe(false);
  });

  test("that fail are final", async () => {
    const { database, backend, failures } = start();
    backend.put("lease", bytes("a"), bytes("1"));
    backend.sealEntry(1, 1);
    const waiting = backend.whenDurable(1);
    database.settle(new Error("disk"));
    await expect(waiting).rejects.toThrow("disk");
    expect(failures).toHaveLength(1);
    backend.sealEntry(2, 1);
    backend.requestCommit();
    expect(database.hasPendingCommit).toBe(false);
    await expect(backend.whenDurable(2)).rejects.toThrow("disk");
  });

  test("the sizes are those of the last one", async () => {
    const { database, backend } = start();
    backend.put("lease", bytes("a"), bytes("1"));
    backend.sealEntry(1, 1);
    backend.requestCommit();
    expect(backend.sizeBytes()).toBe(0);
    database.settle();
    await turn();
    expect(backend.sizeBytes()).toBeGreaterThan(0);
    expect(backend.sizeInUseBytes()).toBe(backend.sizeBytes() / 2);
  });
});

/** The store as a sorted map of everything written, by bucket; the reference for the property below. */
class Model {
  rows = new Map<string, string>();
  private static at(bucket: string, key: Uint8Array): string {
    return `${bucket} ${Buffer.from(key).toString("hex")}`;
  }
  set(bucket: string, key: Uint8Array, value: string | undefined): void {
    if (value === undefined) this.rows.delete(Model.at(bucket, key));
    else this.rows.set(Model.at(bucket, key), value);
  }
  get(bucket: string, key: Uint8Array): string | undefined {
    return this.rows.get(Model.at(bucket, key));
  }
  scan(bucket: string, lo: Uint8Array, hi: Uint8Array | undefined): string {
    const end = hi === undefined ? "~" : Model.at(bucket, hi);
    return [...this.rows]
      .filter(([at]) => at.startsWith(`${bucket} `) && at >= Model.at(bucket, lo) && at < end)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([at, value]) => `${at}=${value}`)
      .join();
  }
}

const revision = fc.record({
  main: fc.integer({ min: 1, max: 6 }),
  sub: fc.integer({ min: 0, max: 1 }),
  tombstone: fc.boolean(),
});
const bucket = fc.constantFrom<Exclude<BucketName, "key">>("auth", "lease", "members");
/** The fake database takes 20 bytes: some rows are long. */
const key = fc
  .constantFrom("", "a", "b", "zzzz", `a${"x".repeat(20)}`, `a${"x".repeat(19)}y`, "y".repeat(30))
  .map((text) => bytes(`k${text}`));
const value = fc.string({ maxLength: 4 });
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("putRecord" as const), revision, value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("deleteRecord" as const), revision }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("put" as const), bucket, key, value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), bucket, key }) },
  { weight: 3, arbitrary: fc.constant({ kind: "seal" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "requestCommit" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "settle" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "interval" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("scanRecords" as const), from: revision, to: revision }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("scan" as const),
      bucket,
      from: key,
      to: fc.option(key, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
);

function revisionBytes({ main, sub, tombstone }: { main: number; sub: number; tombstone: boolean }): Uint8Array {
  const target = new Uint8Array(18);
  return target.subarray(0, writeRevisionKey(target, main, sub, tombstone));
}

function firstOf(main: number): Uint8Array {
  return revisionBytes({ main, sub: 0, tombstone: false });
}

function recordsOf(backend: BufferedBackend, from: { main: number; sub: number }, hiMain: number): string {
  const seen: string[] = [];
  backend.scanRecords(from.main, from.sub, hiMain, (main, sub, tombstone, row) => {
    seen.push(`key ${Buffer.from(revisionBytes({ main, sub, tombstone })).toString("hex")}=${Buffer.from(row)}`);
    return true;
  });
  return seen.join();
}

function rowsOf(backend: BufferedBackend, name: BucketName, lo: Uint8Array, hi: Uint8Array | undefined): string {
  const seen: string[] = [];
  backend.scan(name, lo, hi, (rowKey, row) => {
    seen.push(`${name} ${Buffer.from(rowKey).toString("hex")}=${Buffer.from(row)}`);
    return true;
  });
  return seen.join();
}

test("reads always see what was written; a crash leaves exactly what some sealed entry left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 100, size: "max" }), async (operations) => {
      let harness = start(new FakeDatabase(), { commitOperations: 8 });
      let model = new Model();
      /** What each sealed entry left. */
      const sealed = new Map<number, Map<string, string>>([[0, new Map()]]);
      let index = 0;
      for (const step of operations) {
        const { backend, clock, database } = harness;
        switch (step.kind) {
          case "putRecord":
            backend.putRecord(step.revision.main, step.revision.sub, step.revision.tombstone, bytes(step.value));
            model.set("key", revisionBytes(step.revision), step.value);
            break;
          case "deleteRecord":
            backend.deleteRecord(step.revision.main, step.revision.sub, step.revision.tombstone);
            model.set("key", revisionBytes(step.revision), undefined);
            break;
          case "put":
            backend.put(step.bucket, step.key, bytes(step.value));
            model.set(step.bucket, step.key, step.value);
            break;
          case "delete":
            backend.delete(step.bucket, step.key);
            model.set(step.bucket, step.key, undefined);
            break;
          case "seal":
            backend.sealEntry(++index, 1);
            sealed.set(index, new Map(model.rows));
            break;
          case "requestCommit":
            backend.requestCommit();
            break;
          case "interval":
            clock.fire();
            break;
          case "settle":
            database.settle();
            await turn();
            break;
          case "scanRecords":
            expect(recordsOf(backend, step.from, step.to.main)).toBe(
              model.scan("key", revisionBytes({ ...step.from, tombstone: false }), firstOf(step.to.main)),
            );
            break;
          case "scan":
            expect(rowsOf(backend, step.bucket, step.from, step.to)).toBe(model.scan(step.bucket, step.from, step.to));
            break;
          case "crash": {
            harness = start(database.reopened(), { commitOperations: 8 });
            index = harness.backend.durableIndex;
            const left = sealed.get(index);
            expect(left, `index ${index}`).toBeDefined();
            model = new Model();
            model.rows = new Map(left);
            break;
          }
        }
        const { backend: now } = harness;
        expect(recordsOf(now, { main: 0, sub: 0 }, 100)).toBe(model.scan("key", firstOf(0), firstOf(100)));
        for (const name of ["auth", "lease", "members"] as const) {
          expect(rowsOf(now, name, bytes(""), undefined)).toBe(model.scan(name, bytes(""), undefined));
        }
        for (const [at, expected] of model.rows) {
          const [name = "", hex = ""] = at.split(" ");
          const actual = now.get(name as BucketName, Buffer.from(hex, "hex"));
          expect(actual === undefined ? undefined : Buffer.from(actual).toString()).toBe(expected);
        }
      }
    }),
    { numRuns: 60, seed: 1 },
  );
});

test("a scan ends when the visitor says so", () => {
  const { backend, database } = start();
  for (let main = 2; main < 8; main++) backend.putRecord(main, 0, false, bytes(`${main}`));
  backend.sealEntry(1, 1);
  backend.requestCommit();
  database.settle();
  for (let main = 8; main < 12; main++) backend.putRecord(main, 0, false, bytes(`${main}`));
  for (const last of [2, 5, 7, 8, 10]) {
    const seen: number[] = [];
    backend.scanRecords(2, 0, 100, (main) => seen.push(main) > 0 && main < last);
    expect(seen.at(-1)).toBe(last);
  }
  for (const name of ["a", "b", "c"]) backend.put("auth", bytes(name), bytes(name));
  const seen: string[] = [];
  backend.scan("auth", bytes("a"), undefined, (rowKey) => seen.push(`${Buffer.from(rowKey)}`) < 2);
  expect(seen).toEqual(["a", "b"]);
});
