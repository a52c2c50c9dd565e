/**
 * From a run that fails to a smaller one that fails: fewer faults and operations, less time, fewer clients and members.
 * Steps that are left out do not change the others (see nemesis.ts), so that most of them go at once.
 */

import { drawOptions, type Overrides } from "./options.js";
import { type RunResult, simulate } from "./simulation.js";

/** What of a run is looked at. */
export type ShrinkRun = Pick<RunResult, "options" | "violation" | "virtualMs" | "steps">;

export interface ShrinkOptions {
  /** Runs at most, the first one included. */
  readonly runsMax: number;
  log(line: string): void;
  /** Runs the simulator unless given. */
  readonly run?: (overrides: Overrides) => Promise<ShrinkRun>;
}

export interface Shrunk {
  readonly overrides: Overrides;
  /** What failed with them. */
  readonly run: ShrinkRun;
  readonly runs: number;
}

/** The smallest failing run found; undefined when the seed does not fail. Any failure counts as the same. */
export async function shrink(seed: number, start: Overrides, options: ShrinkOptions): Promise<Shrunk | undefined> {
  const run = options.run ?? ((overrides: Overrides) => simulate(drawOptions(seed, overrides)));
  const first = await run(start);
  if (first.violation === undefined) return undefined;
  let smallest: Shrunk = { overrides: start, run: first, runs: 1 };
  let runs = 1;
  /** Whether it fails too, and is the smallest from now on. */
  const accept = async (overrides: Overrides): Promise<boolean> => {
    if (runs >= options.runsMax) return false;
    runs++;
    const result = await run(overrides);
    if (result.violation === undefined) return false;
    smallest = { overrides, run: result, runs };
    options.log(`${runs}: ${result.steps.length} steps, ${describe(overrides)}: ${result.violation}`);
    return true;
  };

  await shortenTime();
  await dropSteps();
  while ((await dropClients()) || (await dropMembers())) {}
  await dropSteps();
  await shortenTime();
  return { ...smallest, runs };

  /** Nothing of what comes after the failure matters; what comes long before it may not either. */
  async function shortenTime(): Promise<void> {
    const { seconds } = smallest.run.options;
    const failedAtSeconds = Math.max(1, Math.ceil(smallest.run.virtualMs / 1000));
    if (failedAtSeconds < seconds) await accept({ ...smallest.overrides, seconds: failedAtSeconds });
    for (;;) {
      const now = smallest.run.options.seconds;
      if (now <= 1 || !(await accept({ ...smallest.overrides, seconds: Math.floor(now / 2) }))) return;
    }
  }

  /** ddmin: leaves out halves, quarters and so on, as long as the rest fails. */
  async function dropSteps(): Promise<void> {
    let parts = 1;
    for (;;) {
      const names = smallest.run.steps.map(({ name }) => name);
      if (names.length === 0 || runs >= options.runsMax) return;
      const size = Math.ceil(names.length / parts);
      let dropped = false;
      for (let lo = 0; lo < names.length && !dropped; lo += size) {
        dropped = await accept({ ...smallest.overrides, only: names.toSpliced(lo, size) });
      }
      if (dropped) parts = Math.max(1, parts - 1);
      else if (size === 1) return;
      else parts = Math.min(parts * 2, names.length);
    }
  }

  async function dropClients(): Promise<boolean> {
    const { clients } = smallest.run.options;
    return clients > 1 && accept({ ...smallest.overrides, clients: Math.ceil(clients / 2) });
  }

  async function dropMembers(): Promise<boolean> {
    const { members } = smallest.run.options;
    return members > 1 && accept({ ...smallest.overrides, members: members === 5 ? 3 : 1 });
  }
}

function describe({ only: _only, ...others }: Overrides): string {
  return JSON.stringify(others);
}

/** The faults and operations of a run, a line each. */
export function describeSteps(steps: ShrinkRun["steps"]): string {
  return steps.map(({ atMs, name, text }) => `  ${atMs.toFixed(1).padStart(9)} ms ${name} ${text}`).join("\n");
}

export function replayCommand(seed: number, overrides: Overrides): string {
  const extra = Object.keys(overrides).length === 0 ? "" : ` --overrides '${JSON.stringify(overrides)}'`;
  return `npm run sim -- --seed ${seed}${extra}`;
}
