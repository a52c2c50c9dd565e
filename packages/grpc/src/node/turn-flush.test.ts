import { expect, test } from "vitest";
import { TurnFlush } from "./turn-flush.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("flushes in the order of waking, behind the promise jobs of the turn", async () => {
  const order: string[] = [];
  const flushes = new TurnFlush();
  flushes.add({ flush: () => order.push("first") });
  void Promise.resolve()
    .then(() => order.push("job"))
    .then(() => flushes.add({ flush: () => order.push("second") }));
  expect(order).toEqual([]);
  await turn();
  expect(order).toEqual(["job", "first", "second"]);
});

test("flushes at once when asked to, and not again", async () => {
  const order: string[] = [];
  const flushes = new TurnFlush();
  flushes.add({ flush: () => order.push("early") });
  flushes.run();
  expect(order).toEqual(["early"]);
  flushes.add({ flush: () => order.push("late") });
  expect(order).toEqual(["early"]);
  await turn();
  expect(order).toEqual(["early", "late"]);
});

test("what is woken by a flush is flushed too", async () => {
  const order: string[] = [];
  const flushes = new TurnFlush();
  flushes.add({
    flush: () => {
      order.push("first");
      flushes.add({ flush: () => order.push("its own") });
    },
  });
  await turn();
  expect(order).toEqual(["first", "its own"]);
});
