/**
 * Rows of the `key` table in the write buffer, sorted by (main, order), where order is twice the sub revision, plus one
 * for a tombstone: the order of their keys. Arrays of numbers, since a write transaction appends one here and must not
 * cost an object.
 */

const capacityMin = 16;
/** Length that stands for a deleted row. */
export const deleted = -1;

export class RecordLane {
  #count = 0;
  #mains = new Float64Array(capacityMin);
  #orders = new Float64Array(capacityMin);
  #blocks = new Uint32Array(capacityMin);
  #offsets = new Uint32Array(capacityMin);
  #lengths = new Int32Array(capacityMin);

  get count(): number {
    return this.#count;
  }

  /** Position of the first row at or behind (main, order). */
  lowerBound(main: number, order: number): number {
    let lo = 0;
    let hi = this.#count;
    while (lo < hi) {
      const middle = (lo + hi) >>> 1;
      if (this.isBefore(middle, main, order)) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }

  /** Position of the row, or −1. */
  find(main: number, order: number): number {
    const at = this.lowerBound(main, order);
    return at < this.#count && this.#mains[at] === main && this.#orders[at] === order ? at : -1;
  }

  /** Whether the row at a position sorts before (main, order). */
  isBefore(position: number, main: number, order: number): boolean {
    const rowMain = this.main(position);
    return rowMain < main || (rowMain === main && this.order(position) < order);
  }

  /** Whether (main, order) sorts behind all rows. */
  isBehindAll(main: number, order: number): boolean {
    return this.#count === 0 || this.isBefore(this.#count - 1, main, order);
  }

  main(position: number): number {
    return this.#mains[position] ?? 0;
  }

  order(position: number): number {
    return this.#orders[position] ?? 0;
  }

  block(position: number): number {
    return this.#blocks[position] ?? 0;
  }

  offset(position: number): number {
    return this.#offsets[position] ?? 0;
  }

  /** Bytes of the value, or `deleted`. */
  length(position: number): number {
    return this.#lengths[position] ?? deleted;
  }

  insert(position: number, main: number, order: number): void {
    if (this.#count === this.#mains.length) this.#grow();
    if (position < this.#count) {
      for (const column of [this.#mains, this.#orders, this.#blocks, this.#offsets, this.#lengths]) {
        column.copyWithin(position + 1, position, this.#count);
      }
    }
    this.#mains[position] = main;
    this.#orders[position] = order;
    this.#count++;
  }

  setValue(position: number, block: number, offset: number, length: number): void {
    this.#blocks[position] = block;
    this.#offsets[position] = offset;
    this.#lengths[position] = length;
  }

  #grow(): void {
    const capacity = this.#count * 4;
    this.#mains = grown(this.#mains, new Float64Array(capacity));
    this.#orders = grown(this.#orders, new Float64Array(capacity));
    this.#blocks = grown(this.#blocks, new Uint32Array(capacity));
    this.#offsets = grown(this.#offsets, new Uint32Array(capacity));
    this.#lengths = grown(this.#lengths, new Int32Array(capacity));
  }
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
