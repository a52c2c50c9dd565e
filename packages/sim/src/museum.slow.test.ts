import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bugs } from "./museum/bugs.js";
import { applyBug, packagesDirectory } from "./museum/copy.js";
import { hunt } from "./museum/hunt.js";

/** A seed is of one commit: those behind it find the bug too when the code has moved on. */
const seedsMax = 40;

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
      expect(found).toBeDefined();
    });
  }
});
