/** The worked examples of etcd's semantics, each through an entry and an encoded answer. */

import { Compare_CompareResult, Compare_CompareTarget } from "@etcd-ts/api/etcdserverpb";
import { describe, expect, test } from "vitest";
import { bytes, StoreFixture, text } from "../testing/store-fixture.js";
import { checkTxn } from "../txn/check-request.js";
import { sortOrder, sortTarget } from "./range.js";

/** a=5, b=4, c=3, d=2, e=1 at revisions 2 to 6. */
function fiveKeys(): StoreFixture {
  const store = new StoreFixture();
  for (const [at, key] of ["a", "b", "c", "d", "e"].entries()) store.put(key, String(5 - at));
  return store;
}

describe("worked examples", () => {
  test("a fresh store is at revision 1, its first put at 2", () => {
    const store = new StoreFixture();
    expect(store.mvcc.currentRevision()).toBe(1);
    expect(store.put("a", "5")).toBe(2);
    const row = store.backend.getRecord(2, 0);
    expect([...(row ?? [])].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")).toBe(
      "0a 01 61 10 02 18 02 20 01 2a 01 35",
    );
  });

  test("limit with a sort target and no order sorts only what key order fetched", () => {
    const store = fiveKeys();
    expect(store.keys("a", "z", { limit: 2, sortTarget: sortTarget.value })).toBe("c,b count 5 more");
  });

  test("limit with a sort target and an order sorts everything", () => {
    const store = fiveKeys();
    const more = { limit: 2, sortTarget: sortTarget.value, sortOrder: sortOrder.ascend };
    expect(store.keys("a", "z", more)).toBe("e,d count 5 more");
  });

  test("filters do not change the count", () => {
    const store = fiveKeys();
    expect(store.keys("a", "z", { minModRevision: 5 })).toBe("d,e count 5");
    expect(store.keys("a", "", { maxModRevision: -1 })).toBe(" count 1");
  });

  test("future and negative revisions", () => {
    const store = fiveKeys();
    expect(store.keys("a", "", { revision: 100 })).toBe("futureRev");
    expect(store.keys("a", "", { revision: -5 })).toBe("a count 1");
  });

  test("deleting nothing creates no revision", () => {
    const store = fiveKeys();
    expect(store.deleteRange("nothing")).toEqual({ revision: 6, deleted: 0, prev: [] });
    expect(store.mvcc.currentRevision()).toBe(6);
  });

  test("a value compared on a missing key fails, even NOT_EQUAL", () => {
    const store = fiveKeys();
    const response = store.txn({
      compare: [
        {
          key: bytes("missing"),
          target: Compare_CompareTarget.VALUE,
          result: Compare_CompareResult.NOT_EQUAL,
          targetUnion: { kind: "value", value: bytes("x") },
        },
      ],
    });
    expect(response).toMatchObject({ succeeded: false });
  });

  test("a nested transaction sees the puts before it; its header is empty", () => {
    const store = fiveKeys();
    const response = store.txn({
      success: [
        { request: { kind: "requestPut", value: { key: bytes("x"), value: bytes("1") } } },
        {
          request: {
            kind: "requestTxn",
            value: {
              success: [
                { request: { kind: "requestRange", value: { key: bytes("x") } } },
                { request: { kind: "requestDeleteRange", value: { key: bytes("x1") } } },
              ],
            },
          },
        },
      ],
    });
    if (typeof response === "string") throw new Error(response);
    expect(response.header?.revision).toBe(7);
    const nested = response.responses[1]?.response;
    if (nested?.kind !== "responseTxn") throw new Error("no nested response");
    expect(nested.value.header).toEqual({ clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 });
    const [range, deleted] = nested.value.responses.map((op) => op.response);
    if (range?.kind !== "responseRange" || deleted?.kind !== "responseDeleteRange") throw new Error("wrong kinds");
    expect(range.value.header).toEqual({ clusterId: 0n, memberId: 0n, revision: 7, raftTerm: 0 });
    expect(range.value.kvs.map((kv) => text(kv.key))).toEqual(["x"]);
    expect(deleted.value.header?.revision).toBe(7);
    expect(deleted.value.deleted).toBe(0);
  });

  test("delete to the end and put of a covered key, in one revision", () => {
    const store = fiveKeys();
    store.put("x", "0");
    const request = {
      success: [
        { request: { kind: "requestDeleteRange", value: { key: bytes("x"), rangeEnd: bytes("\0") } } },
        { request: { kind: "requestPut", value: { key: bytes("xy"), value: bytes("1") } } },
      ],
    } as const;
    expect(store.txn(request)).toMatchObject({ header: { revision: 8 } });
    expect(store.keys("x", "z")).toBe("xy count 1");
    const rows: string[] = [];
    store.mvcc.scanRecords(8, 0, 9, (main, sub, tombstone) => {
      rows.push(`${main}/${sub}${tombstone ? "t" : ""}`);
      return true;
    });
    expect(rows).toEqual(["8/0t", "8/1"]);
  });

  test("an operation without a request is refused at the border", () => {
    expect(checkTxn({ compare: [], success: [{ request: undefined }], failure: [] }, 128)).toBe("keyNotFound");
  });

  test("compaction", () => {
    const store = fiveKeys();
    expect(store.compact(4)).toBeUndefined();
    expect(store.keys("a", "", { revision: 4 })).toBe("a count 1");
    expect(store.keys("a", "", { revision: 3 })).toBe("compacted");
    expect(store.compact(4)).toBe("compacted");
    expect(store.compact(7)).toBe("futureRev");
    expect(store.compact(-1)).toBe("compacted");
    expect(store.compact(6)).toBeUndefined();
  });

  test("a never compacted store may be compacted at 0 once", () => {
    const store = fiveKeys();
    expect(store.compact(0)).toBeUndefined();
    expect(store.compact(0)).toBe("compacted");
    expect(store.keys("a", "z")).toBe("a,b,c,d,e count 5");
    // The checksum of the bucket's name alone, cached by the compaction.
    expect(store.hashKv(0)).toBe("1084519789 -1 0");
  });

  test("in a transaction a negative revision is not the current one once anything was compacted", () => {
    const store = fiveKeys();
    const request = {
      success: [
        { request: { kind: "requestPut", value: { key: bytes("p") } } },
        { request: { kind: "requestRange", value: { key: bytes("a"), revision: -1 } } },
      ],
    } as const;
    expect(store.txn(request)).toMatchObject({ header: { revision: 7 } });
    store.compact(0);
    expect(store.txn(request)).toBe("compacted");
    expect(store.mvcc.currentRevision()).toBe(7);
  });
});

describe("hash vectors", () => {
  /** a=5 … e=1 at 2 to 6, x=1 at 7, x deleted and xy=1 put at 8. */
  function hashStore(): StoreFixture {
    const store = fiveKeys();
    store.put("x", "1");
    store.txn({
      success: [
        { request: { kind: "requestDeleteRange", value: { key: bytes("x") } } },
        { request: { kind: "requestPut", value: { key: bytes("xy"), value: bytes("1") } } },
      ],
    });
    return store;
  }

  test("with a tombstone, after a compaction below it", () => {
    const store = hashStore();
    expect(store.compact(4)).toBeUndefined();
    expect(store.hashKv(0)).toBe("3694223898 4 8");
    expect(store.hashKv(6)).toBe("3881159685 4 6");
  });

  test("compacted at the current revision", () => {
    const store = hashStore();
    store.compact(4);
    store.put("y", "1");
    store.deleteRange("y");
    expect(store.mvcc.currentRevision()).toBe(10);
    store.compact(10);
    store.restart();
    expect(store.hashKv(0)).toBe("856039925 10 10");
  });
});
