import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { drawOptions } from "./options.js";
import { simulate } from "./simulation.js";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const seeds = [1, 6, 23];

describe("the same seed is the same run", () => {
  for (const seed of seeds) {
    test(`seed ${seed}, twice in this process`, async () => {
      const options = drawOptions(seed, { seconds: 5 });
      const first = await simulate(options);
      const second = await simulate(options);
      expect(second.traceHash).toBe(first.traceHash);
      expect(second.events).toBe(first.events);
    });

    test(`seed ${seed}, in two other processes`, () => {
      const run = (): string | undefined =>
        /trace ([0-9a-f]+)/.exec(
          execFileSync(process.execPath, [main, "--seed", String(seed), "--seconds", "5"], { encoding: "utf8" }),
        )?.[1];
      const first = run();
      expect(first).toBeDefined();
      expect(run()).toBe(first);
    });
  }

  test("another seed is another run", async () => {
    const [a, b] = [await simulate(drawOptions(1, { seconds: 2 })), await simulate(drawOptions(2, { seconds: 2 }))];
    expect(a.traceHash).not.toBe(b.traceHash);
  });
});
