/** A sample of `npm run soak -- kill` and `npm run soak -- power-loss`: the real member keeps what it acknowledged. */

import { expect, test } from "vitest";
import { cutMember, failDisk, killMember } from "./support/member-faults.js";
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

test("cuts of a member whose syncs do nothing are seen to lose something", async () => {
  let lost = 0;
  const report = (_number: number, texts: readonly string[]): number => (lost += texts.length > 0 ? 1 : 0);
  await cutMember({ count: 5, draw: seededDraw(2), shim: { noSync: true }, report });
  expect(lost).toBeGreaterThan(0);
});

test.each([{ failSync: 1 }, { failSync: 23 }, { failSync: 60 }, { fullAt: 1 }, { fullAt: 25 }, { fullAt: 200 }])(
  "a disk that fails ends the member with one clear line, and nothing is lost: %j",
  async (shim) => {
    expect(await failDisk(shim)).toEqual([]);
  },
);
