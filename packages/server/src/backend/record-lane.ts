/**
 * Rows of the `key` table in the write buffer, sorted by (main, order), where order is twice the sub revision, plus one
 * for a tombstone: the order of their keys. Arrays of numbers, since a write transaction appends one here and must not
 * cost an object; in pages, since one entry may write a million rows, and arrays of that length would take long to
 * grow.
 */

import { Spares } from "./spares.js";

/** Most buffers hold few rows: their one page is made with the first row, and grows. */
const capacityMin = 8;
const rowBytes = 28;
const rowsPerPage = 4096;
const pageShift = 12;
const pageMask = rowsPerPage - 1;
/** Length that stands for a deleted row. */
export const deleted = -1;

/** Columns in one buffer: each buffer outside of V8's heap is a moment at which V8 may collect garbage. */
export class Page {
  readonly mains: Float64Array;
  readonly orders: Float64Array;
  readonly blocks: Uint32Array;
  readonly offsets: Uint32Array;
  readonly lengths: Int32Array;

  constructor(capacity: number) {
    const buffer = new ArrayBuffer(rowBytes * capacity);
    this.mains = new Float64Array(buffer, 0, capacity);
    this.orders = new Float64Array(buffer, 8 * capacity, capacity);
    this.blocks = new Uint32Array(buffer, 16 * capacity, capacity);
    this.offsets = new Uint32Array(buffer, 20 * capacity, capacity);
    this.lengths = new Int32Array(buffer, 24 * capacity, capacity);
  }

  get capacity(): number {
    return this.mains.length;
  }

  /** A copy with room for twice as many rows. */
  grown(): Page {
    const page = new Page(this.capacity * 2);
    page.mains.set(this.mains);
    page.orders.set(this.orders);
    page.blocks.set(this.blocks);
    page.offsets.set(this.offsets);
    page.lengths.set(this.lengths);
    return page;
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

export class RecordLane {
  #count = 0;
  readonly #pages: Page[] = [];
  readonly #spares: Spares<Page>;

  /** `spares` are full pages that are used first. */
  constructor(spares: Spares<Page> = new Spares(0)) {
    this.#spares = spares;
  }

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

  /** Gives the pages up; nothing else may be called afterwards. */
  release(): void {
    for (const page of this.#pages) if (page.capacity === rowsPerPage) this.#spares.give(page);
    this.#pages.length = 0;
    this.#count = 0;
  }

  #page(position: number): Page {
    return this.#pages[position >>> pageShift] as Page;
  }

  /** For one more row. */
  #makeRoom(): void {
    const number = this.#count >>> pageShift;
    const page = this.#pages[number];
    if (page === undefined) {
      this.#pages.push(this.#spares.take() ?? new Page(number === 0 ? capacityMin : rowsPerPage));
    } else if ((this.#count & pageMask) === page.capacity) this.#pages[number] = page.grown();
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
