/**
 * Power cuts of the real member under load and defragmentations, and of a smaller process that writes a log and a
 * database; members whose n-th sync fails, or whose disk is full from the n-th write on; and power cuts of a member
 * whose syncs do nothing, which must be seen to lose data.
 *
 *   node build/scripts/soak.js power-loss [--member-cuts 500] [--cuts 1000] [--failures 100] [--seed 1]
 *
 * Of the smaller process, each seed decides on one to four lives, each but the last killed at some operation or stopped
 * by a sync that fails, and cuts the power 25 times in the log of what they did. Needs gcc.
 */

import { Lives } from "../../tests/robustness/support/lives.js";
import { cutMember, failDisk } from "../../tests/robustness/support/member-faults.js";
import { option } from "../../tests/robustness/support/options.js";
import { seededDraw } from "../../tests/robustness/support/random.js";

const cutsPerSeed = 25;

const memberCutsPerRun = 50;
const writesOfNewDatabase = 10;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const seed = option(args, "--seed", 1);
  const failures = option(args, "--failures", 100);
  const results = [
    await cutWithoutSync(seed),
    await failDisks(failures, "failSync"),
    await failDisks(failures, "fullAt"),
    await cutMembers(option(args, "--member-cuts", 500), seed),
    await cutWriters(option(args, "--cuts", 1000), seed),
  ];
  return {
    passed: results.reduce((sum, { passed }) => sum + passed, 0),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
  };
}

/** The test of this test. */
async function cutWithoutSync(seed: number): Promise<{ passed: number; failed: number }> {
  let lost = 0;
  const shim = { noSync: true };
  await cutMember({
    count: 20,
    draw: seededDraw(seed),
    shim,
    report: (_, wrong) => (lost += wrong.length > 0 ? 1 : 0),
  });
  console.log(`without syncs: ${lost} of 20 cuts lost something, as they must`);
  return lost > 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function failDisks(count: number, fault: "failSync" | "fullAt"): Promise<{ passed: number; failed: number }> {
  let failed = 0;
  for (let number = 1; number <= count; number++) {
    // LMDB's library crashes the process when a new file's first pages are refused: a probe file is written before
    // them.
    const at = fault === "fullAt" && number > 1 ? number + writesOfNewDatabase : number;
    const wrong = await failDisk({ [fault]: at });
    if (wrong.length > 0) failed++;
    for (const text of wrong) console.log(`${fault} ${at}: ${text}`);
  }
  console.log(`${fault} 1 to ${count}: ${count - failed} passed, ${failed} failed`);
  return { passed: count - failed, failed };
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
