/** The read transaction of whoever reads a whole database, released when it ends, however it ends. */

import type { PinnedDatabase } from "../backend/database.js";
import type { Clock, Timer } from "../env.js";

/** The image takes too long, or the database is going away. */
export class ImageAbortedError extends Error {
  override readonly name = "ImageAbortedError";
}

/** What a reader is allowed at first, milliseconds. */
export const graceMs: number = 5 * 60 * 1000;

export class Pin {
  readonly #clock: Clock;
  readonly #pinned: PinnedDatabase;
  readonly #aborted: AbortSignal;
  readonly #onAbort = (): void => this.#giveUp();
  #givenUp: (error: ImageAbortedError) => void = () => {};
  #deadline: Timer;
  #released = false;

  constructor(clock: Clock, pinned: PinnedDatabase, aborted: AbortSignal) {
    this.#clock = clock;
    this.#pinned = pinned;
    this.#aborted = aborted;
    this.#deadline = clock.setTimer(graceMs, this.#onAbort);
    aborted.addEventListener("abort", this.#onAbort);
    if (aborted.aborted) this.release();
  }

  /** From now on it may take this long. */
  allow(milliseconds: number): void {
    this.#deadline.cancel();
    this.#deadline = this.#clock.setTimer(milliseconds, this.#onAbort);
  }

  /** Calls back when the read has to end before its reader wants it to. */
  onGivenUp(callback: (error: ImageAbortedError) => void): void {
    this.#givenUp = callback;
  }

  /** Throws `ImageAbortedError` once nothing can be read any more. */
  check(): void {
    if (this.#released) throw abortedError();
  }

  #giveUp(): void {
    if (this.#released) return;
    this.release();
    this.#givenUp(abortedError());
  }

  /** Ends the read; a second time it does nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#deadline.cancel();
    this.#aborted.removeEventListener("abort", this.#onAbort);
    this.#pinned.release();
  }
}

function abortedError(): ImageAbortedError {
  return new ImageAbortedError("the image of the database was given up");
}
