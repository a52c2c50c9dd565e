/**
 * Events of which only the bytes are kept: a revision may have millions, and an object for each, kept until all are
 * there, would cost more than they do, as would writing them one by one into a response in one go. They are packed as
 * they are collected. Nothing is copied: events that lie one behind the other become one array.
 */

import type { WatchEvent } from "./watch-event.js";

export class PackedEvents {
  readonly #pieces: Uint8Array[] = [];
  /** How many events there are. */
  length = 0;
  sizeBytes = 0;

  /** Their bytes, one behind the other; not to be changed. */
  get pieces(): readonly Uint8Array[] {
    return this.#pieces;
  }

  add(events: readonly WatchEvent[], withPrevious: boolean): void {
    this.length += events.length;
    visitRuns(events, { lo: 0, hi: events.length, withPrevious }, (run) => {
      this.#pieces.push(run);
      this.sizeBytes += run.length;
    });
  }
}

/** Calls back with the bytes of the events [lo, hi), those that lie one behind the other together. */
export function visitRuns(
  events: readonly WatchEvent[],
  options: { readonly lo: number; readonly hi: number; readonly withPrevious: boolean },
  visit: (run: Uint8Array) => void,
): void {
  const { lo, hi, withPrevious } = options;
  if (lo === hi) return;
  let first = (events[lo] as WatchEvent).bytes(withPrevious);
  let end = first.byteOffset;
  for (let index = lo; index < hi; index++) {
    const bytes = (events[index] as WatchEvent).bytes(withPrevious);
    if (bytes.byteOffset !== end || bytes.buffer !== first.buffer) {
      visit(new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset));
      first = bytes;
    }
    end = bytes.byteOffset + bytes.length;
  }
  visit(new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset));
}
