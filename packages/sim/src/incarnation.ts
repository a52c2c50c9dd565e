/**
 * One life of a simulated process. When it is killed, nothing it has begun has an effect any more: its timers do not
 * fire, its pending operations never settle, what it still writes or sends goes nowhere.
 */

import type { Life, Scheduled, World } from "./world.js";

/** A loop turn takes a little time. */
const loopTurnMs = 0.02;

export interface IncarnationEvents {
  /** An exception that the process did not catch: it would end it. */
  crashed(error: Error): void;
  /** After every loop turn in which deferred work ran. */
  turned?(): void;
}

export class Incarnation implements Life {
  readonly world: World;
  readonly #events: IncarnationEvents;
  #alive = true;
  /** While paused, events wait; like SIGSTOP. */
  #pausedUntil = 0;
  #deferred: (() => void)[] = [];
  #onDeath: (() => void)[] = [];

  constructor(world: World, events: IncarnationEvents) {
    this.world = world;
    this.#events = events;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#pausedUntil > this.world.now;
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const callback of this.#onDeath.splice(0)) callback();
  }

  /** Called when it is killed, by whoever else must know. */
  onDeath(callback: () => void): void {
    this.#onDeath.push(callback);
  }

  pause(durationMs: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.world.now + durationMs);
  }

  /** Runs `callback` later, in this life, and after a pause. */
  schedule(delayMs: number, callback: () => void): Scheduled {
    return this.world.schedule(delayMs, callback, this);
  }

  /** Runs `callback` in the next loop turn, with all that is deferred until then. */
  defer(callback: () => void): void {
    this.#deferred.push(callback);
    if (this.#deferred.length === 1) this.schedule(loopTurnMs, this.#turn);
  }

  /** A promise that settles after `delayMs` of this life with what `operation` returns or throws. */
  complete<T>(delayMs: number, operation: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.schedule(delayMs, () => {
        try {
          resolve(operation());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  readonly #turn = (): void => {
    const callbacks = this.#deferred;
    this.#deferred = [];
    for (const callback of callbacks) {
      if (!this.#alive) return;
      callback();
    }
    this.#events.turned?.();
  };

  /** Runs `callback` in this life as part of the event at hand, or after a pause. */
  run(callback: () => void): void {
    if (!this.#alive) return;
    const wait = this.#pausedUntil - this.world.now;
    if (wait > 0) {
      this.world.schedule(wait, callback, this);
      return;
    }
    try {
      callback();
    } catch (error) {
      this.#events.crashed(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
