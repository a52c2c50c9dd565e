import { AlarmRequest_AlarmAction, AlarmType, type RequestOpInit } from "@etcd-ts/api/etcdserverpb";
import { describe, expect, test, vi } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { encodeRevisionKey } from "../mvcc/revision-key.js";
import { bytes, encodeEntry, prevKvOf, reasonOf, StoreFixture, text, whole } from "../testing/store-fixture.js";
import { readApplied } from "./applied.js";

const put = (key: string, more: object = {}): RequestOpInit => ({
  request: { kind: "requestPut", value: { key: bytes(key), ...more } },
});
const del = (key: string, end = ""): RequestOpInit => ({
  request: { kind: "requestDeleteRange", value: { key: bytes(key), rangeEnd: bytes(end) } },
});

describe("puts", () => {
  test("checks come in etcd's order and a refusal consumes no revision", () => {
    const store = new StoreFixture();
    expect(store.put("a", "1", { lease: 5n })).toBe("leaseNotFound");
    expect(store.put("a", "", { lease: -5n, ignoreValue: true })).toBe("leaseNotFound");
    expect(store.put("a", "", { ignoreValue: true })).toBe("keyNotFound");
    expect(store.put("a", "1", { ignoreLease: true })).toBe("keyNotFound");
    expect(store.mvcc.currentRevision()).toBe(1);
  });

  test("ignore_value and ignore_lease keep what was there", () => {
    const store = new StoreFixture();
    store.apply({ leaseGrant: { id: 9n, ttl: 10 } });
    store.put("a", "1", { lease: 9n });
    store.put("a", "", { ignoreValue: true, lease: 0n });
    expect(store.range("a")).toMatchObject({ kvs: [{ value: bytes("1"), lease: 0n, version: 2 }] });
    expect(store.leases.keysOf(9n)).toEqual([]);
    store.put("a", "2", { lease: 9n });
    store.put("a", "3", { ignoreLease: true });
    expect(store.range("a")).toMatchObject({ kvs: [{ value: bytes("3"), lease: 9n, version: 4, createRevision: 2 }] });
    expect(store.leases.keysOf(9n)).toEqual(["a"]);
  });

  test("prev_kv", () => {
    const store = new StoreFixture();
    expect(prevKvOf(store.apply({ put: { key: bytes("a"), value: bytes("1"), prevKv: true } }))).toBeUndefined();
    expect(prevKvOf(store.apply({ put: { key: bytes("a"), value: bytes("2"), prevKv: true } }))).toBe("a=1");
    expect(prevKvOf(store.apply({ put: { key: bytes("a"), value: bytes("3") } }))).toBeUndefined();
  });

  test("a record larger than a buffer of the ring is read from the backend", () => {
    const store = new StoreFixture({ ringSizeBytes: 256, ringBufferBytes: 128 });
    const large = "x".repeat(1000);
    store.put("a", large);
    for (let at = 0; at < 10; at++) store.put("b", `value ${at}`);
    expect(store.range("a")).toMatchObject({ kvs: [{ value: bytes(large) }] });
    expect(store.range("b")).toMatchObject({ kvs: [{ value: bytes("value 9"), version: 10 }] });
  });
});

describe("leases", () => {
  test("revoking deletes the keys in byte order, in one revision", () => {
    const store = new StoreFixture({ budget: 1 });
    store.apply({ leaseGrant: { id: 9n, ttl: 10 } });
    for (const key of ["b", "\x80", "a", "c"]) store.put(key, "1", { lease: 9n });
    const events: string[] = [];
    store.mvcc.setListener((revision, changes) => {
      events.push(...(changes ?? []).map((change) => `${revision}/${change.sub} ${change.tombstone} ${change.key}`));
    });
    expect(store.apply({ leaseRevoke: { id: 9n } })).toEqual({ kind: "leaseRevoke", revision: 6 });
    expect(events).toEqual(["6/0 true a", "6/1 true b", "6/2 true c", "6/3 true \x80"]);
    expect(store.leases.exists(9n)).toBe(false);
    expect(reasonOf(store.apply({ leaseRevoke: { id: 9n } }))).toBe("leaseNotFound");
  });

  test("a grant creates no revision; its refusals", () => {
    const store = new StoreFixture();
    expect(store.apply({ leaseGrant: { id: 9n, ttl: 1 } })).toEqual({
      kind: "leaseGrant",
      revision: 1,
      id: 9n,
      ttl: 2,
    });
    expect(reasonOf(store.apply({ leaseGrant: { id: 9n, ttl: 1 } }))).toBe("leaseExist");
    expect(reasonOf(store.apply({ leaseGrant: { id: 0n, ttl: 1 } }))).toBe("leaseNotFound");
    expect(reasonOf(store.apply({ leaseGrant: { id: 8n, ttl: 9_000_000_001 } }))).toBe("leaseTTLTooLarge");
  });

  test("keys are attached again after a restart", () => {
    const store = new StoreFixture();
    store.apply({ leaseGrant: { id: 9n, ttl: 10 } });
    store.put("a", "1", { lease: 9n });
    store.put("b", "1", { lease: 9n });
    store.put("b", "1");
    store.restart();
    expect(store.leases.keysOf(9n)).toEqual(["a"]);
  });
});

