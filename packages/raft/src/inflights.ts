/**
 * The append messages sent to a follower and not yet acknowledged: a ring of (index of the last entry, payload bytes),
 * limited in number and in bytes. It grows as needed up to the limit, since most followers keep few in flight.
 */
export class Inflights {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  /** `maxBytes` limits the payload in flight; the message that crosses it still goes. */
  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.#maxCount || this.#bytes >= this.#maxBytes;
  }

  /** Adds a message whose last entry is `index`. The caller adds none when full. */
  add(index: number, bytes: number): void {
    if (this.#count === this.#indexes.length) this.#grow();
    let position = this.#start + this.#count;
    if (position >= this.#indexes.length) position -= this.#indexes.length;
    this.#indexes[position] = index;
    this.#sizes[position] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Removes the messages whose last entry is at or below `index`. */
  freeTo(index: number): void {
    const capacity = this.#indexes.length;
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = this.#start + 1 === capacity ? 0 : this.#start + 1;
      this.#count--;
    }
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const capacity = Math.min(Math.max(8, this.#indexes.length * 2), this.#maxCount);
    const indexes = new Array<number>(capacity).fill(0);
    const sizes = new Array<number>(capacity).fill(0);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#start + i) % this.#indexes.length;
      indexes[i] = this.#indexes[from] as number;
      sizes[i] = this.#sizes[from] as number;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
