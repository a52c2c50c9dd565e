/** Long work done in slices on the loop, so that ticks, heartbeats and requests come in between. */

import type { Clock } from "../env.js";

/** Milliseconds of one slice. */
const sliceMs = 3;

/** Tells when to stop for the other work of the loop. */
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
    await new Promise<void>((resolve) => this.#clock.defer(resolve));
    this.begin();
  }

  /** A slice begins now: the caller has been away on its own. */
  begin(): void {
    this.#startedAt = this.#clock.now();
  }
}

/** Drives a task to its end; `beforeSlice` may throw to give it up. */
export async function runInSlices<Result>(
  clock: Clock,
  task: Generator<undefined, Result, undefined>,
  beforeSlice: () => void = () => {},
): Promise<Result> {
  const slices = new Slices(clock);
  for (let step = task.next(); ; step = task.next()) {
    if (step.done === true) return step.value;
    if (!slices.isOver) continue;
    await slices.next();
    beforeSlice();
  }
}
