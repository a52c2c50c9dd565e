/**
 * Flushes the sockets that have got output outside of their own `data` events, all together when the turn's work is
 * done: answers that became ready together leave together.
 */

/**
 * How many sockets that have let go of what filled them are filled again before the loop's other work comes: one that
 * takes bytes as quickly as they are made would keep the loop to itself.
 */
const refillsMax = 8;

/** What has output. */
export interface Flushable {
  flush(): void;
}

export class TurnFlush {
  #waiting: Flushable[] = [];
  #scheduled = false;
  #refillsLeft = refillsMax;
  /** Are filled again in the next turn. */
  #later: Flushable[] = [];

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

  /** As `add`, for a socket that has room again and much to fill it with; in this turn or a later one. */
  refill(socket: Flushable): void {
    if (this.#refillsLeft > 0) {
      this.#refillsLeft--;
      this.add(socket);
    } else if (this.#later.push(socket) === 1) setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#refillsLeft = refillsMax;
    const later = this.#later;
    this.#later = [];
    for (const socket of later) this.refill(socket);
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
