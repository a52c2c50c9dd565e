import { expect, test } from "vitest";
import { WritePlace } from "./write-place.js";

interface Load {
  readonly entries: number;
  readonly reads: number;
  /** What a write takes in the loop. */
  readonly writeMs: number;
  /** What it takes longer on the thread. */
  readonly handOverMs?: number;
}

/** Many turns of the same load; whether most of the last ones were done in the loop. */
function after(place: WritePlace, { writeMs, handOverMs = 0.1, ...load }: Load): boolean {
  let inLoop = 0;
  for (let turn = 0; turn < 2000; turn++) {
    const isLoop = place.isLoop(load);
    if (isLoop) place.tookInLoop(writeMs);
    else place.tookOnThread(writeMs + handOverMs);
    if (isLoop && turn >= 1900) inLoop++;
  }
  return inLoop > 50;
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

test("a disk that was slow for a while is found to be fast again", () => {
  const place = new WritePlace();
  expect(after(place, { entries: 100, reads: 0, writeMs: 5 })).toBe(false);
  expect(after(place, { entries: 100, reads: 0, writeMs: 0.3 })).toBe(true);
});

test("when the way to the thread takes longer than the disk, the loop is the place", () => {
  expect(after(new WritePlace(), { entries: 100, reads: 0, writeMs: 2, handOverMs: 10 })).toBe(true);
  expect(after(new WritePlace(), { entries: 20, reads: 80, writeMs: 0.3, handOverMs: 10 })).toBe(true);
});

test("a commit index alone is no write of the disk", () => {
  const place = new WritePlace();
  after(place, { entries: 20, reads: 80, writeMs: 5 });
  expect(place.isLoop({ entries: 0, reads: 80 })).toBe(true);
});
