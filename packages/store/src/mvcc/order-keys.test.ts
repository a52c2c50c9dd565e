import { describe, expect, it } from "vitest";
import { Budget, runToEnd } from "./budget.js";
import { orderKeysTask } from "./order-keys.js";

function ordered(keys: readonly string[], budget = new Budget(Number.POSITIVE_INFINITY)): string[] {
  const bySlot = { length: keys.length, get: (slot: number) => keys[slot] as string };
  return Array.from(runToEnd(orderKeysTask(bySlot, budget)), (slot) => keys[slot] as string);
}

/** Different numbers below 2^31 in an order that is not theirs. */
function scattered(count: number): number[] {
  return Array.from({ length: count }, (_, at) => Math.imul(at, 0x9e37_79b1) >>> 1);
}

const sets: Readonly<Record<string, readonly string[]>> = {
  none: [],
  "the empty key and another": ["a", ""],
  "few, shuffled": scattered(100).map(String),
  "many numbers with a prefix": scattered(50_000).map((number) => `/bench/${String(number).padStart(12, "0")}`),
  "many of different lengths": scattered(20_000).map((number) => number.toString(36)),
  "many that share much, in sets of different sizes": scattered(40_000).map(
    (number) =>
      `/registry/${number % 7 === 0 ? "events/a-long-namespace" : `pods/${number % 3}`}/${number.toString(16)}`,
  ),
  "many alike in six characters, different in the seventh": scattered(20_000).map(
    (number) => `${number % 2 === 0 ? "x" : "y"}fixed${number.toString(36)}`,
  ),
  "prefixes of each other, by zero bytes": [...Array(4500).keys()].reverse().map((length) => "\u0000".repeat(length)),
  "prefixes of each other, by the last byte": [...Array(4500).keys()].map((length) => "\u00ff".repeat(length)),
  "all bytes": scattered(30_000).map((number) =>
    String.fromCharCode(number & 255, (number >>> 8) & 255, (number >>> 16) & 255, number >>> 24),
  ),
};

describe("order of keys", () => {
  it.each(Object.entries(sets))("is that of the sort: %s", (_name, keys) => {
    expect(ordered(keys)).toEqual([...keys].sort());
  });

  it("is found in slices, each a small part of the work", () => {
    const keys = sets["many numbers with a prefix"] as readonly string[];
    const budget = new Budget(0);
    const task = orderKeysTask({ length: keys.length, get: (slot) => keys[slot] as string }, budget);
    let slices = 0;
    let step = task.next();
    for (; step.done !== true; step = task.next()) {
      slices++;
      expect(budget.left).toBeGreaterThanOrEqual(-4096);
      budget.left = 0;
    }
    expect(slices).toBeGreaterThan(30);
    expect(Array.from(step.value, (slot) => keys[slot])).toEqual([...keys].sort());
  });
});
