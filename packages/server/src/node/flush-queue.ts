/**
 * Work that is to be done once at the end of a loop turn, however often it was asked for during the turn: above all
 * sending what became ready on watch streams.
 */

import type { Clock } from "../env.js";

export class FlushQueue {
  readonly #clock: Clock;
  #callbacks: (() => void)[] = [];
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(callback: () => void): void {
    this.#callbacks.push(callback);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.defer(() => {
      this.#scheduled = false;
      this.runNow();
    });
  }

  /** Runs what was added so far; what is added meanwhile waits for the next time. */
  runNow(): void {
    if (this.#callbacks.length === 0) return;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  }
}
