/** `npm run sim`: see --help. */

import { parseArgs } from "node:util";
import { defaultSeconds, describeOptions, drawOptions, type Overrides } from "./options.js";
import { type RunResult, simulate } from "./simulation.js";

const usage = `usage: npm run sim -- [options]
  --seed N        run one seed (default 1)
  --seeds COUNT   run that many seeds, from --seed on
  --minutes M     run seeds until that many minutes have passed
  --seconds S     virtual seconds of each run's faults (default ${defaultSeconds})
  --verbose       print what happens`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string" },
      minutes: { type: "string" },
      seconds: { type: "string" },
      verbose: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const overrides: Overrides = values.seconds === undefined ? {} : { seconds: Number(values.seconds) };
  const first = Number(values.seed);
  const count = values.seeds === undefined && values.minutes === undefined ? 1 : Number(values.seeds ?? Infinity);
  const endsAt = values.minutes === undefined ? Infinity : Date.now() + Number(values.minutes) * 60_000;
  let passed = 0;
  let failed = 0;
  for (let seed = first; seed < first + count && Date.now() < endsAt; seed++) {
    const startedAt = performance.now();
    const options = drawOptions(seed, overrides);
    const result = await simulate(options, values.verbose ? { log: (line) => console.log(line) } : {});
    if (result.violation === undefined) passed++;
    else failed++;
    printResult(result, performance.now() - startedAt);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function printResult(result: RunResult, wallMs: number): void {
  const { options, violation, virtualMs, entries, answers, revision, traceHash, events } = result;
  const speed = (virtualMs / wallMs).toFixed(0);
  const facts = `${(virtualMs / 1000).toFixed(0)} s ${speed}x ${events} events ${entries} entries ${answers} answers revision ${revision}`;
  console.log(
    `seed ${options.seed} ${violation === undefined ? "ok" : "FAILED"} ${facts} trace ${traceHash.toString(16)}`,
  );
  if (violation === undefined) return;
  console.log(`  ${violation}`);
  console.log(`  ${describeOptions(options)}`);
  console.log(`  again: npm run sim -- --seed ${options.seed} --seconds ${options.seconds}`);
}

process.on("unhandledRejection", (reason) => {
  console.error("unhandled rejection", reason);
  process.exitCode = 1;
});
process.exitCode = await main();
