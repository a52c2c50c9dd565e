/** `node packages/sim/dist/museum-main.js [--seeds N] [--first SEED] [--overrides JSON] [--recorded] [NAME…]`: hunts the past bugs,
 * those that are named in that order, and says how long each took; with `--recorded` from their recorded runs on. */

import { parseArgs } from "node:util";
import { type Bug, bugs } from "./museum/bugs.js";
import { type Hunt, hunt } from "./museum/hunt.js";
import type { Overrides } from "./options.js";

export async function runMuseum(
  args: readonly string[],
  print: (line: string) => void,
): Promise<{ readonly passed: number; readonly failed: number }> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seeds: { type: "string", default: "2000" },
      first: { type: "string", default: "1" },
      overrides: { type: "string", default: "{}" },
      recorded: { type: "boolean", default: false },
    },
  });
  const chosen = positionals.length === 0 ? bugs : positionals.map(bugNamed);
  const overrides = JSON.parse(values.overrides) as Overrides;
  const seedsMax = Number(values.seeds);
  const hunts: Hunt[] = [];
  for (const bug of chosen) {
    const replay = values.recorded ? bug.replay : { seed: Number(values.first), overrides: {} };
    if (replay === undefined) continue;
    const { seed, overrides: own } = replay;
    const result = await hunt(bug, { firstSeed: seed, seedsMax, overrides: { ...own, ...overrides } });
    hunts.push(result);
    print(`${bug.name.padEnd(28)} ${String(result.seeds).padStart(5)} seeds  ${outcomeOf(result).slice(0, 160)}`);
  }
  const found = hunts.filter((one) => one.found?.isClean === true).map((one) => one.seeds);
  found.sort((a, b) => a - b);
  print(`median ${found[Math.floor(found.length / 2)] ?? "none"} seeds, ${found.length} of ${hunts.length} bugs found`);
  return { passed: found.length, failed: hunts.length - found.length };
}

function outcomeOf({ found }: Hunt): string {
  if (found === undefined) return "NOT FOUND";
  return `seed ${found.seed}${found.isClean ? "" : " FAILS WITHOUT IT AS WELL"}: ${found.reason}`;
}

function bugNamed(name: string): Bug {
  const bug = bugs.find((one) => one.name === name);
  if (bug === undefined) throw new Error(`no bug is named ${name}`);
  return bug;
}
