import { expect, test } from "vitest";
import { WritePlace } from "./write-place.js";

/** Many turns of the same load, the writes in the loop taking `writeMs`; whether the last one was done there. */
function after(place: WritePlace, load: { entries: number; reads: number; writeMs: number }): boolean {
  let isLoop = true;
  for (let turn = 0; turn < 200; turn++) {
    isLoop = place.isLoop(load);
    if (isLoop) place.measured(load.writeMs);
  }
  return isLoop;
}

test("while the disk is fast, writes are done in the loop", () => {
  expect(after(new WritePlace(), { entries: 100, reads: 0, writeMs: 0.3 })).toBe(true);
});

test("on a slow disk only the writes of few clients are done in the loop", () => {
  const place = new WritePlace();
  expect(after(place, { entries: 100, reads: 0, writeMs: 2 })).toBe(false);
  expect(after(place, { entries: 1, reads: 0, writeMs: 2 })).toBe(true);
});

test("many reads beside the writes do not wait for them", () => {
  const place = new WritePlace();
  expect(after(place, { entries: 20, reads: 80, writeMs: 0.3 })).toBe(false);
  expect(after(place, { entries: 1, reads: 50, writeMs: 0.3 })).toBe(false);
});

test("a few reads beside many writes wait, and when the reads have ended the loop is the place again", () => {
  const place = new WritePlace();
  expect(after(place, { entries: 80, reads: 20, writeMs: 0.3 })).toBe(true);
  expect(after(place, { entries: 20, reads: 80, writeMs: 0.3 })).toBe(false);
  expect(after(place, { entries: 20, reads: 0, writeMs: 0.3 })).toBe(true);
});

test("a commit index alone is no write of the disk", () => {
  const place = new WritePlace();
  after(place, { entries: 20, reads: 80, writeMs: 5 });
  expect(place.isLoop({ entries: 0, reads: 80 })).toBe(true);
});
