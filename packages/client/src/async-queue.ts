/** Between a producer that calls and a consumer that iterates. */

export interface AsyncQueueHooks {
  /** The consumer has taken the last item that waited. */
  onEmpty?(): void;
  /** The consumer has left its loop. */
  onReturn?(): void;
}

/** Items in the order pushed, then an end or an error. The producer keeps to a limit by `size` and `onEmpty`. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #hooks: AsyncQueueHooks;
  #items: T[] = [];
  #head = 0;
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  #ended: { readonly error: unknown } | undefined;

  constructor(hooks: AsyncQueueHooks = {}) {
    this.#hooks = hooks;
  }

  /** Items that wait for the consumer. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    if (this.#ended !== undefined) return;
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter.resolve({ value: item, done: false });
  }

  /** Nothing follows the items that wait; with an error, the consumer's loop throws it after them. */
  end(error?: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    for (const waiter of this.#waiting.splice(0)) this.#finish(waiter);
  }

  /** Forgets the oldest item that waits. */
  dropOldest(): void {
    if (this.size > 0) this.#take();
  }

  next(): Promise<IteratorResult<T>> {
    if (this.size > 0) {
      const value = this.#take();
      if (this.size === 0) this.#hooks.onEmpty?.();
      return Promise.resolve({ value, done: false });
    }
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#ended === undefined) this.#waiting.push(waiter);
      else this.#finish(waiter);
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#items = [];
    this.#head = 0;
    this.end();
    this.#hooks.onReturn?.();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): T {
    const item = this.#items[this.#head++] as T;
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  #finish({
    resolve,
    reject,
  }: {
    resolve: (result: IteratorResult<T>) => void;
    reject: (error: unknown) => void;
  }): void {
    const error = this.#ended?.error;
    if (error === undefined) return resolve({ value: undefined, done: true });
    // The error is thrown once; whoever goes on iterating finds the end.
    this.#ended = { error: undefined };
    reject(error);
  }
}