describe("transactions", () => {
  test("a put that keeps the value of a key deleted before it is refused, and nothing is written", () => {
    const store = new StoreFixture();
    store.put("x", "1");
    const before = store.hash();
    expect(store.txn({ success: [del("x", "\0"), put("x", { ignoreValue: true })] })).toBe("keyNotFound");
    expect(store.txn({ success: [put("y"), del("a", "\0"), put("x", { ignoreLease: true })] })).toBe("keyNotFound");
    expect(
      store.txn({
        success: [
          { request: { kind: "requestTxn", value: { success: [del("x", "\0")] } } },
          put("x", { ignoreValue: true }),
        ],
      }),
    ).toBe("keyNotFound");
    expect(store.mvcc.currentRevision()).toBe(2);
    // Only the index of the last entry may differ, and the hash leaves that out.
    expect(store.hash()).toBe(before);
    // Put first, delete after: the previous record is there.
    expect(store.txn({ success: [put("x", { ignoreValue: true }), del("x", "\0")] })).toMatchObject({
      header: { revision: 3 },
    });
  });

  test("an earlier put of the transaction does not satisfy ignore_value", () => {
    const store = new StoreFixture();
    const inner: RequestOpInit = { request: { kind: "requestTxn", value: { success: [put("x")] } } };
    expect(store.txn({ success: [inner, put("y", { ignoreValue: true })] })).toBe("keyNotFound");
  });

  test("one that only reads gives the same read here as applied", () => {
    const store = new StoreFixture();
    for (const key of ["a", "b", "c"]) store.put(key, key);
    const range = (revision: number): RequestOpInit => ({
      request: { kind: "requestRange", value: { key: bytes("a"), rangeEnd: bytes("c"), revision } },
    });
    const response = store.txn({
      compare: [{ key: bytes("a"), rangeEnd: bytes("z"), result: 1, targetUnion: undefined }],
      success: [range(0), range(2)],
    });
    expect(response).toMatchObject({ succeeded: true, header: { revision: 4 } });
    expect(response).toMatchObject({
      responses: [{ response: { value: { count: 2 } } }, { response: { value: { count: 1 } } }],
    });
    expect(store.txn({ success: [range(9)] })).toBe("futureRev");
    expect(store.txn({})).toMatchObject({ succeeded: true, responses: [] });
    expect(store.mvcc.currentRevision()).toBe(4);
  });

  test("without a waiter ranges are checked but not read, and the state is the same", () => {
    const request = {
      txn: {
        success: [
          put("a", { value: bytes("1") }),
          { request: { kind: "requestRange", value: { key: bytes("a") } } } as const,
        ],
      },
    };
    const read = new StoreFixture();
    const unread = new StoreFixture();
    const outcomes = [read.apply(request), unread.apply(request, { wantsResult: false })];
    expect(outcomes.map((outcome) => outcome.kind === "txn" && outcome.responses[1])).toMatchObject([
      { count: 1 },
      { count: 0 },
    ]);
    expect(read.hash()).toBe(unread.hash());
    const future = {
      txn: { success: [{ request: { kind: "requestRange", value: { key: bytes("a"), revision: 99 } } } as const] },
    };
    expect(reasonOf(unread.apply(future, { wantsResult: false }))).toBe("futureRev");
  });
});

