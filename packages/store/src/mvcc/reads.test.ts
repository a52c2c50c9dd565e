/** The two short ways of reading: one key without a request, and a range in a buffer that is used again. */

import { describe, expect, test } from "vitest";
import { bytes, StoreFixture, text, whole } from "../testing/store-fixture.js";
import type { RangeRequest } from "./range.js";

function rangeRequest(key: string, rangeEnd: string, revision = 0): RangeRequest {
  return {
    ...{ key: bytes(key), rangeEnd: bytes(rangeEnd), revision, limit: 0, sortOrder: 0, sortTarget: 0 },
    ...{ keysOnly: false, countOnly: false },
    ...{ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 },
  };
}

describe("a get of one key", () => {
  test("is the range of that key, at any revision", () => {
    const store = new StoreFixture();
    for (const value of ["1", "2", "3", "4"]) store.put("a", value);
    store.deleteRange("a");
    store.put("b", "5");
    store.compact(3);
    const seen: string[] = [];
    for (const key of ["a", "b", "c"]) {
      for (let revision = -1; revision <= 8; revision++) {
        const got = store.mvcc.get(key, revision);
        expect(got).toEqual(store.mvcc.range(rangeRequest(key, "", revision)));
        seen.push(got.kind === "refused" ? got.reason : `${key} ${got.count}`);
      }
    }
    expect(new Set(seen)).toEqual(new Set(["a 1", "a 0", "b 1", "b 0", "c 0", "compacted", "futureRev"]));
  });
});

describe("ranges in slices", () => {
  /** The values, in the order of the answer. */
  function values(read: ReturnType<StoreFixture["mvcc"]["startRange"]>): string {
    const result = read.finish();
    return result.kind === "range" ? text(whole(result.kvs)).replace(/[^A-Z]/g, "") : result.reason;
  }

  test("that go on at the same time keep apart", () => {
    const store = new StoreFixture();
    for (const key of ["a", "b", "c", "d", "e", "f"]) store.put(key, key.toUpperCase());
    const first = store.mvcc.startRange(rangeRequest("a", "d"));
    const second = store.mvcc.startRange(rangeRequest("d", "g"));
    expect([first.step(1), second.step(1), first.step(1), second.step(1)]).toEqual(Array(4).fill(undefined));
    expect(values(second)).toBe("DEF");
    // Begins in the buffer that the second has given back.
    const third = store.mvcc.startRange(rangeRequest("b", "c"));
    expect(values(first)).toBe("ABC");
    expect(values(third)).toBe("B");
  });

  test("one that was cancelled leaves nothing behind", () => {
    const store = new StoreFixture();
    for (const key of ["a", "b", "c"]) store.put(key, key.toUpperCase());
    const given = store.mvcc.startRange(rangeRequest("a", "d"));
    expect(given.step(1)).toBeUndefined();
    given.cancel();
    expect(values(store.mvcc.startRange(rangeRequest("c", "d")))).toBe("C");
  });
});
