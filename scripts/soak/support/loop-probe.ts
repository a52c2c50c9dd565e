/**
 * Watches the event loop of the process it is loaded into, `node --import "loop-probe.js?file=PATH" …`, and appends
 * what it saw to the file, one JSON line a second: how late each firing of a timer was, how much of that the thread
 * spent on a core, how much it waited for one (a busy machine, nobody's fault), and the pauses of the garbage
 * collector.
 *
 * Source: Linux's /proc/PID/task/TID/schedstat, which counts nanoseconds on a core and nanoseconds waiting for one.
 */

import { appendFileSync, openSync, readSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** Milliseconds between two firings. */
const intervalMs = 5;
const writeIntervalMs = 1000;

/** A firing of the timer; milliseconds. */
export interface LoopTick {
  /** Since the epoch. */
  readonly at: number;
  /** Since the firing that was due. */
  readonly late: number;
  readonly onCore: number;
  readonly waiting: number;
}

/** A pause of the garbage collector; milliseconds. */
export interface LoopPause {
  /** Its beginning, since the epoch. */
  readonly at: number;
  readonly took: number;
}

/** A line of the file. */
export interface LoopLog {
  readonly ticks: readonly LoopTick[];
  readonly pauses: readonly LoopPause[];
}

function watch(path: string): void {
  const ticks: LoopTick[] = [];
  const pauses: LoopPause[] = [];
  const schedule = new Schedule();
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      pauses.push({ at: performance.timeOrigin + startTime, took: duration });
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  let lastMs = performance.now();
  const tick = (): void => {
    const now = performance.now();
    const { onCore, waiting } = schedule.read();
    ticks.push({ at: performance.timeOrigin + now, late: Math.max(0, now - lastMs - intervalMs), onCore, waiting });
    lastMs = now;
  };
  schedule.read();
  setInterval(tick, intervalMs).unref();
  setInterval(() => {
    const log: LoopLog = { ticks: ticks.splice(0), pauses: pauses.splice(0) };
    appendFileSync(path, `${JSON.stringify(log)}\n`);
  }, writeIntervalMs).unref();
}

/** The main thread's time on a core and its time waiting for one. */
class Schedule {
  readonly #fd = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  readonly #buffer = Buffer.alloc(64);
  #onCore = 0;
  #waiting = 0;

  /** Milliseconds of each since the last call. */
  read(): { readonly onCore: number; readonly waiting: number } {
    const size = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, 0);
    const [onCore = 0, waiting = 0] = this.#buffer.toString("latin1", 0, size).split(" ").map(Number);
    const since = { onCore: (onCore - this.#onCore) / 1e6, waiting: (waiting - this.#waiting) / 1e6 };
    this.#onCore = onCore;
    this.#waiting = waiting;
    return since;
  }
}

const file = new URL(import.meta.url).searchParams.get("file");
// Worker threads load it too.
if (file !== null && isMainThread) watch(file);
