import { expect, test } from "vitest";
import { Inflights } from "./inflights.js";
import { SeededRandom } from "./testing/random.js";
import { noLimit } from "./types.js";

test("full by count", () => {
  const inflights = new Inflights(2, noLimit);
  inflights.add(1, 100);
  expect(inflights.full).toBe(false);
  inflights.add(2, 100);
  expect(inflights.full).toBe(true);
  inflights.freeTo(1);
  expect([inflights.full, inflights.count]).toEqual([false, 1]);
});

test("full by bytes, counting the message that crosses the limit", () => {
  const inflights = new Inflights(10, 100);
  inflights.add(1, 60);
  inflights.add(2, 60);
  expect(inflights.full).toBe(true);
  inflights.freeTo(1);
  expect(inflights.full).toBe(false);
  inflights.reset();
  expect(inflights.count).toBe(0);
});

test("agrees with a plain list, however it wraps and grows", () => {
  const random = new SeededRandom(3);
  const inflights = new Inflights(50, 1000);
  let list: { readonly index: number; readonly bytes: number }[] = [];
  for (let i = 1; i < 20_000; i++) {
    if (!inflights.full && random.chance(0.6)) {
      const bytes = random.integer(60);
      inflights.add(i, bytes);
      list.push({ index: i, bytes });
    } else {
      const index = i - random.integer(40);
      inflights.freeTo(index);
      list = list.filter((one) => one.index > index);
    }
    const bytes = list.reduce((sum, one) => sum + one.bytes, 0);
    expect([inflights.count, inflights.full]).toEqual([list.length, list.length === 50 || bytes >= 1000]);
  }
});
