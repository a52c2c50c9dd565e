/**
 * Power cuts of a process that writes a log and a database.
 *
 *   node build/scripts/soak.js power-loss [--cuts 2000] [--seed 1]
 *
 * Each seed decides on one to four lives, each but the last killed at some operation or stopped by a sync that fails,
 * and cuts the power 25 times in the log of what they did. Needs gcc.
 */

import { Lives } from "../../tests/robustness/support/lives.js";
import { seededDraw } from "../../tests/robustness/support/random.js";

const cutsPerSeed = 25;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const cuts = option(args, "--cuts", 2000);
  let passed = 0;
  let failed = 0;
  for (let seed = option(args, "--seed", 1); passed + failed < cuts; seed++) {
    const draw = seededDraw(seed);
    const upTo = (bound: number): number => 1 + Math.floor(draw() * bound);
    const lives = new Lives();
    try {
      const story: string[] = [];
      for (let more = Math.floor(draw() * 4); more > 0; more--) {
        const fault = draw() < 0.5 ? { killAt: upTo(200) } : { failSync: upTo(60) };
        story.push(JSON.stringify(fault));
        lives.run({ entries: 1000, seed: upTo(1e6), ...fault });
      }
      const last = lives.run({ entries: upTo(400), seed: upTo(1e6) });
      const result = await lives.cut(cutsPerSeed, upTo(1e6));
      passed += result.passed;
      failed += result.failures.length;
      if (last.status !== 0) {
        failed++;
        console.log(`seed ${seed}: the last life ended with ${last.status}: ${last.stderr.slice(0, 500)}`);
      }
      console.log(`seed ${seed}: ${story.join(" ")} ${result.passed} cuts passed`);
      for (const failure of result.failures) console.log(`seed ${seed}: ${failure}`);
    } finally {
      lives.remove();
    }
  }
  return { passed, failed };
}

function option(args: readonly string[], name: string, otherwise: number): number {
  const at = args.indexOf(name);
  return at < 0 ? otherwise : Number(args[at + 1]);
}
