/**
 * A binary min-heap of entries ordered by their deadline, in which an entry knows its place, so that a renewed lease
 * moves instead of leaving a stale entry behind: the heap never holds more entries than there are leases.
 *
 * The heap owns `dueMs` and `position` of the entries it holds; nobody else writes them.
 */

import { assert } from "./assert.js";

export interface HeapEntry {
  /** When the entry is due, monotonic ms. Meaningful while the entry is in a heap. */
  dueMs: number;
  /** Index in the heap's array, −1 while the entry is in no heap. */
  position: number;
}

export class DeadlineHeap<Entry extends HeapEntry> {
  #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The entry that is due first. */
  peek(): Entry | undefined {
    return this.#entries[0];
  }

  /** Adds the entry, or moves it when it is already here. */
  set(entry: Entry, dueMs: number): void {
    entry.dueMs = dueMs;
    if (entry.position < 0) {
      entry.position = this.#entries.length;
      this.#entries.push(entry);
    }
    assert(this.#entries[entry.position] === entry, "a heap entry is in one heap only");
    this.#siftUp(entry);
    this.#siftDown(entry);
  }

  /** Takes the entry out, if it is in. */
  remove(entry: Entry): void {
    const position = entry.position;
    if (position < 0) return;
    assert(this.#entries[position] === entry, "a heap entry is in one heap only");
    entry.position = -1;
    const last = this.#entries.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, position);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  clear(): void {
    for (const entry of this.#entries) entry.position = -1;
    this.#entries = [];
  }

  #siftUp(entry: Entry): void {
    let position = entry.position;
    while (position > 0) {
      const parentPosition = (position - 1) >> 1;
      const parent = this.#entries[parentPosition];
      if (parent === undefined || parent.dueMs <= entry.dueMs) break;
      this.#place(parent, position);
      position = parentPosition;
    }
    this.#place(entry, position);
  }

  #siftDown(entry: Entry): void {
    let position = entry.position;
    for (;;) {
      const left = this.#entries[2 * position + 1];
      const right = this.#entries[2 * position + 2];
      const child = right !== undefined && left !== undefined && right.dueMs < left.dueMs ? right : left;
      if (child === undefined || child.dueMs >= entry.dueMs) break;
      const childPosition = child.position;
      this.#place(child, position);
      position = childPosition;
    }
    this.#place(entry, position);
  }

  #place(entry: Entry, position: number): void {
    this.#entries[position] = entry;
    entry.position = position;
  }
}
