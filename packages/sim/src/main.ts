/** `npm run sim`: see --help. */

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defaultSeconds, describeOptions, drawOptions, type Overrides } from "./options.js";
import { describeSteps, replayCommand, shrink } from "./shrink.js";
import { type RunResult, simulate } from "./simulation.js";

const usage = `usage: npm run sim -- [options]
  --seed N          run one seed (default 1)
  --seeds COUNT     run that many seeds, from --seed on
  --minutes M       run seeds, from --seed on, until that many minutes have passed
  --seconds S       virtual seconds of each run's faults (default ${defaultSeconds})
  --processes P     how many at a time (default 2 with --seeds and --minutes)
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
    processes: { type: "string" },
    /** Of a process among others: runs each so-manieth seed. */
    stride: { type: "string", default: "1" },
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
  const log = values.verbose ? { log: (line: string) => console.log(line) } : {};
  if (values.replay !== undefined) {
    const replay = JSON.parse(readFileSync(values.replay, "utf8")) as { seed: number; overrides: Overrides };
    return report(await timed(drawOptions(replay.seed, replay.overrides), replay.overrides, log));
  }
  if (values.shrink !== undefined) return shrinkAndPrint(Number(values.shrink), overrides, shrinkRunsMax.asked);
  if (values.seeds === undefined && values.minutes === undefined) {
    return report(await timed(drawOptions(Number(values.seed), overrides), overrides, log));
  }
  const processes = Number(values.processes ?? 2);
  return processes > 1 ? runProcesses(processes) : runSeeds(overrides);
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
  for (let seed = first; seed < end && Date.now() < endsAt; seed += Number(values.stride)) {
    if (await timed(drawOptions(seed, overrides), overrides)) {
      failed++;
      if (failed === 1 && !values["no-shrink"]) await shrinkAndPrint(seed, overrides, shrinkRunsMax.first);
    } else passed++;
    if (failed > 0 && values["until-failure"]) break;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Each process takes every so-manieth seed. */
async function runProcesses(count: number): Promise<number> {
  const first = Number(values.seed);
  const passedOn = process.argv.slice(2);
  const totals = { passed: 0, failed: 0 };
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const seeds = values.seeds === undefined ? [] : ["--seeds", String(Math.max(0, Number(values.seeds) - i))];
      const own = ["--seed", String(first + i), ...seeds, "--stride", String(count), "--processes", "1"];
      return runChild([...passedOn, ...own], totals);
    }),
  );
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 ? 0 : 1;
}

/** Prints the smallest run found and what happens in it; returns the exit code: 1 when the seed does not fail at all. */
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

function runChild(args: readonly string[], totals: { passed: number; failed: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let rest = "";
    let summed = false;
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const sum = /^(\d+) passed, (\d+) failed$/.exec(line);
        if (sum === null) console.log(line);
        else {
          summed = true;
          totals.passed += Number(sum[1]);
          totals.failed += Number(sum[2]);
        }
      }
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (!summed) {
        console.log(`a process ended with ${code} before it was done`);
        totals.failed++;
      }
      resolve();
    });
  });
}

/** True when the run failed. */
async function timed(
  options: ReturnType<typeof drawOptions>,
  overrides: Overrides,
  log: Parameters<typeof simulate>[1] = {},
): Promise<boolean> {
  const startedAt = performance.now();
  const result = await simulate(options, log);
  printResult(result, overrides, performance.now() - startedAt);
  return result.violation !== undefined;
}

function printResult(result: RunResult, overrides: Overrides, wallMs: number): void {
  const { options, violation, virtualMs, entries, answers, revision, traceHash, events } = result;
  const outcome = violation === undefined ? "ok" : "FAILED";
  const counts = `${events} events ${entries} entries ${answers} answers revision ${revision}`;
  const speed = `${(virtualMs / 1000).toFixed(0)} s in ${(wallMs / 1000).toFixed(1)} s`;
  console.log(`seed ${options.seed} ${outcome} ${speed} ${counts} trace ${traceHash.toString(16)}`);
  if (violation === undefined) return;
  console.log(`  ${violation}`);
  console.log(`  ${describeOptions(options)}`);
  console.log(`  again: ${replayCommand(options.seed, overrides)}`);
}

process.on("unhandledRejection", (reason) => {
  console.error("unhandled rejection", reason);
  process.exit(1);
});
process.exitCode = await main();
