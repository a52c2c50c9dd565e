/**
 * One life of a simulated process. When it is killed, nothing it has begun has an effect any more: its timers do not fire,
 * its pending operations never settle, what it still writes or sends goes nowhere.
 */

import type { Scheduled, World } from "./world.js";

export class Incarnation {
  readonly world: World;
  #alive = true;
  /** While paused, events wait; like SIGSTOP. */
  #pausedUntil = 0;

  constructor(world: World) {
    this.world = world;
  }

  get alive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
  }

  pause(durationMs: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.world.now + durationMs);
  }

  /** Runs `callback` later, in this life, and after a pause. */
  schedule(delayMs: number, callback: () => void): Scheduled {
    return this.world.schedule(delayMs, () => this.#run(callback));
  }

  /** A promise that settles after `delayMs` of this life with what `operation` returns or throws. */
  complete<T>(delayMs: number, operation: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.schedule(delayMs, () => {
        this.world.settling();
        try {
          resolve(operation());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #run(callback: () => void): void {
    if (!this.#alive) return;
    const wait = this.#pausedUntil - this.world.now;
    if (wait > 0) this.world.schedule(wait, () => this.#run(callback));
    else callback();
  }
}
