/**
 * A list that may have millions of items: in pages, since an array of that length takes milliseconds whenever V8 copies
 * it to a larger place.
 */

const pageShift = 12;
const pageLength = 1 << pageShift;
const pageMask = pageLength - 1;

export class PagedList<Item> {
  readonly #pages: Item[][] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: Item): void {
    if ((this.#length & pageMask) === 0) this.#pages.push([]);
    (this.#pages[this.#length >>> pageShift] as Item[]).push(item);
    this.#length++;
  }

  /** The item at an index below `length`. */
  get(index: number): Item {
    return (this.#pages[index >>> pageShift] as Item[])[index & pageMask] as Item;
  }

  /** Replaces the item at an index below `length`. */
  set(index: number, item: Item): void {
    (this.#pages[index >>> pageShift] as Item[])[index & pageMask] = item;
  }
}