describe("entries", () => {
  test("the index and term of an entry are in the database with its effects", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    store.put("nothing", "", { ignoreValue: true });
    expect(readApplied(store.backend)).toEqual({ index: 2, term: 1 });
    expect(store.machine.applied).toEqual({ index: 2, term: 1 });
  });

  test("an empty entry only moves the index", () => {
    const store = new StoreFixture();
    expect(store.applyData(new Uint8Array(0))).toEqual({ kind: "empty" });
    expect(readApplied(store.backend)).toEqual({ index: 1, term: 1 });
  });

  test("an entry that the database has already is skipped", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    const data = encodeEntry({ header: { id: 7n }, put: { key: bytes("a"), value: bytes("2") } });
    const options = { shouldApply: false, wantsResult: () => true, nowMs: 0 };
    expect(store.machine.apply({ index: 1, term: 1, data }, options, 10)).toEqual({ kind: "skipped" });
    expect(store.machine.apply({ index: 1, term: 1, data: new Uint8Array(0) }, options, 10)).toEqual({ kind: "empty" });
    expect(store.keys("a")).toBe("a count 1");
    expect(store.mvcc.currentRevision()).toBe(2);
  });

  test("entries out of order are a bug", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    const options = { shouldApply: true, wantsResult: () => true, nowMs: 0 };
    expect(() => store.machine.apply({ index: 1, term: 1, data: new Uint8Array(0) }, options, 10)).toThrow("in order");
  });

  test("a range in the log is read only for who waits", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    expect(store.apply({ range: { key: bytes("a") } })).toMatchObject({ kind: "range", count: 1 });
    expect(store.apply({ range: { key: bytes("a") } }, { wantsResult: false })).toEqual({ kind: "skipped" });
  });

  test("cluster version and member attributes reach the membership", () => {
    const store = new StoreFixture();
    expect(store.apply({ clusterVersionSet: { ver: "3.7.0" } })).toEqual({ kind: "clusterVersionSet", revision: 1 });
    expect(store.membership.clusterVersion()).toBe("3.7.0");
    store.restart();
    expect(store.membership.clusterVersion()).toBe("3.7.0");
    store.apply({ downgradeInfoSet: { enabled: true, ver: "3.6.0" } });
    expect(store.membership.downgrade()).toEqual({ enabled: true, targetVersion: "3.6.0" });
  });
});

describe("an entry in slices", () => {
  test("is invisible until it is done, then visible at once with its events and its index", () => {
    const seen: string[] = [];
    const store: StoreFixture = new StoreFixture({
      budget: 10,
      indexChunkKeys: 8,
      betweenSteps: () => {
        seen.push(
          `${store.keys("k", "l", { countOnly: true })} ${store.mvcc.currentRevision()} ${readApplied(store.backend).index}`,
        );
      },
    });
    for (let at = 0; at < 100; at++) store.put(`k${at}`, "1");
    let published = 0;
    store.mvcc.setListener((revision, changes) => {
      published += changes?.length ?? 0;
      expect(revision).toBe(102);
      expect(store.mvcc.currentRevision()).toBe(102);
    });
    expect(store.deleteRange("k", "l")).toEqual({ revision: 102, deleted: 100, prev: [] });
    expect(store.steps).toBeGreaterThan(5);
    expect(new Set(seen)).toEqual(new Set([" count 100 101 100"]));
    expect(published).toBe(100);
    expect(store.keys("k", "l")).toBe(" count 0");
    expect(store.keys("k", "l", { revision: 101, countOnly: true })).toBe(" count 100");
  });

  test("a crash in the middle leaves nothing of it", () => {
    const store = new StoreFixture({ backend: { commitOperations: Number.POSITIVE_INFINITY } });
    for (let at = 0; at < 20; at++) store.put(`k${at}`, "1");
    const before = store.hashKv(21).replace(" -1 ", " 10 ");
    const data = encodeEntry({ header: { id: 1n }, deleteRange: { key: bytes("k"), rangeEnd: bytes("l") } });
    const options = { shouldApply: true, wantsResult: () => true, nowMs: 0 };
    store.compact(10, { work: false });
    store.backend.commit();
    expect(store.machine.apply({ index: 22, term: 1, data }, options, 5)).toBeUndefined();
    // Compaction in between does not seal what the entry has written so far.
    store.machine.compactionStep(3);
    store.backend.commit();
    expect(store.crash()).toBe(22);
    expect(store.hashKv(21)).toBe(before);
    expect(store.keys("k", "l", { countOnly: true })).toBe(" count 20");
  });

  test("compaction goes on between its steps", () => {
    const store: StoreFixture = new StoreFixture({ budget: 3, betweenSteps: () => store.machine.compactionStep(2) });
    for (let at = 0; at < 30; at++) store.put(`k${at % 10}`, String(at));
    store.compact(25, { work: false });
    store.deleteRange("k", "l");
    store.compactAll();
    expect(store.keys("k", "l", { revision: 31, countOnly: true })).toBe(" count 10");
    const state = store.hash();
    store.restart();
    expect(store.hash()).toBe(state);
  });
});

