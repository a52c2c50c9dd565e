import { describe, expect, test } from "vitest";
import { Budget, runToEnd } from "./budget.js";
import { KeyIndex } from "./key-index.js";
import { notInRing } from "./record-ring.js";

/** put 1, put 2, delete 3, put 4, delete 5. */
function worked(): KeyIndex {
  const index = new KeyIndex();
  const slot = index.put("foo", 1, 0, 0);
  index.put("foo", 2, 0, 0);
  index.tombstone(slot, 3, 0);
  index.put("foo", 4, 0, 0);
  index.tombstone(slot, 5, 0);
  return index;
}

/** What the key is at each revision from 1 to 6: `main v version c created`, or `-`. */
function history(index: KeyIndex, key = "foo"): string[] {
  const slot = index.slotOf(key);
  return [1, 2, 3, 4, 5, 6].map((revision) => {
    if (slot < 0 || !index.locate(slot, revision)) return "-";
    const { main, version, created } = index.located;
    return `${main}v${version}c${created}`;
  });
}

/** Revisions 1 to 5 that the index still names. */
function named(index: KeyIndex): number[] {
  const slot = index.slotOf("foo");
  return slot < 0 ? [] : [1, 2, 3, 4, 5].filter((main) => index.contains(slot, main, 0));
}

function count(index: KeyIndex, lo: string, hi: string | undefined, revision: number): number {
  return runToEnd(index.countTask(lo, hi, revision, new Budget(Number.POSITIVE_INFINITY)));
}

describe("the worked example", () => {
  test("reads at every revision", () => {
    expect(history(worked())).toEqual(["1v1c1", "2v2c1", "-", "4v1c4", "-", "-"]);
  });

  test.each([
    [1, ["1v1c1", "2v2c1", "-", "4v1c4", "-", "-"], [1, 2, 3, 4, 5]],
    [2, ["-", "2v2c1", "-", "4v1c4", "-", "-"], [2, 3, 4, 5]],
    // A tombstone exactly at the compacted revision stays, and with it nothing before it.
    [3, ["-", "-", "-", "4v1c4", "-", "-"], [3, 4, 5]],
    [4, ["-", "-", "-", "4v1c4", "-", "-"], [4, 5]],
    [5, ["-", "-", "-", "-", "-", "-"], [5]],
    [6, ["-", "-", "-", "-", "-", "-"], []],
  ])("compacted at %i", (revision, expected, rows) => {
    const index = worked();
    expect(index.compact("", revision, 10)).toEqual({ next: undefined, kept: revision === 6 ? 0 : 1 });
    expect(history(index)).toEqual(expected);
    expect(named(index)).toEqual(rows);
    expect(index.size).toBe(rows.length === 0 ? 0 : 1);
  });

  test("compactions one after the other end where a single one does", () => {
    const index = worked();
    for (const revision of [1, 2, 3, 4, 5]) index.compact("", revision, 10);
    expect(named(index)).toEqual([5]);
    index.compact("", 6, 10);
    expect(index.slotOf("foo")).toBe(-1);
  });

  test("restored from rows it reads the same", () => {
    const index = new KeyIndex();
    index.restore("foo", 2, 0, false, 1, 2);
    index.restore("foo", 3, 0, true, 0, 0);
    index.restore("foo", 4, 0, false, 4, 1);
    index.restore("foo", 5, 0, true, 0, 0);
    runToEnd(index.finishRestore(new Budget(Number.POSITIVE_INFINITY)));
    expect(history(index)).toEqual(["-", "2v2c1", "-", "4v1c4", "-", "-"]);
    expect(count(index, "", undefined, 5)).toBe(0);
    expect(count(index, "", undefined, 4)).toBe(1);
  });

  test("a key whose first row is a tombstone is restored as deleted", () => {
    const index = new KeyIndex();
    index.restore("foo", 3, 0, true, 0, 0);
    index.restore("foo", 4, 0, false, 4, 1);
    runToEnd(index.finishRestore(new Budget(Number.POSITIVE_INFINITY)));
    expect(history(index)).toEqual(["-", "-", "-", "4v1c4", "4v1c4", "4v1c4"]);
  });
});

