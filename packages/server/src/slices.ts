/**
 * Long work done in slices on the loop, so that ticks, heartbeats and requests come in between. A slice ends after some
 * units of the store's work (alike on every run), or, where one row may cost a thousand times another, by the clock.
 */

import { Budget, type Task } from "@etcd-ts/store";
import type { Clock } from "./env.js";

/** Units (about a microsecond each) of one slice. */
export const sliceUnits = 4000;
/** Milliseconds of one slice. */
const sliceMs = 3;

/** Works for one slice: the result, once there is one, undefined before. Not called after that. */
export type Slice<Result> = () => Result | undefined;

/** Carries work to its end, its first slice at once. Returns a function that gives it up; `slice` must not throw. */
export function runSlices<Result>(clock: Clock, slice: Slice<Result>, done: (result: Result) => void): () => void {
  let isGivenUp = false;
  const step = (): void => {
    if (isGivenUp) return;
    const result = slice();
    if (result === undefined) clock.defer(step);
    else done(result);
  };
  step();
  return () => {
    isGivenUp = true;
  };
}

/** As `runSlices`; rejects with what a slice throws to give up. */
export async function whenDone<Result>(clock: Clock, slice: Slice<Result>): Promise<Result> {
  for (;;) {
    const result = slice();
    if (result !== undefined) return result;
    await deferred(clock);
  }
}

/** Slices of a task of the store. */
export function unitSlices<Result>(makeTask: (budget: Budget) => Task<Result>): Slice<Result> {
  const budget = new Budget(0);
  const task = makeTask(budget);
  return () => {
    budget.left = sliceUnits;
    const step = task.next();
    return step.done === true ? step.value : undefined;
  };
}

/** Slices of a task that yields after each row. */
export function timeSlices<Result>(clock: Clock, task: Generator<undefined, Result, undefined>): Slice<Result> {
  return () => {
    const slices = new Slices(clock);
    for (;;) {
      const step = task.next();
      if (step.done === true) return step.value;
      if (slices.isOver) return undefined;
    }
  };
}

/** For a loop that awaits other things too: tells when to stop for the other work of the loop. */
export class Slices {
  readonly #clock: Clock;
  #startedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  get isOver(): boolean {
    return this.#clock.now() - this.#startedAt >= sliceMs;
  }

  /** Resolves in a later loop turn, when the next slice begins. */
  async next(): Promise<void> {
    await deferred(this.#clock);
    this.begin();
  }

  /** A slice begins now: the caller has been away on its own. */
  begin(): void {
    this.#startedAt = this.#clock.now();
  }
}

function deferred(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve));
}
