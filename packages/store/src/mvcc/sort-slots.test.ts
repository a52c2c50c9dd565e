import { expect, test } from "vitest";
import { Budget, runToEnd } from "./budget.js";
import { sortSlots } from "./sort-slots.js";

const counts = [0, 1, 2, 4095, 4096, 4097, 8192, 12_289, 30_000];

/** Distinct keys in no order. */
function shuffledKeys(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `key-${Math.imul(i + 1, 0x9e3779b1) >>> 0}`);
}

test.each(counts)("%i keys in order", (count) => {
  const keys = shuffledKeys(count);
  const slots = runToEnd(sortSlots(keys, new Budget(Number.POSITIVE_INFINITY)));
  expect(Array.from(slots, (slot) => keys[slot])).toEqual(keys.toSorted());
});

test("in slices, with the same result", () => {
  const keys = shuffledKeys(20_000);
  const budget = new Budget(0);
  const task = sortSlots(keys, budget);
  let slices = 0;
  let step = task.next();
  for (; step.done !== true; step = task.next()) {
    slices++;
    budget.left = 4000;
  }
  expect(slices).toBeGreaterThan(5);
  expect(Array.from(step.value, (slot) => keys[slot])).toEqual(keys.toSorted());
});
