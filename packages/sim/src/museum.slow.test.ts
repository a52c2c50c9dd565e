import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bugs, museumOverrides } from "./museum/bugs.js";
import { applyBug, packagesDirectory } from "./museum/copy.js";
import { hunt } from "./museum/hunt.js";
import { drawOptions } from "./options.js";
import { simulate } from "./simulation.js";

/** A seed is of one commit: those behind it find the bug too when the code has moved on. */
const seedsMax = 40;

/**
 * What the simulator has found in this server; each is mended, and its bug is in the museum: with the bug the recorded
 * run fails, without it passes.
 */
const finds = [
  {
    find: "a leader that removed itself from a cluster of two stopped before the other voter knew that it was committed",
    bug: "removed-leader-stops-at-once",
  },
  {
    find: "a leader that was paused beyond an election proposed to revoke leases that its successor had extended",
    bug: "stale-leader-revokes",
  },
  {
    find: "a leader that lost and regained leadership while it was being confirmed revoked leases that were renewed since",
    bug: "revokes-of-earlier-term",
  },
  {
    find: "a leader that was paused beyond an election renewed a lease that a client had revoked at its successor",
    bug: "stale-leader-renews",
  },
  {
    find: "a record whose length field filled its sector, and was lost with it, was taken for damage",
    bug: "torn-length-refused",
  },
  {
    find: "a received snapshot was acknowledged before the commit index that makes it count was on disk",
    bug: "received-state-not-covered",
  },
  {
    find: "a batch whose sync failed twice, the second time at a start, was taken for durable by the next start",
    bug: "rewritten-batch-marked",
  },
  {
    find: "the second voter of a cluster asked a learner that was behind, and never joined",
    bug: "joins-by-first-answer",
  },
];

describe("finds", () => {
  for (const { find, bug: name } of finds) {
    const replay = bugs.find((one) => one.name === name)?.replay;
    if (replay === undefined) continue;
    test(`${find}: no more`, async () => {
      const { seed, overrides } = replay;
      const { violation } = await simulate(drawOptions(seed, { ...museumOverrides, ...overrides }));
      expect(violation).toBeUndefined();
    });
  }
});

describe("past bugs", () => {
  for (const bug of bugs) {
    test(`${bug.name}: the text to be replaced is there once`, () => {
      const source = readFileSync(join(packagesDirectory, bug.file), "utf8");
      expect(applyBug(source, bug)).not.toBe(source);
    });
  }

  test("a text that is not there, or twice, is an error", () => {
    const bug = { name: "none", file: "none", find: "a", replace: "b" };
    expect(() => applyBug("xyz", bug)).toThrow("occurs 0 times");
    expect(() => applyBug("axa", bug)).toThrow("occurs 2 times");
  });

  for (const bug of bugs) {
    const { replay } = bug;
    if (replay === undefined) continue;
    test(`${bug.name} is found again`, async () => {
      const { found } = await hunt(bug, { firstSeed: replay.seed, seedsMax, overrides: replay.overrides });
      expect(found?.isClean).toBe(true);
    });
  }
});
