import { expect, test } from "vitest";
import { RequestIds } from "./request-ids.js";

test("the first id carries the member's low 16 bits, the time and a counter", () => {
  const ids = new RequestIds(0x12n, 0x3456);
  expect(ids.next()).toBe(0x0012_0000_0034_5601n);
  expect(ids.next()).toBe(0x0012_0000_0034_5602n);
});

test("the counter carries into the time part", () => {
  const ids = new RequestIds(0x12n, 0x3456);
  let last = 0n;
  for (let i = 0; i < 256; i++) last = ids.next();
  expect(last).toBe(0x0012_0000_0034_5700n);
});

test("an id gives its suffix back only to the member that made it", () => {
  const ids = new RequestIds(0xabcd_0012n, 5);
  const id = ids.next();
  expect(ids.full(ids.suffixOf(id) ?? 0)).toBe(id);
  expect(new RequestIds(0x13n, 5).suffixOf(id)).toBeUndefined();
});

test("lease ids are positive", () => {
  const ids = new RequestIds(0xffffn, 1);
  const id = ids.nextLeaseId();
  expect(id > 0n && id < 2n ** 63n).toBe(true);
});
