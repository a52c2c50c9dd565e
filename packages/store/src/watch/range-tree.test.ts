import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RangeTree } from "./range-tree.js";

describe("RangeTree", () => {
  const key = fc.string({ unit: fc.constantFrom("a", "b", "c", "\xff"), maxLength: 3 });

  it("finds exactly the ranges that contain a key, after any additions and removals", () => {
    const range = fc.record({ lo: key, hi: fc.option(key, { nil: undefined }) });
    const command = fc.record({ range, owner: fc.nat(5), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), fc.array(key, { maxLength: 10 }), (commands, keys) => {
        const tree = new RangeTree<number>();
        const model = new Map<string, { lo: string; hi: string | undefined; owner: number }>();
        for (const {
          range: { lo, hi },
          owner,
          remove,
        } of commands) {
          const name = JSON.stringify([lo, hi ?? null, owner]);
          if (remove) {
            tree.delete(lo, hi, owner);
            model.delete(name);
          } else {
            tree.add(lo, hi, owner);
            model.set(name, { lo, hi, owner });
          }
        }
        for (const each of keys) {
          const found: number[] = [];
          tree.visit(each, (owner) => found.push(owner));
          const expected = [...model.values()].filter(({ lo, hi }) => lo <= each && (hi === undefined || each < hi));
          expect(found.sort()).toEqual(expected.map(({ owner }) => owner).sort());
        }
        const ranges = new Set([...model.values()].map(({ lo, hi }) => JSON.stringify([lo, hi ?? null])));
        expect(tree.rangeCount).toBe(ranges.size);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("looks at few of many ranges", () => {
    const tree = new RangeTree<number>();
    const count = 20_000;
    const name = (n: number): string => `/registry/${String(n).padStart(6, "0")}/`;
    for (let n = 0; n < count; n++) tree.add(name(n), `${name(n).slice(0, -1)}0`, n);
    // Comparisons with the key looked up are what a lookup costs: count them.
    let compared = 0;
    const probe = {
      [Symbol.toPrimitive]: () => {
        compared++;
        return `${name(1234)}pod`;
      },
    };
    const found: number[] = [];
    tree.visit(probe as unknown as string, (owner) => found.push(owner));
    expect(found).toEqual([1234]);
    expect(compared).toBeLessThan(200);
  });
});
