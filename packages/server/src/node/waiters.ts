/**
 * Proposals that wait for their result: at most a fixed number, each with the same timeout.
 *
 * All waiters have one timeout, so insertion order is deadline order and expiry needs no heap and no timer per request.
 */

export interface Waiter<T> {
  readonly startedAt: number;
  readonly done: (result: T) => void;
}

export class Waiters<T> {
  readonly #waiters = new Map<number, Waiter<T>>();
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
    return this.#waiters.has(key);
  }

  /** Ends a wait with its result; false when nobody waits under this key. */
  settle(key: number, result: T): boolean {
    const waiter = this.#waiters.get(key);
    if (waiter === undefined) return false;
    this.#waiters.delete(key);
    waiter.done(result);
    return true;
  }

  /** Ends a wait without a result. */
  forget(key: number): void {
    this.#waiters.delete(key);
  }

  /** Ends every wait that began at or before `startedBefore`, with a result made for each. */
  expire(startedBefore: number, result: (key: number, waiter: Waiter<T>) => T): void {
    for (const [key, waiter] of this.#waiters) {
      if (waiter.startedAt > startedBefore) return;
      this.#waiters.delete(key);
      waiter.done(result(key, waiter));
    }
  }

  settleAll(result: () => T): void {
    const all = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of all) waiter.done(result());
  }
}
