/** Looks for a seed that finds a bug. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Overrides } from "../options.js";
import { workerFlags } from "../runner.js";
import { type Bug, museumOverrides } from "./bugs.js";
import { copyWithBug, packagesDirectory } from "./copy.js";

const cleanMain = join(packagesDirectory, "sim", "dist", "main.js");

export interface Hunt {
  readonly bug: Bug;
  /** Undefined when no seed found it; `isClean` when that seed passes without the bug. */
  readonly found: { readonly seed: number; readonly reason: string; readonly isClean: boolean } | undefined;
  /** Seeds run, the finding one included. */
  readonly seeds: number;
}

export interface HuntOptions {
  readonly firstSeed: number;
  readonly seedsMax: number;
  readonly overrides?: Overrides;
}

/** Runs seeds from `firstSeed` on until one fails or `seedsMax` have passed. */
export async function hunt(bug: Bug, { firstSeed, seedsMax, overrides = {} }: HuntOptions): Promise<Hunt> {
  const copy = copyWithBug(bug);
  const flags = ["--overrides", JSON.stringify({ ...museumOverrides, ...overrides }), "--no-shrink"];
  try {
    const range = ["--seed", String(firstSeed), "--seeds", String(seedsMax)];
    const output = await run(copy.main, [...range, ...flags, "--until-failure", "--workers", "1"]);
    if (!/^\d+ passed, \d+ failed$/m.test(output)) {
      throw new Error(`bug ${bug.name}: the runs ended early, after ${output.trimEnd().split("\n").at(-1)}`);
    }
    const found = /^seed (\d+) FAILED.*\n {2}(.*)$/m.exec(output);
    if (found === null) return { bug, found: undefined, seeds: seedsMax };
    if (/\b(Type|Reference|Syntax)Error\b/.test(found[2] ?? ""))
      throw new Error(`bug ${bug.name} does not run: ${found[2]}`);
    const seed = Number(found[1]);
    // A seed that fails anyway has found another bug.
    const isClean = /^1 passed, 0 failed$/m.test(await run(cleanMain, ["--seed", String(seed), ...flags]));
    return { bug, found: { seed, reason: found[2] ?? "", isClean }, seeds: seed - firstSeed + 1 };
  } finally {
    copy.remove();
  }
}

function run(main: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...workerFlags, main, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}
