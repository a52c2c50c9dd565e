/**
 * Rows of the `key` table in the write buffer, sorted by (main, order), where order is twice the sub revision, plus one
 * for a tombstone: the order of their keys. Arrays of numbers, since a write transaction appends one here and must not
 * cost an object; in pages, since one entry may write a million rows, and arrays of that length would take long to
 * grow.
 */

/** Most buffers hold few rows: their one page is made with the first row, and grows. V8 keeps arrays so small in its heap. */
const capacityMin = 8;
const rowsPerPage = 4096;
const pageShift = 12;
const pageMask = rowsPerPage - 1;
/** Length that stands for a deleted row. */
export const deleted = -1;

class Page {
  mains: Float64Array;
  orders: Float64Array;
  blocks: Uint32Array;
  offsets: Uint32Array;
  lengths: Int32Array;

  constructor(capacity: number) {
    this.mains = new Float64Array(capacity);
    this.orders = new Float64Array(capacity);
    this.blocks = new Uint32Array(capacity);
    this.offsets = new Uint32Array(capacity);
    this.lengths = new Int32Array(capacity);
  }

  get capacity(): number {
    return this.mains.length;
  }

  grow(): void {
    const capacity = this.capacity * 2;
    this.mains = grown(this.mains, new Float64Array(capacity));
    this.orders = grown(this.orders, new Float64Array(capacity));
    this.blocks = grown(this.blocks, new Uint32Array(capacity));
    this.offsets = grown(this.offsets, new Uint32Array(capacity));
    this.lengths = grown(this.lengths, new Int32Array(capacity));
  }

  /** Moves the rows [at, end) up by one. */
  shift(at: number, end: number): void {
    for (const column of [this.mains, this.orders, this.blocks, this.offsets, this.lengths]) {
      column.copyWithin(at + 1, at, end);
    }
  }

  /** Makes row `at` a copy of the last row of a full page. */
  takeLast(at: number, from: Page): void {
    this.mains[at] = from.mains[pageMask] ?? 0;
    this.orders[at] = from.orders[pageMask] ?? 0;
    this.blocks[at] = from.blocks[pageMask] ?? 0;
    this.offsets[at] = from.offsets[pageMask] ?? 0;
    this.lengths[at] = from.lengths[pageMask] ?? deleted;
  }
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

export class RecordLane {
  #count = 0;
  readonly #pages: Page[] = [];

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
    return at < this.#count && this.main(at) === main && this.order(at) === order ? at : -1;
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
    return this.#page(position).mains[position & pageMask] ?? 0;
  }

  order(position: number): number {
    return this.#page(position).orders[position & pageMask] ?? 0;
  }

  block(position: number): number {
    return this.#page(position).blocks[position & pageMask] ?? 0;
  }

  offset(position: number): number {
    return this.#page(position).offsets[position & pageMask] ?? 0;
  }

  /** Bytes of the value, or `deleted`. */
  length(position: number): number {
    return this.#page(position).lengths[position & pageMask] ?? deleted;
  }

  insert(position: number, main: number, order: number): void {
    this.#makeRoom();
    if (position < this.#count) this.#shift(position);
    this.#count++;
    const page = this.#page(position);
    page.mains[position & pageMask] = main;
    page.orders[position & pageMask] = order;
  }

  setValue(position: number, block: number, offset: number, length: number): void {
    const page = this.#page(position);
    page.blocks[position & pageMask] = block;
    page.offsets[position & pageMask] = offset;
    page.lengths[position & pageMask] = length;
  }

  #page(position: number): Page {
    return this.#pages[position >>> pageShift] as Page;
  }

  /** For one more row. */
  #makeRoom(): void {
    const page = this.#pages[this.#count >>> pageShift];
    if (page === undefined) this.#pages.push(new Page(this.#count === 0 ? capacityMin : rowsPerPage));
    else if ((this.#count & pageMask) === page.capacity) page.grow();
  }

  /** Moves all rows from `position` on up by one; there is room. */
  #shift(position: number): void {
    const last = this.#count >>> pageShift;
    for (let number = last; number >= position >>> pageShift; number--) {
      const page = this.#pages[number] as Page;
      const isPositions = number === position >>> pageShift;
      page.shift(isPositions ? position & pageMask : 0, number === last ? this.#count & pageMask : pageMask);
      if (!isPositions) page.takeLast(0, this.#pages[number - 1] as Page);
    }
  }
}
