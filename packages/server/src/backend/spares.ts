/**
 * Large buffers that are used again. Each new one is memory that the kernel clears, and that V8 counts: after 64 MB or
 * so of them it marks its whole heap to find those that are free.
 */
export class Spares<Item> {
  readonly #items: Item[] = [];
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** One that was given, as it was left; the caller's alone. */
  take(): Item | undefined {
    return this.#items.pop();
  }

  /** Nobody may use the item any more. What is too much is left to the collector. */
  give(item: Item): void {
    if (this.#items.length < this.#countMax) this.#items.push(item);
  }
}
