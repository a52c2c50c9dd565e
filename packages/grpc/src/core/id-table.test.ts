import { expect, test } from "vitest";
import { IdTable } from "./id-table.js";

test("holds what a map holds, through any order of additions and removals", () => {
  let state = 7;
  const random = (bound: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * bound);
  };
  // Keys that collide: neighbours, multiples of a capacity, and beyond 32 bits.
  const keyOf = (): number => random(40) + 64 * random(3) + 2 ** 40 * random(2);
  const table = new IdTable<{ readonly n: number }>();
  const map = new Map<number, { readonly n: number }>();
  for (let n = 0; n < 4000; n++) {
    const key = keyOf();
    if (random(100) < 55) {
      table.set(key, { n });
      map.set(key, { n });
    } else {
      expect(table.take(key)).toEqual(map.get(key));
      map.delete(key);
    }
    expect(table.size).toBe(map.size);
    const probe = keyOf();
    expect(table.get(probe)).toEqual(map.get(probe));
  }
  const sorted = [...map].sort(([left], [right]) => left - right);
  expect(table.entries()).toEqual(sorted);
  expect(table.values()).toEqual(sorted.map(([, value]) => value));
  expect(table.entries(({ n }) => n % 2 === 0)).toEqual(sorted.filter(([, { n }]) => n % 2 === 0));
});
