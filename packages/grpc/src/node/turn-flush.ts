/**
 * Flushes the sockets that have got output outside of their own `data` events, all together when the turn's work is
 * done: answers that became ready together leave together.
 */

/** What has output. */
export interface Flushable {
  flush(): void;
}

export class TurnFlush {
  #waiting: Flushable[] = [];
  #scheduled = false;

  /** Flushes behind the promise jobs of this turn. To be called once until then. */
  add(socket: Flushable): void {
    this.#waiting.push(socket);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() =>
      process.nextTick(() => {
        this.#scheduled = false;
        this.run();
      }),
    );
  }

  /** Flushes at once: for whoever is about to hold up the turn. */
  run(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const socket of waiting) socket.flush();
  }
}

/** Of all sockets of this process. */
export const turnFlush: TurnFlush = new TurnFlush();