describe("alarms", () => {
  function raise(store: StoreFixture, alarm: AlarmType): void {
    store.apply({ alarm: { action: AlarmRequest_AlarmAction.ACTIVATE, memberId: 1n, alarm } });
  }

  test("are raised, listed and cleared", () => {
    const store = new StoreFixture();
    raise(store, AlarmType.NOSPACE);
    const list = store.apply({ alarm: { action: AlarmRequest_AlarmAction.GET } });
    expect(list).toEqual({ kind: "alarm", revision: 1, alarms: [{ memberId: 1n, alarm: AlarmType.NOSPACE }] });
    const clear = { alarm: { action: AlarmRequest_AlarmAction.DEACTIVATE, memberId: 1n, alarm: AlarmType.NOSPACE } };
    expect(store.apply(clear)).toMatchObject({ alarms: [{ memberId: 1n }] });
    expect(store.apply(clear)).toMatchObject({ alarms: [] });
    expect(store.apply({ alarm: { action: 7 as 0 } })).toMatchObject({ kind: "alarm", alarms: [] });
  });

  test("NOSPACE refuses what needs space and nothing else", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    store.apply({ leaseGrant: { id: 9n, ttl: 10 } });
    raise(store, AlarmType.NOSPACE);
    expect(store.put("a", "1", { lease: 77n })).toBe("noSpace");
    expect(reasonOf(store.apply({ leaseGrant: { id: 9n, ttl: 10 } }))).toBe("noSpace");
    expect(store.txn({ success: [put("b")] })).toBe("noSpace");
    expect(store.txn({ failure: [put("b")] })).toBe("noSpace");
    expect(store.txn({ success: [del("b")] })).toMatchObject({ succeeded: true });
    expect(store.deleteRange("a").deleted).toBe(1);
    expect(store.apply({ leaseRevoke: { id: 9n } }).kind).toBe("leaseRevoke");
    expect(store.compact(2)).toBeUndefined();
  });

  test("CORRUPT refuses every entry on keys and leases but checkpoints", () => {
    const store = new StoreFixture();
    store.put("a", "1");
    store.apply({ leaseGrant: { id: 9n, ttl: 10 } });
    raise(store, AlarmType.CORRUPT);
    expect(store.put("a", "1")).toBe("corrupt");
    expect(store.txn({})).toBe("corrupt");
    expect(store.compact(2)).toBe("corrupt");
    for (const request of [
      { range: { key: bytes("a") } },
      { deleteRange: { key: bytes("a") } },
      { leaseGrant: { id: 8n, ttl: 1 } },
      { leaseRevoke: { id: 9n } },
    ]) {
      expect(reasonOf(store.apply(request))).toBe("corrupt");
    }
    expect(store.apply({ leaseCheckpoint: { checkpoints: [{ id: 9n, remainingTtl: 3 }] } }).kind).toBe(
      "leaseCheckpoint",
    );
    expect(store.keys("a")).toBe("a count 1");
  });

  test("beyond the quota a write takes effect and answers that there is no space", () => {
    const store = new StoreFixture({ quotaBytes: 2000 });
    expect(store.put("a", "x".repeat(1000))).toBe(2);
    store.backend.commit();
    expect(store.put("b", "x".repeat(1000))).toBe("noSpace");
    expect(store.mvcc.currentRevision()).toBe(3);
    expect(store.keys("b")).toBe("b count 1");
    expect(store.txn({ success: [put("c", { value: new Uint8Array(1000) })] })).toBe("noSpace");
    expect(store.keys("c")).toBe("c count 1");
    expect(store.deleteRange("a").deleted).toBe(1);
    expect(store.put("d", "1")).toBe(6);
  });
});

