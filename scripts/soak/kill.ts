/**
 * The real member, killed under load again and again: nothing acknowledged may be lost.
 *
 *   node build/scripts/soak.js kill [--kills 2000] [--seed 1]
 */

import { killMember } from "../../tests/robustness/support/member-faults.js";
import { option } from "../../tests/robustness/support/options.js";
import { seededDraw } from "../../tests/robustness/support/random.js";

/** Kills of one data directory, before a new one is begun. */
const killsPerMember = 100;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const kills = option(args, "--kills", 2000);
  let passed = 0;
  let failed = 0;
  for (let seed = option(args, "--seed", 1); passed + failed < kills; seed++) {
    await killMember({
      count: Math.min(killsPerMember, kills - passed - failed),
      draw: seededDraw(seed),
      report: (number, wrong) => {
        if (wrong.length === 0) passed++;
        else failed++;
        for (const text of wrong) console.log(`seed ${seed}, kill ${number}: ${text}`);
      },
    });
    console.log(`seed ${seed}: ${passed} kills passed, ${failed} failed`);
  }
  return { passed, failed };
}
