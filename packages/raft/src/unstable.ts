import { assert } from "./errors.js";
import type { Logger } from "./logger.js";
import { type Entry, noEntries, type Snapshot } from "./types.js";

/**
 * The end of the log that the storage does not have yet: a snapshot, entries, or a snapshot and the entries above it.
 *
 * ```
 *  storage … offset−1 │ offset … offsetInProgress−1 │ offsetInProgress … last
 *                     │ handed out to be persisted  │ not yet handed out
 * ```
 *
 * Invariant: `entries[i].index` = `offset` + i. Entries below `offset` may still be in the middle of being overwritten
 * in the storage; what is here always wins. Source: etcd-io/raft log_unstable.go.
 */
export class Unstable {
  readonly #logger: Logger;
  snapshot: Snapshot | undefined = undefined;
  entries: Entry[] = [];
  offset: number;
  offsetInProgress: number;
  #snapshotInProgress = false;

  constructor(offset: number, logger: Logger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#logger = logger;
  }

  /** Index of the last entry or of the snapshot; undefined if there is neither. */
  lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot?.metadata.index;
  }

  /** Term of `index`, if it is known here. */
  term(index: number): number | undefined {
    if (index < this.offset) {
      const metadata = this.snapshot?.metadata;
      return metadata !== undefined && metadata.index === index ? metadata.term : undefined;
    }
    return this.entries[index - this.offset]?.term;
  }

  /** Entries in [lo, hi), which must be here; a new array. */
  slice(lo: number, hi: number): Entry[] {
    assert(lo >= this.offset && hi <= this.offset + this.entries.length, "unstable.slice is out of bounds");
    return this.entries.slice(lo - this.offset, hi - this.offset);
  }

  hasNextEntries(): boolean {
    return this.offsetInProgress - this.offset < this.entries.length;
  }

  /** Entries not yet handed out; not changed afterwards. */
  nextEntries(): readonly Entry[] {
    return this.offsetInProgress - this.offset === this.entries.length
      ? noEntries
      : this.entries.slice(this.offsetInProgress - this.offset);
  }

  /** The snapshot, unless it was handed out. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot;
  }

  /** Marks everything as handed out. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Drops the entries up to `index`, which are durable now with `term` as the last one's term. If another entry has
   * taken that place meanwhile, the durable one is outdated and nothing happens: its replacement will be persisted too.
   */
  stableTo(index: number, term: number): void {
    const known = this.term(index);
    if (known === undefined) {
      this.#logger.info(`entry at index ${index} missing from unstable log; ignoring`);
    } else if (index < this.offset) {
      this.#logger.info(`entry at index ${index} matched unstable snapshot; ignoring`);
    } else if (known !== term) {
      this.#logger.info(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${known}) in unstable log; ignoring`,
      );
    } else {
      const count = index + 1 - this.offset;
      if (count === this.entries.length) this.entries = [];
      else this.entries.splice(0, count);
      this.offset = index + 1;
      this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
    }
  }

  /** Drops the snapshot if it is the one at `index`, which is durable and applied now. */
  stableSnapshotTo(index: number): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Replaces everything by a snapshot from the leader. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Appends entries, replacing those at and above the first one's index. `entries` is not kept. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = (entries[0] as Entry).index;
    if (from <= this.offset && !(from === this.offset && this.entries.length === 0)) {
      this.#logger.info(`replace the unstable entries from index ${from}`);
      this.entries = [];
      this.offset = from;
      this.offsetInProgress = from;
    } else if (from < this.offset + this.entries.length) {
      this.#logger.info(`truncate the unstable entries before index ${from}`);
      this.entries.length = from - this.offset;
      this.offsetInProgress = Math.min(this.offsetInProgress, from);
    }
    for (let i = 0; i < entries.length; i++) this.entries.push(entries[i] as Entry);
  }
}
