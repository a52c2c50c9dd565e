/**
 * A read that is done in slices between other work: a large range, a hash. It keeps the history it reads from being
 * compacted until it has ended or is cancelled, and starts over when a snapshot replaces the database meanwhile.
 */

import { assert } from "../assert.js";
import { Budget, type Task } from "./budget.js";

/** What a read holds while it runs. */
export interface ReadHold<Result> {
  readonly makeTask: (budget: Budget) => Task<Result>;
  readonly isStale: () => boolean;
  readonly release: () => void;
}

export class SlicedRead<Result> {
  readonly #open: () => ReadHold<Result>;
  readonly #budget = new Budget(0);
  #hold: ReadHold<Result> | undefined;
  #task: Task<Result>;

  constructor(open: () => ReadHold<Result>) {
    this.#open = open;
    this.#hold = open();
    this.#task = this.#hold.makeTask(this.#budget);
  }

  /** Works for about `units` keys; the result, once there is one. Must not be called after that, nor after `cancel`. */
  step(units: number): Result | undefined {
    assert(this.#hold !== undefined, "the read is still running");
    if (this.#hold.isStale()) {
      this.#hold.release();
      this.#hold = this.#open();
      this.#task = this.#hold.makeTask(this.#budget);
    }
    this.#budget.left = units;
    const step = this.#task.next();
    if (step.done !== true) return undefined;
    this.cancel();
    return step.value;
  }

  /** Works to the end in one go. */
  finish(): Result {
    for (;;) {
      const result = this.step(Number.POSITIVE_INFINITY);
      if (result !== undefined) return result;
    }
  }

  /** Ends the read, whether or not it has a result. */
  cancel(): void {
    this.#hold?.release();
    this.#hold = undefined;
  }
}
