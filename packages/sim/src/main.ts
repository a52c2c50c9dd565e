/** `npm run sim`: see --help. */

import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { defaultSeconds, describeOptions, drawOptions, type Overrides } from "./options.js";
import { runOnWorkers, type SeedReport, serveSeeds } from "./runner.js";
import { describeSteps, replayCommand, shrink } from "./shrink.js";
import { type RunResult, simulate } from "./simulation.js";

const usage = `usage: npm run sim -- [options]
  --seed N          run one seed (default 1)
  --seeds COUNT     run that many seeds, from --seed on
  --minutes M       run seeds, from --seed on, until that many minutes have passed
  --seconds S       virtual seconds of each run's faults (default ${defaultSeconds})
  --workers N       how many runs at a time (default with --seeds and --minutes: one for each core)
  --until-failure   stop at the first run that fails
  --overrides JSON  options that are not drawn from the seed
  --shrink SEED     look for the smallest run that fails as this seed does (with --overrides: as it does with them)
  --save FILE       write what --shrink found, for --replay
  --replay FILE     run the seed and the overrides in a file: {"seed": 1, "overrides": {}}
  --no-shrink       with --seeds and --minutes: do not look for a smaller run when the first one fails
  --verbose         print what happens`;

/** Runs to shrink the first failure among many seeds, and one that was asked for. */
const shrinkRunsMax = { first: 40, asked: 400 };

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string" },
    minutes: { type: "string" },
    seconds: { type: "string" },
    workers: { type: "string" },
    /** Of a worker's process: see runner.ts. */
    worker: { type: "boolean", default: false },
    "until-failure": { type: "boolean", default: false },
    overrides: { type: "string", default: "{}" },
    replay: { type: "string" },
    shrink: { type: "string" },
    save: { type: "string" },
    "no-shrink": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

async function main(): Promise<number> {
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const overrides = parseOverrides();
  if (values.worker) {
    await serveSeeds((seed) => runForParent(seed, overrides));
    return 0;
  }
  const log = values.verbose ? { log: (line: string) => console.log(line) } : {};
  if (values.replay !== undefined) {
    const replay = JSON.parse(readFileSync(values.replay, "utf8")) as { seed: number; overrides: Overrides };
    return report(await timed(drawOptions(replay.seed, replay.overrides), replay.overrides, log));
  }
  if (values.shrink !== undefined) return shrinkAndPrint(Number(values.shrink), overrides, shrinkRunsMax.asked);
  if (values.seeds === undefined && values.minutes === undefined) {
    return report(await timed(drawOptions(Number(values.seed), overrides), overrides, log));
  }
  const workers = Number(values.workers ?? availableParallelism());
  return workers > 1 ? runSeedsOn(workers, overrides) : runSeeds(overrides);
}

function parseOverrides(): Overrides {
  const given = JSON.parse(values.overrides) as Overrides;
  return values.seconds === undefined ? given : { ...given, seconds: Number(values.seconds) };
}

function report(failed: boolean): number {
  console.log(failed ? "0 passed, 1 failed" : "1 passed, 0 failed");
  return failed ? 1 : 0;
}

