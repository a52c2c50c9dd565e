import { expect, test } from "vitest";
import { RecordLane } from "./record-lane.js";

test("keeps its rows in order over many pages, wherever they are put in", () => {
  const lane = new RecordLane();
  const expected: number[] = [];
  let random = 1;
  const put = (order: number): void => {
    const position = lane.lowerBound(7, order);
    lane.insert(position, 7, order);
    lane.setValue(position, order % 5, order, order * 2);
    expected.push(order);
  };
  for (let order = 0; order < 12_000; order++) put(order * 4);
  for (let n = 1; n <= 300; n++) {
    random = Math.imul(random, 1_664_525) + 1_013_904_223;
    // Distinct, and none of those before.
    put(((random >>> 0) % 40) * 1200 + n * 4 + 1);
  }
  put(1);
  put(48_001);
  expected.sort((a, b) => a - b);
  expect(lane.count).toBe(expected.length);
  const rows = Array.from({ length: lane.count }, (_, at) => lane.order(at));
  expect(rows).toEqual(expected);
  for (const [at, order] of expected.entries()) {
    expect([lane.main(at), lane.block(at), lane.offset(at), lane.length(at)]).toEqual([7, order % 5, order, order * 2]);
    expect(lane.find(7, order)).toBe(at);
  }
  expect(lane.find(7, 2)).toBe(-1);
  expect(lane.find(6, 4)).toBe(-1);
  expect(lane.isBehindAll(7, 48_001)).toBe(false);
  expect(lane.isBehindAll(7, 48_002)).toBe(true);
});
