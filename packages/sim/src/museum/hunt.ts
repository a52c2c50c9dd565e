/** Looks for a seed that finds a bug. */

import { spawn } from "node:child_process";
import type { Overrides } from "../options.js";
import { workerFlags } from "../runner.js";
import { type Bug, museumOverrides } from "./bugs.js";
import { copyWithBug } from "./copy.js";

export interface Hunt {
  readonly bug: Bug;
  /** Undefined when no seed found it. */
  readonly found: { readonly seed: number; readonly reason: string } | undefined;
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
  try {
    const output = await run(copy.main, [
      ...["--seed", String(firstSeed), "--seeds", String(seedsMax)],
      ...[
        "--overrides",
        JSON.stringify({ ...museumOverrides, ...overrides }),
        "--until-failure",
        "--no-shrink",
        "--workers",
        "1",
      ],
    ]);
    if (!/^\d+ passed, \d+ failed$/m.test(output)) {
      throw new Error(`bug ${bug.name}: the runs ended early, after ${output.trimEnd().split("\n").at(-1)}`);
    }
    const found = /^seed (\d+) FAILED.*\n {2}(.*)$/m.exec(output);
    if (found === null) return { bug, found: undefined, seeds: seedsMax };
    if (/\b(Type|Reference|Syntax)Error\b/.test(found[2] ?? ""))
      throw new Error(`bug ${bug.name} does not run: ${found[2]}`);
    const seed = Number(found[1]);
    return { bug, found: { seed, reason: found[2] ?? "" }, seeds: seed - firstSeed + 1 };
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
