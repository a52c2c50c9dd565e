/** Drives a timer wheel with Node's clock. */
import { performance } from "node:perf_hooks";
import { TimerWheel } from "../core/timer-wheel.js";

export class NodeTimers {
  readonly wheel: TimerWheel = new TimerWheel(performance.now());
  #timeout: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor() {
    this.wheel.onEarlier = () => this.#arm();
  }

  /** Monotonic milliseconds; what is scheduled next counts from here. */
  now(): number {
    this.wheel.nowMs = performance.now();
    return this.wheel.nowMs;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timeout);
  }

  #arm(): void {
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
    if (this.#stopped || this.wheel.wakeAtMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(1, this.wheel.wakeAtMs - performance.now());
    // Timers alone do not keep a process alive: listeners and sockets do.
    this.#timeout = setTimeout(() => {
      this.wheel.advance(performance.now());
      this.#arm();
    }, delayMs).unref();
  }
}
