import { describe, expect, test } from "vitest";
import { MemoryStorage } from "./memory-storage.js";
import { entrySize } from "./size.js";
import { snapshotAt, votersTo } from "./testing/group.js";
import { type Entry, noLimit } from "./types.js";

const entry = (index: number, term: number): Entry => ({ type: 0, term, index, data: undefined });
const indexes = (entries: readonly Entry[] | string) =>
  typeof entries === "string" ? entries : entries.map(({ index, term }) => `${index}/${term}`).join(" ");

/** Compacted up to 3 of term 3; entries 4 of term 4 and 5 of term 5. */
function storage(): MemoryStorage {
  const one = new MemoryStorage();
  one.applySnapshot(snapshotAt(3, 3, votersTo(1)));
  one.append([entry(4, 4), entry(5, 5)]);
  return one;
}

describe("MemoryStorage", () => {
  test.each([
    [2, "compacted"],
    [3, 3],
    [4, 4],
    [5, 5],
    [6, "unavailable"],
  ])("term of %i is %s", (index, term) => expect(storage().term(index)).toBe(term));

  test.each([
    [3, 5, noLimit, "compacted"],
    [4, 5, noLimit, "4/4"],
    [4, 6, noLimit, "4/4 5/5"],
    [4, 6, 0, "4/4"],
    [4, 6, 2 * entrySize(entry(4, 4)) - 1, "4/4"],
    [4, 6, 2 * entrySize(entry(4, 4)), "4/4 5/5"],
  ])("entries [%i, %i) in %i bytes are %s", (lo, hi, size, expected) => {
    expect(indexes(storage().entries(lo, hi, size))).toBe(expected);
  });

  test("entries beyond the end are a mistake of the caller, and none are there when it is empty", () => {
    expect(() => storage().entries(4, 7, noLimit)).toThrow("entries' hi(7) is out of bound lastindex(5)");
    expect(new MemoryStorage().entries(1, 1, noLimit)).toBe("unavailable");
  });

  test.each([
    ["at the end", [entry(6, 6)], "4/4 5/5 6/6"],
    ["over the end", [entry(5, 6), entry(6, 6)], "4/4 5/6 6/6"],
    ["over all", [entry(4, 6)], "4/6"],
    ["partly compacted", [entry(2, 3), entry(3, 3), entry(4, 7)], "4/7"],
    ["wholly compacted", [entry(2, 3), entry(3, 3)], "4/4 5/5"],
    ["nothing", [], "4/4 5/5"],
  ])("append %s", (_name, entries, expected) => {
    const one = storage();
    one.append(entries);
    expect(indexes(one.entries(4, one.lastIndex() + 1, noLimit))).toBe(expected);
  });

  test("append with a gap is a mistake of the caller", () => {
    expect(() => storage().append([entry(7, 7)])).toThrow("missing log entry [last: 5, append at: 7]");
  });

  test("compact", () => {
    const one = storage();
    expect(one.compact(3)).toBe("compacted");
    expect(() => one.compact(6)).toThrow("compact 6 is out of bound lastindex(5)");
    expect(one.compact(4)).toBeUndefined();
    expect([one.firstIndex(), one.lastIndex(), one.term(4), one.term(3)]).toEqual([5, 5, 4, "compacted"]);
  });

  test("snapshots only go forward", () => {
    const one = storage();
    expect(one.createSnapshot(3, undefined)).toBe("snapshot-out-of-date");
    expect(() => one.createSnapshot(6, undefined)).toThrow("out of bound");
    expect(one.createSnapshot(4, undefined, votersTo(2))).toEqual(snapshotAt(4, 4, votersTo(2)));
    expect(one.createSnapshot(5, undefined)).toEqual(snapshotAt(5, 5, votersTo(2)));
    expect(one.applySnapshot(snapshotAt(5, 5, votersTo(2)))).toBe("snapshot-out-of-date");
    expect(one.applySnapshot(snapshotAt(9, 9, votersTo(3)))).toBeUndefined();
    expect([one.firstIndex(), one.lastIndex(), one.term(9)]).toEqual([10, 9, 9]);
    expect(one.initialState().confState).toEqual(votersTo(3));
  });
});