test("of several revisions within one main the highest sub is read", () => {
  const index = new KeyIndex();
  const slot = index.put("foo", 2, 0, 0);
  index.tombstone(slot, 3, 0);
  index.put("foo", 3, 1, 0);
  expect(history(index)).toEqual(["-", "2v1c2", "3v1c3", "3v1c3", "3v1c3", "3v1c3"]);
  index.compact("", 3, 10);
  expect([index.contains(slot, 3, 0), index.contains(slot, 3, 1)]).toEqual([true, true]);
  expect(index.isKept(slot, 3, 1, 3)).toBe(true);
});

test("revisions of a key that do not ascend are a bug", () => {
  const index = new KeyIndex();
  const slot = index.put("foo", 3, 1, notInRing);
  expect(() => index.put("foo", 3, 1, notInRing)).toThrow("ascend");
  index.tombstone(slot, 4, 0);
  expect(() => index.tombstone(slot, 5, 0)).toThrow("follows a put");
});

describe("order", () => {
  const chunkKeysMax = 4;

  function filled(countOfKeys: number): KeyIndex {
    const index = new KeyIndex(chunkKeysMax);
    for (let at = 0; at < countOfKeys; at++) {
      const number = (at * 37) % countOfKeys;
      index.put(`k${String(number).padStart(3, "0")}`, at + 2, 0, notInRing);
    }
    return index;
  }

  function keysIn(index: KeyIndex, lo: string, hi: string | undefined): string[] {
    const keys: string[] = [];
    index.visit(lo, hi, (slot) => {
      keys.push(index.keyOf(slot));
      return true;
    });
    return keys;
  }

  test("keys are visited ascending whatever the order of insertion, within half-open bounds", () => {
    const index = filled(101);
    const all = Array.from({ length: 101 }, (_, at) => `k${String(at).padStart(3, "0")}`);
    expect(keysIn(index, "", undefined)).toEqual(all);
    for (const [lo, hi] of [
      ["k010", "k020"],
      ["k010", "k010"],
      ["k020", "k010"],
      ["a", "k000"],
      ["k0995", "k1"],
      ["k1", "z"],
    ] as const) {
      expect(keysIn(index, lo, hi), `${lo} ${hi}`).toEqual(all.filter((key) => key >= lo && key < hi));
    }
    expect(keysIn(index, "k099", undefined)).toEqual(["k099", "k100"]);
    expect(keysIn(new KeyIndex(), "", undefined)).toEqual([]);
  });

  test("counting, by chunks and key by key, agrees with visiting at every revision", () => {
    const index = filled(101);
    for (let at = 0; at < 101; at += 3) index.tombstone(index.slotOf(`k${String(at).padStart(3, "0")}`), 200 + at, 0);
    for (const revision of [1, 2, 50, 102, 200, 250, 400]) {
      for (const [lo, hi] of [
        ["", undefined],
        ["k003", "k077"],
        ["k050", undefined],
        ["k0", "k0505"],
      ] as const) {
        let expected = 0;
        index.visit(lo, hi, (slot) => {
          if (index.locate(slot, revision)) expected++;
          return true;
        });
        expect(count(index, lo, hi, revision), `${lo} ${hi} at ${revision}`).toBe(expected);
      }
    }
  });

  test("counting in slices gives the same", () => {
    const index = filled(101);
    const budget = new Budget(0);
    const task = index.countTask("k010", "k090", 60, budget);
    let step = task.next();
    let slices = 1;
    for (; step.done !== true; slices++) step = task.next();
    expect(step.value).toBe(count(index, "k010", "k090", 60));
    expect(slices).toBeGreaterThan(10);
  });

  test("a compaction in slices visits every key once, removing as it goes", () => {
    const index = filled(101);
    for (let at = 0; at < 101; at++)
      if (at % 4 !== 0) index.tombstone(index.slotOf(`k${String(at).padStart(3, "0")}`), 200 + at, 0);
    let next: string | undefined = "";
    let kept = 0;
    while (next !== undefined) {
      const step: { next: string | undefined; kept: number } = index.compact(next, 400, 7);
      next = step.next;
      kept += step.kept;
    }
    index.validate();
    expect(kept).toBe(26);
    expect(index.size).toBe(26);
    expect(keysIn(index, "", undefined)).toHaveLength(26);
    expect(count(index, "", undefined, 400)).toBe(26);
    // Slots of removed keys are used again.
    index.put("new", 500, 0, notInRing);
    expect(keysIn(index, "new", "new\0")).toEqual(["new"]);
  });
});