async function runSeeds(overrides: Overrides): Promise<number> {
  const first = Number(values.seed);
  const end = values.seeds === undefined ? Number.POSITIVE_INFINITY : first + Number(values.seeds);
  const endsAt = values.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(values.minutes) * 60_000;
  let passed = 0;
  let failed = 0;
  for (let seed = first; seed < end && Date.now() < endsAt; seed++) {
    if (await timed(drawOptions(seed, overrides), overrides)) {
      failed++;
      if (failed === 1 && !values["no-shrink"]) await shrinkAndPrint(seed, overrides, shrinkRunsMax.first);
    } else passed++;
    if (failed > 0 && values["until-failure"]) break;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Gives the seeds to workers, and says how fast they were. */
async function runSeedsOn(workers: number, overrides: Overrides): Promise<number> {
  const startedAt = performance.now();
  const sums = { passed: 0, failed: 0, virtualMs: 0, answers: 0, cpuMs: 0 };
  const seeds = {
    first: Number(values.seed),
    count: Number(values.seeds ?? Number.POSITIVE_INFINITY),
    endsAt: startedAt + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000,
    untilFailure: values["until-failure"],
    again: (seed: number) => replayCommand(seed, overrides),
  };
  let firstFailed: number | undefined;
  await runOnWorkers(seeds, workers, process.argv.slice(2), (report) => {
    console.log(report.text);
    // A run that ended its worker would end this process too.
    if (report.failed && report.virtualMs > 0) firstFailed ??= report.seed;
    sums[report.failed ? "failed" : "passed"]++;
    sums.virtualMs += report.virtualMs;
    sums.answers += report.answers;
    sums.cpuMs += report.cpuMs;
  });
  if (sums.virtualMs > 0) console.log(describeSpeed(sums, performance.now() - startedAt));
  if (firstFailed !== undefined && !values["no-shrink"]) {
    await shrinkAndPrint(firstFailed, overrides, shrinkRunsMax.first);
  }
  console.log(`${sums.passed} passed, ${sums.failed} failed`);
  return sums.failed === 0 ? 0 : 1;
}

function describeSpeed(
  sums: { readonly virtualMs: number; readonly answers: number; readonly cpuMs: number },
  wallMs: number,
): string {
  const { virtualMs, answers, cpuMs } = sums;
  const seconds = (ms: number): string => (ms / 1000).toFixed(0);
  return (
    `${seconds(virtualMs)} virtual seconds in ${seconds(wallMs)} s, ${seconds(cpuMs)} s of processor time: ` +
    `${(virtualMs / cpuMs).toFixed(1)} virtual seconds a second of one core, ` +
    `${((answers * 1000) / virtualMs).toFixed(0)} answers a virtual second`
  );
}

/** A worker's run. */
async function runForParent(seed: number, overrides: Overrides): Promise<SeedReport> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const result = await simulate(drawOptions(seed, overrides));
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    seed,
    failed: result.violation !== undefined,
    text: describeRun(result, overrides, performance.now() - startedAt),
    virtualMs: result.virtualMs,
    answers: result.answers,
    cpuMs: (user + system) / 1000,
  };
}

/**
 * Prints the smallest run found and what happens in it; returns the exit code: 1 when the seed does not fail at all.
 */
async function shrinkAndPrint(seed: number, overrides: Overrides, runsMax: number): Promise<number> {
  const log = (line: string): void => console.log(`  ${line}`);
  const shrunk = await shrink(seed, overrides, { runsMax, log });
  if (shrunk === undefined) {
    console.log(`seed ${seed} does not fail`);
    return 1;
  }
  const { violation, steps } = shrunk.run;
  console.log(`smallest after ${shrunk.runs} runs: ${replayCommand(seed, shrunk.overrides)}`);
  if (steps.length > 0) console.log(describeSteps(steps));
  console.log(`  ${violation}`);
  if (values.save !== undefined) {
    writeFileSync(values.save, `${JSON.stringify({ seed, overrides: shrunk.overrides, violation }, undefined, 2)}\n`);
  }
  return 0;
}

/** True when the run failed. */
async function timed(
  options: ReturnType<typeof drawOptions>,
  overrides: Overrides,
  log: Parameters<typeof simulate>[1] = {},
): Promise<boolean> {
  const startedAt = performance.now();
  const result = await simulate(options, log);
  console.log(describeRun(result, overrides, performance.now() - startedAt));
  return result.violation !== undefined;
}

function describeRun(result: RunResult, overrides: Overrides, wallMs: number): string {
  const { options, violation, virtualMs, entries, answers, revision, traceHash, events } = result;
  const outcome = violation === undefined ? "ok" : "FAILED";
  const counts = `${events} events ${entries} entries ${answers} answers revision ${revision}`;
  const speed = `${(virtualMs / 1000).toFixed(0)} s in ${(wallMs / 1000).toFixed(1)} s`;
  const lines = [`seed ${options.seed} ${outcome} ${speed} ${counts} trace ${traceHash.toString(16)}`];
  if (violation !== undefined) {
    lines.push(violation, describeOptions(options), `again: ${replayCommand(options.seed, overrides)}`);
  }
  return lines.join("\n  ");
}

process.on("unhandledRejection", (reason) => {
  console.error("unhandled rejection", reason);
  process.exit(1);
});
process.exitCode = await main();
