/**
 * Many seeds on all cores: each worker is a process that is given one seed after the other, so that none waits for
 * another's long run. A worker that ends before its run has fails that seed, and another one takes its place.
 */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * A run leaves much that is soon garbage, which a larger young generation collects in fewer rounds; and since there is
 * a worker for every core, V8's helper threads only get in each other's way.
 */
export const workerFlags: readonly string[] = ["--single-threaded", "--max-semi-space-size=64"];

/** What a worker says of a seed's run. */
export interface SeedReport {
  readonly seed: number;
  readonly failed: boolean;
  /** To be printed. */
  readonly text: string;
  readonly virtualMs: number;
  readonly answers: number;
  /** Processor time of the run, milliseconds. */
  readonly cpuMs: number;
}

export interface Seeds {
  readonly first: number;
  /** Infinity: as many as there is time for. */
  readonly count: number;
  /** On `performance.now()`: no run begins later. */
  readonly endsAt: number;
  readonly untilFailure: boolean;
  /** The command that runs one of them again. */
  again(seed: number): string;
}

/** Runs seeds on `workers` processes, each started with `args`; `done` is told of each run as it ends. */
export async function runOnWorkers(
  seeds: Seeds,
  workers: number,
  args: readonly string[],
  done: (report: SeedReport) => void,
): Promise<void> {
  const end = seeds.first + seeds.count;
  let next = seeds.first;
  let stopped = false;
  const takeSeed = (): number | undefined =>
    stopped || next >= end || performance.now() > seeds.endsAt ? undefined : next++;
  const finished = (report: SeedReport): void => {
    if (report.failed && seeds.untilFailure) stopped = true;
    done(report);
  };
  const work = async (): Promise<void> => {
    let worker: ChildProcess | undefined;
    for (let seed = takeSeed(); seed !== undefined; seed = takeSeed()) {
      worker ??= fork(fileURLToPath(new URL("main.js", import.meta.url)), [...args, "--worker"], {
        execArgv: [...workerFlags],
      });
      const report = await runSeed(worker, seed);
      if (report === undefined) worker = undefined;
      finished(report ?? lost(seed, seeds.again(seed)));
    }
    if (worker !== undefined) await endWorker(worker);
  };
  await Promise.all(Array.from({ length: Math.min(workers, seeds.count) }, work));
}

/** Undefined when the worker has ended. */
function runSeed(worker: ChildProcess, seed: number): Promise<SeedReport | undefined> {
  return new Promise((resolve) => {
    const settle = (report: SeedReport | undefined): void => {
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      resolve(report);
    };
    const onMessage = (message: unknown): void => settle(message as SeedReport);
    const onExit = (): void => settle(undefined);
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    if (worker.connected) worker.send(seed);
    else settle(undefined);
  });
}

/** Rejects when it ends otherwise than it should, so that what goes wrong after a run is not lost. */
function endWorker(worker: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`))));
    worker.disconnect();
  });
}

function lost(seed: number, again: string): SeedReport {
  const text = `seed ${seed} FAILED\n  the worker ended before the run\n  again: ${again}`;
  return { seed, failed: true, text, virtualMs: 0, answers: 0, cpuMs: 0 };
}

/** The worker's side: runs the seeds that come, one after the other, until the parent goes. */
export function serveSeeds(run: (seed: number) => Promise<SeedReport>): Promise<void> {
  return new Promise((resolve, reject) => {
    process.on("message", (seed: unknown) => {
      run(seed as number).then((report) => void process.send?.(report), reject);
    });
    process.on("disconnect", resolve);
  });
}
