/**
 * Rows of one bucket in byte order of their keys (latin1 strings): a map, and the order as a sorted array that is made
 * when a scan needs it. Such buckets are written rarely and scanned rarely.
 */

import { lowerBound } from "./lower-bound.js";

export class SortedRows {
  readonly #values: Map<string, Uint8Array>;
  /** All keys ascending; undefined after a key came or went. */
  #order: string[] | undefined = [];

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#values = new Map(values);
    if (values.size > 0) this.#order = undefined;
  }

  /** The rows as they are now, whatever is written here later. */
  snapshot(): SortedRows {
    return new SortedRows(this.#values);
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  /** Sets the row's value, or removes the row when `value` is undefined. Keeps `value`. */
  set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) {
      if (this.#values.delete(key)) this.#order = undefined;
      return;
    }
    if (!this.#values.has(key)) this.#order = undefined;
    this.#values.set(key, value);
  }

  /** Rows with lo ≤ key < hi ascending, until the visitor returns false. */
  scan(lo: string, hi: string | undefined, visit: (key: string, value: Uint8Array) => boolean): void {
    this.#order ??= [...this.#values.keys()].sort();
    const order = this.#order;
    for (let at = lowerBound(order, lo); at < order.length; at++) {
      const key = order[at] as string;
      if (hi !== undefined && key >= hi) return;
      const value = this.#values.get(key);
      if (value !== undefined && !visit(key, value)) return;
    }
  }
}
