/** Calls at a fixed interval of the monotonic clock. Ticks missed while the loop was busy are not made up for. */

import type { Clock, Timer } from "../env.js";

export class Ticker {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onTick: (idleMs: number) => void;
  #timer: Timer | undefined;
  #nextAt = 0;
  #lastAt = 0;

  /** `onTick` gets the milliseconds since the tick before. */
  constructor(clock: Clock, intervalMs: number, onTick: (idleMs: number) => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onTick = onTick;
  }

  start(): void {
    const now = this.#clock.now();
    this.#lastAt = now;
    this.#nextAt = now + this.#intervalMs;
    this.#arm(this.#intervalMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Milliseconds since the last tick. */
  get idleMs(): number {
    return this.#clock.now() - this.#lastAt;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      const now = this.#clock.now();
      const idleMs = now - this.#lastAt;
      this.#lastAt = now;
      this.#nextAt = Math.max(this.#nextAt + this.#intervalMs, now);
      this.#arm(this.#nextAt - now);
      this.#onTick(idleMs);
    });
  }
}
