/** A sample of `npm run soak -- kill` and `npm run soak -- power-loss`: the real member keeps what it acknowledged. */

import { expect, test } from "vitest";
import { cutMember, killMember } from "./support/member-faults.js";
import { seededDraw } from "./support/random.js";

test("killed under load and started again", async () => {
  const wrong: string[] = [];
  let kills = 0;
  await killMember({
    count: 4,
    draw: seededDraw(1),
    report: (_number, texts) => {
      kills++;
      wrong.push(...texts);
    },
  });
  expect(wrong).toEqual([]);
  expect(kills).toBe(4);
});

test("without power at some point, and booted from what is left", async () => {
  const wrong: string[] = [];
  await cutMember({ count: 5, draw: seededDraw(2), report: (_number, texts) => wrong.push(...texts) });
  expect(wrong).toEqual([]);
});
