/**
 * Proposals that wait for their result: at most a fixed number, each with the same timeout, which a look at all of them
 * at each tick finds passed: a timer for each would cost more than the proposal.
 */

import { IdTable } from "@etcd-ts/grpc/internal";

export interface Waiter<T> {
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  readonly done: (result: T) => void;
}

export class Waiters<T> {
  readonly #waiters = new IdTable<Waiter<T>>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#waiters.size;
  }

  get full(): boolean {
    return this.#waiters.size >= this.#countMax;
  }

  add(key: number, waiter: Waiter<T>): void {
    this.#waiters.set(key, waiter);
  }

  has(key: number): boolean {
    return this.#waiters.get(key) !== undefined;
  }

  /** Ends a wait with its result; false when nobody waits under this key. */
  settle(key: number, result: T): boolean {
    const waiter = this.#waiters.take(key);
    if (waiter === undefined) return false;
    waiter.done(result);
    return true;
  }

  /** Ends a wait without a result. */
  forget(key: number): void {
    this.#waiters.take(key);
  }

  /** Ends every wait that began at or before `startedBefore`, with a result made for each, the lowest key first. */
  expire(startedBefore: number, result: (key: number, waiter: Waiter<T>) => T): void {
    for (const [key, waiter] of this.#waiters.entries(({ startedAt }) => startedAt <= startedBefore)) {
      if (this.#waiters.take(key) !== undefined) waiter.done(result(key, waiter));
    }
  }

  settleAll(result: () => T): void {
    this.expire(Number.POSITIVE_INFINITY, result);
  }
}
