import { expect, test } from "vitest";
import { PagedList } from "./paged-list.js";

test("items of all pages are found and replaced", () => {
  const list = new PagedList<number>();
  const length = 3 * 4096 + 1;
  for (let at = 0; at < length; at++) list.push(at);
  for (const at of [0, 4095, 4096, 8191, length - 1]) list.set(at, -at);
  expect(list.length).toBe(length);
  for (const at of [0, 1, 4094, 4095, 4096, 4097, 8191, 8192, length - 2, length - 1]) {
    expect(Math.abs(list.get(at))).toBe(at);
  }
  expect([list.get(4095), list.get(4096), list.get(4097)]).toEqual([-4095, -4096, 4097]);
});