describe("compaction", () => {
  test("a physical request waits for the work; a refused one for the work before it", () => {
    const store = new StoreFixture();
    for (let at = 0; at < 10; at++) store.put("a", String(at));
    const first = store.apply({ compaction: { revision: 8, physical: true } });
    const second = store.apply({ compaction: { revision: 7, physical: true } });
    const third = store.apply({ compaction: { revision: 99, physical: true } });
    if (first.kind !== "compaction" || second.kind !== "refused" || third.kind !== "refused")
      throw new Error("wrong kinds");
    const order: string[] = [];
    second.completion?.onDone(() => order.push("second"));
    first.completion.onDone(() => order.push("first"));
    expect(third.completion).toBeUndefined();
    expect([first.completion.done, second.completion?.done]).toEqual([false, false]);
    store.compactAll();
    expect(order).toEqual(["first", "second"]);
  });

  test("is told to have ended only when what it wrote is sealed", () => {
    const store = new StoreFixture();
    for (let at = 0; at < 10; at++) store.put("a", String(at));
    const compaction = store.apply({ compaction: { revision: 8, physical: true } });
    if (compaction.kind !== "compaction") throw new Error("wrong kind");
    const seal = vi.spyOn(store.backend, "sealEntry");
    const sealedBefore: number[] = [];
    compaction.completion.onDone(() => sealedBefore.push(seal.mock.calls.length));
    let steps = 0;
    while (store.mvcc.compactionPending) {
      store.machine.compactionStep(100);
      steps++;
    }
    expect(sealedBefore).toEqual([steps]);
  });

  test("waits for reads in slices that began before it, not for those that began after", () => {
    const store = new StoreFixture();
    for (let at = 0; at < 10; at++) store.put(`k${at}`, "1");
    const request = { key: bytes("k"), rangeEnd: bytes("l"), revision: 5 };
    const empty = { limit: 0, sortOrder: 0, sortTarget: 0, keysOnly: false, countOnly: false } as const;
    const filters = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
    const early = store.mvcc.startRange({ ...request, ...empty, ...filters });
    early.step(1);
    store.deleteRange("k", "l");
    store.compact(12, { work: false });
    const late = store.mvcc.startRange({ ...request, ...empty, ...filters, revision: 12 });
    for (let step = 0; step < 20; step++) store.machine.compactionStep(100);
    expect(store.mvcc.compactionPending).toBe(true);
    expect(early.finish()).toMatchObject({ kind: "range", count: 4, kvCount: 4 });
    store.compactAll();
    expect(store.mvcc.compactionPending).toBe(false);
    expect(late.finish()).toMatchObject({ kind: "range", count: 0 });
  });

  test("one that was not finished is run again at boot", () => {
    const store = new StoreFixture();
    for (let at = 0; at < 10; at++) store.put("a", String(at));
    store.compact(8, { work: false });
    store.machine.compactionStep(3);
    store.restart();
    expect(store.mvcc.compactRevision()).toBe(8);
    expect(store.keys("a", "", { revision: 7 })).toBe("compacted");
    store.compactAll();
    const rows: number[] = [];
    store.mvcc.scanRecords(0, 0, 100, (main) => {
      rows.push(main);
      return true;
    });
    expect(rows).toEqual([8, 9, 10, 11]);
  });

  test("its hash is cached, the ten highest revisions, and not when the one before was unfinished", () => {
    const store = new StoreFixture();
    for (let at = 0; at < 20; at++) store.put("a", String(at));
    const expected = store.hashKv(5);
    store.compact(5);
    expect(store.mvcc.compactionHashes().map((hash) => hash.hashRevision)).toEqual([5]);
    expect(store.hashKv(5)).toBe(expected);
    store.compact(6, { work: false });
    store.compact(7);
    expect(store.mvcc.compactionHashes().map((hash) => hash.hashRevision)).toEqual([6, 5]);
    for (let revision = 8; revision <= 20; revision++) store.compact(revision);
    expect(store.mvcc.compactionHashes().map((hash) => hash.hashRevision)).toEqual([
      20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
    ]);
  });
});

test("the current revision is at least the compacted one, whatever rows are left", () => {
  const backend = new MemoryBackend();
  backend.put("meta", bytes("finishedCompactRev"), encodeRevisionKey(9, 0));
  backend.putRecord(4, 0, false, bytes("\n\x01a\x10\x04\x18\x04\x20\x01"));
  const store = new StoreFixture();
  store.replace(backend);
  expect(store.mvcc.currentRevision()).toBe(9);
  expect(store.keys("a", "z")).toBe("a count 1");
  backend.put("meta", bytes("scheduledCompactRev"), encodeRevisionKey(12, 0));
  store.replace(backend);
  expect([store.mvcc.currentRevision(), store.mvcc.compactRevision()]).toEqual([12, 12]);
});

test("a snapshot that replaces the database under a read in slices makes it start over", () => {
  const store = new StoreFixture();
  for (let at = 0; at < 10; at++) store.put(`k${at}`, "old");
  const other = new StoreFixture();
  for (let at = 0; at < 3; at++) other.put(`k${at}`, "new");
  const read = store.mvcc.startRange({
    key: bytes("k"),
    rangeEnd: bytes("l"),
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  });
  expect(read.step(2)).toBeUndefined();
  store.replace(other.backend);
  const result = read.finish();
  expect(result).toMatchObject({ kind: "range", count: 3, revision: 4 });
  expect(result.kind === "range" && text(whole(result.kvs))).not.toContain("old");
  expect(store.machine.applied.index).toBe(3);
});
