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

test("sockets that are filled again and again leave the loop to others in between", async () => {
  let flushed = 0;
  const flushes = new TurnFlush();
  const full = { flush: () => void (++flushed < 200 && flushes.refill(full)) };
  const other = { flush: () => void (++flushed < 200 && flushes.refill(other)) };
  flushes.add(full);
  flushes.add(other);
  let turns = 0;
  for (; flushed < 200; turns++) {
    const before = flushed;
    await turn();
    expect(flushed).toBeGreaterThan(before);
    expect(flushed - before).toBeLessThanOrEqual(20);
  }
  expect(turns).toBeGreaterThan(9);
});
