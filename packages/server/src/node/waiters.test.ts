import { expect, test } from "vitest";
import { Waiters } from "./waiters.js";

function waiting(...startedAt: readonly number[]): { waiters: Waiters<string>; results: string[] } {
  const waiters = new Waiters<string>(3);
  const results: string[] = [];
  for (const [key, at] of startedAt.entries()) {
    waiters.add(key + 1, { startedAt: at, done: (result) => results.push(`${key + 1} ${result}`) });
  }
  return { waiters, results };
}

test("a wait ends once, with its result", () => {
  const { waiters, results } = waiting(0, 0);
  expect(waiters.has(1)).toBe(true);
  expect(waiters.settle(1, "done")).toBe(true);
  expect(waiters.settle(1, "again")).toBe(false);
  expect(waiters.has(1)).toBe(false);
  waiters.forget(2);
  expect(waiters.settle(2, "late")).toBe(false);
  expect(results).toEqual(["1 done"]);
});

test("what began in time expires, in the order of the keys; what began later waits on", () => {
  const { waiters, results } = waiting(10, 20, 30);
  expect(waiters.full).toBe(true);
  waiters.expire(20, (key) => `expired ${key}`);
  expect(results).toEqual(["1 expired 1", "2 expired 2"]);
  expect(waiters.count).toBe(1);
});

test("a wait that another's end has ended does not expire as well", () => {
  const { waiters, results } = waiting(0);
  waiters.add(0, { startedAt: 0, done: () => waiters.settle(1, "settled") });
  waiters.settleAll(() => "stopped");
  expect(results).toEqual(["1 settled"]);
});
