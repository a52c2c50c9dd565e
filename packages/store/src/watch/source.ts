/**
 * What the watch hub needs of the store: its revisions and its history. Declared here, where it is used; the store
 * implements it.
 */

import type { RecordVisitor } from "../backend.js";

export interface WatchSource {
  /** The last published revision. */
  currentRevision(): number;
  /** The last compacted revision: history below it is gone. −1 when nothing was ever compacted. */
  compactRevision(): number;
  /** Whether a key in [lo, hi) has changed at `revision` or since; `hi` undefined = no upper bound. */
  changedSince(lo: string, hi: string | undefined, revision: number): boolean;
  /**
   * Rows with (loMain, loSub) ≤ (main, sub) and main < hiMainExclusive, ascending by (main, sub); `value` is the stored
   * KeyValue, of a deletion with the key only, as a view valid during the call. The visitor reads nothing else from the
   * store and writes nothing; returning false ends the scan.
   */
  scanRecords(loMain: number, loSub: number, hiMainExclusive: number, visit: RecordVisitor): void;
  /**
   * The KeyValue message of a key (latin1 string) at a revision, a view valid until the next call on the store;
   * undefined when the key did not exist then.
   */
  recordAt(key: string, revision: number): Uint8Array | undefined;
}

/** One change of a key within a published revision, in the order of execution. */
export interface Change {
  /** latin1 string: one character per byte. */
  readonly key: string;
  /** Place within the revision. */
  readonly sub: number;
  /** The key was deleted. */
  readonly tombstone: boolean;
  /** Where the key's life began; equal to the revision when this put created it, 0 for a deletion. */
  readonly createRevision: number;
  /**
   * KeyValue as field 2 of an enclosing message (0x12, length, bytes), of a deletion with key and mod_revision only; a
   * view valid during the call.
   */
  readonly record: Uint8Array;
}
