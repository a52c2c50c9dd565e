/**
 * Readers in slices keep the history they read from being compacted away. A reader pins the compact revision it began
 * with; the physical work of a compaction at a later revision waits until no such reader is left. New readers never
 * make it wait longer, since they begin at the later revision.
 */

import { assert } from "../assert.js";

export class Pins {
  readonly #counts = new Map<number, number>();

  add(compactRevision: number): void {
    this.#counts.set(compactRevision, (this.#counts.get(compactRevision) ?? 0) + 1);
  }

  release(compactRevision: number): void {
    const count = this.#counts.get(compactRevision);
    assert(count !== undefined, "a pin is released once");
    if (count === 1) this.#counts.delete(compactRevision);
    else this.#counts.set(compactRevision, count - 1);
  }

  /** Whether a reader began before the compaction at `revision` was accepted. */
  blocks(revision: number): boolean {
    for (const pinned of this.#counts.keys()) if (pinned < revision) return true;
    return false;
  }
}
