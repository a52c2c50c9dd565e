import { expect, test } from "vitest";
import { ReadIndexLoop } from "./read-index.js";

function setUp() {
  const state = { now: 0, applied: 0, id: 0n, asked: [] as Uint8Array[] };
  const counts = { readIndexesFailed: 0, slowReadIndexes: 0 };
  const loop = new ReadIndexLoop(
    {
      clock: { now: () => state.now, wallTime: () => 0, setTimer: () => ({ cancel() {} }), defer: () => {} },
      requestReadIndex: (context) => void state.asked.push(context),
      nextRequestId: () => ++state.id,
      appliedIndex: () => state.applied,
      counts,
    },
    { timeoutMs: 7000, retryMs: 500, readersMax: 4 },
  );
  const results: (string | undefined)[] = [];
  const read = (): void => loop.read((refusal) => results.push(refusal));
  return { state, loop, results, read, counts };
}

test("readers of one turn share a round and wait until its index is applied", () => {
  const { state, loop, results, read } = setUp();
  read();
  read();
  loop.startRound();
  expect(state.asked).toHaveLength(1);
  loop.confirmed(state.asked[0]!, 5);
  expect(results).toEqual([]);
  state.applied = 5;
  loop.applied(5);
  expect(results).toEqual([undefined, undefined]);
});

test("a reader that comes after the request waits for the next round", () => {
  const { state, loop, results, read } = setUp();
  state.applied = 9;
  read();
  loop.startRound();
  read();
  loop.confirmed(state.asked[0]!, 5);
  expect(results).toEqual([undefined]);
  expect(loop.wantsRound).toBe(true);
});

test("an answer to an id of an earlier round is ignored", () => {
  const { state, loop, results, read, counts } = setUp();
  read();
  loop.startRound();
  loop.leaderChanged();
  expect(results).toEqual(["leaderChanged"]);
  read();
  loop.startRound();
  loop.confirmed(state.asked[0]!, 0);
  expect(results).toHaveLength(1);
  loop.confirmed(state.asked[1]!, 0);
  expect(results).toHaveLength(2);
  expect(counts).toEqual({ readIndexesFailed: 1, slowReadIndexes: 1 });
});

test("a round asks again with a fresh id, then gives up", () => {
  const { state, loop, results, read, counts } = setUp();
  read();
  loop.startRound();
  state.now = 500;
  loop.tick();
  expect(state.asked).toHaveLength(2);
  expect(state.asked[0]).not.toEqual(state.asked[1]);
  state.now = 7000;
  loop.tick();
  expect(results).toEqual(["timeout"]);
  expect(counts).toEqual({ readIndexesFailed: 0, slowReadIndexes: 1 });
});

test("more readers than the limit are refused, and stopping releases all", () => {
  const { loop, results, read } = setUp();
  for (let i = 0; i < 5; i++) read();
  expect(results).toEqual(["requestTooManyRequests"]);
  loop.stop();
  expect(results.slice(1)).toEqual(["stopped", "stopped", "stopped", "stopped"]);
});
