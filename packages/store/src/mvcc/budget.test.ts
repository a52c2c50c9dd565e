import { expect, test } from "vitest";
import { Budget, sortTask } from "./budget.js";

test("sorting in slices is stable and the same as at once", () => {
  const items = Array.from({ length: 20_001 }, (_, at) => ({ value: (at * 7919) % 101, at }));
  const budget = new Budget(0);
  const task = sortTask(items, (left, right) => left.value - right.value, budget);
  let step = task.next();
  let slices = 1;
  for (; step.done !== true; slices++) step = task.next();
  expect(step.value).toEqual([...items].sort((left, right) => left.value - right.value));
  expect(slices).toBeGreaterThan(10);
});

test.each([0, 1, 4096, 4097])("sorting %i items", (length) => {
  const items = Array.from({ length }, (_, at) => length - at);
  const task = sortTask(items, (left, right) => left - right, new Budget(Number.POSITIVE_INFINITY));
  const step = task.next();
  expect(step.value).toEqual([...items].sort((left, right) => left - right));
});
