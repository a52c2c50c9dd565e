/** A seeded source of randomness (sfc32): the same seed, the same numbers. Not for secrets. */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A uniform integer in [0, 2^32). */
  next(): number {
    const result = (this.#a + this.#b + this.#counter++) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    return result;
  }

  /** A uniform integer in [0, bound). The bias of the remainder is below bound / 2^32. */
  integer(bound: number): number {
    return this.next() % bound;
  }

  /** A uniform integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.integer(high - low + 1);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T;
  }
}
