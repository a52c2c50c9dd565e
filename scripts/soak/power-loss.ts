/**
 * Power cuts of the real member under load, and of a smaller process that writes a log and a database.
 *
 *   node build/scripts/soak.js power-loss [--member-cuts 500] [--cuts 1000] [--seed 1]
 *
 * Of the smaller process, each seed decides on one to four lives, each but the last killed at some operation or stopped by a sync that fails,
 * and cuts the power 25 times in the log of what they did. Needs gcc.
 */

import { Lives } from "../../tests/robustness/support/lives.js";
import { cutMember } from "../../tests/robustness/support/member-faults.js";
import { option } from "../../tests/robustness/support/options.js";
import { seededDraw } from "../../tests/robustness/support/random.js";

const cutsPerSeed = 25;

const memberCutsPerRun = 50;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const seed = option(args, "--seed", 1);
  const member = await cutMembers(option(args, "--member-cuts", 500), seed);
  const writer = await cutWriters(option(args, "--cuts", 1000), seed);
  return { passed: member.passed + writer.passed, failed: member.failed + writer.failed };
}

async function cutMembers(cuts: number, firstSeed: number): Promise<{ passed: number; failed: number }> {
  let passed = 0;
  let failed = 0;
  for (let seed = firstSeed; passed + failed < cuts; seed++) {
    await cutMember({
      count: Math.min(memberCutsPerRun, cuts - passed - failed),
      draw: seededDraw(seed),
      report: (number, wrong) => {
        if (wrong.length === 0) passed++;
        else failed++;
        for (const text of wrong) console.log(`member, seed ${seed}, cut ${number}: ${text}`);
      },
    });
    console.log(`member, seed ${seed}: ${passed} cuts passed, ${failed} failed`);
  }
  return { passed, failed };
}

async function cutWriters(cuts: number, firstSeed: number): Promise<{ passed: number; failed: number }> {
  let passed = 0;
  let failed = 0;
  for (let seed = firstSeed; passed + failed < cuts; seed++) {
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
