/**
 * `npm run soak -- raft [--messages N] [--seed S]`: random Raft groups with every safety property checked after every
 * step; 10 million messages unless told otherwise.
 */

import { parseArgs } from "node:util";
import { InvariantViolation, type ModelFigures, runModel } from "@etcd-ts/raft/testing";

const chunk = 250_000;

function print(figures: ModelFigures): void {
  console.log(
    Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
  );
}

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const { values } = parseArgs({
    args,
    options: { messages: { type: "string", default: "10000000" }, seed: { type: "string", default: "1" } },
  });
  const messages = Number(values.messages);
  let seed = Number(values.seed);
  const total: ModelFigures = {
    groups: 0,
    messages: 0,
    steps: 0,
    entries: 0,
    elections: 0,
    crashes: 0,
    confChanges: 0,
    snapshots: 0,
    reads: 0,
    stranded: 0,
  };
  let failed = 0;
  const start = performance.now();
  while (total.messages < messages && failed < 10) {
    try {
      const figures = runModel({ seed, messages: Math.min(chunk, messages - total.messages) });
      for (const name of Object.keys(total) as (keyof ModelFigures)[]) total[name] += figures[name];
      seed += figures.groups;
      print(total);
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error;
      failed++;
      console.log(error.message);
      // Past the group that failed; its predecessors in this chunk are not counted.
      seed = Number(/^seed (\d+)/.exec(error.message)?.[1] ?? seed) + 1;
    }
  }
  console.log(
    `${total.messages} messages in ${((performance.now() - start) / 1000).toFixed(0)} s, ${failed} violations`,
  );
  return { passed: total.groups, failed };
}
