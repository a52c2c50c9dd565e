import { RaftError } from "./errors.js";
import type { Logger } from "./logger.js";
import { countWithinSize, entriesSize } from "./size.js";
import { type Storage, type StorageRefusal, storageRefusalText } from "./storage.js";
import { type Entry, isEmptySnapshot, noEntries, noLimit, type Snapshot } from "./types.js";
import { Unstable } from "./unstable.js";

/**
 * The whole log: what the storage has, and above it what it does not have yet.
 *
 * Invariants: applied ≤ applying ≤ committed ≤ lastIndex. `applying` is the highest index handed out to be applied.
 * Source: etcd-io/raft log.go.
 */
export class RaftLog {
  readonly #storage: Storage;
  readonly #logger: Logger;
  readonly unstable: Unstable;
  committed: number;
  applying: number;
  applied: number;
  /** Limit of the encoded bytes handed out and not yet applied, the bytes that are, and whether to wait for them. */
  readonly #maxApplyingSize: number;
  #applyingSize = 0;
  #applyingPaused = false;

  constructor(storage: Storage, options: { readonly logger: Logger; readonly maxApplyingSize: number }) {
    this.#storage = storage;
    this.#logger = options.logger;
    this.#maxApplyingSize = options.maxApplyingSize;
    this.unstable = new Unstable(storage.lastIndex() + 1, options.logger);
    this.committed = storage.firstIndex() - 1;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  describe(): string {
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${this.unstable.offset}, unstable.offsetInProgress=${this.unstable.offsetInProgress}, ` +
      `len(unstable.Entries)=${this.unstable.entries.length}`
    );
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.metadata.index + 1;
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    if (typeof term !== "number") throw storageError("term of the last entry", term);
    return term;
  }

  /** Term of the entry at `index`, also for the last compacted one. */
  term(index: number): number | StorageRefusal {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex()) return "compacted";
    if (index > this.lastIndex()) return "unavailable";
    const term = this.#storage.term(index);
    if (term === "snapshot-out-of-date" || term === "snapshot-temporarily-unavailable")
      throw storageError("term", term);
    return term;
  }

  /** As `term`, 0 where there is none. */
  termOrZero(index: number): number {
    const term = this.term(index);
    return typeof term === "number" ? term : 0;
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends with this entry is at least as complete as ours. Source: paper §5.4.1. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ownTerm = this.lastTerm();
    return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex());
  }

  /**
   * Entries in [lo, hi), as many from the front as fit into `maxSize` encoded bytes, at least one. `compacted` when lo
   * is gone.
   */
  slice(lo: number, hi: number, maxSize: number): Entry[] | "compacted" {
    if (lo < this.firstIndex()) return "compacted";
    if (lo > hi || hi > this.lastIndex() + 1) {
      throw new RaftError("bug", `slice[${lo},${hi}) out of bound [${this.firstIndex()},${this.lastIndex()}]`);
    }
    if (lo === hi) return [];
    const offset = this.unstable.offset;
    if (lo >= offset) return limited(this.unstable.slice(lo, hi), maxSize);
    const cut = Math.min(hi, offset);
    const entries = this.#storage.entries(lo, cut, maxSize);
    if (entries === "compacted") return "compacted";
    if (!Array.isArray(entries)) throw storageError(`entries[${lo}:${cut})`, entries);
    if (hi <= offset || entries.length < cut - lo) return entries;
    if (maxSize === noLimit) return entries.concat(this.unstable.slice(offset, hi));
    const size = entriesSize(entries);
    if (size >= maxSize) return entries;
    const rest = limited(this.unstable.slice(offset, hi), maxSize - size);
    // `limited` lets a first entry through that is too large; here it is not the first one.
    if (rest.length === 1 && size + entriesSize(rest) > maxSize) return entries;
    return entries.concat(rest);
  }

  /** Entries from `index` to the end, limited as by `slice`. */
  entriesFrom(index: number, maxSize: number): readonly Entry[] | "compacted" {
    const end = this.lastIndex() + 1;
    return index >= end ? noEntries : this.slice(index, end, maxSize);
  }

  /** Appends entries, replacing those at and above the first one's index; none of them may be committed. */
  append(entries: readonly Entry[]): number {
    const [first] = entries;
    if (first === undefined) return this.lastIndex();
    if (first.index <= this.committed) {
      throw new RaftError("bug", `after(${first.index - 1}) is out of range [committed(${this.committed})]`);
    }
    this.unstable.truncateAndAppend(entries);
    return this.lastIndex();
  }

  /**
   * The position in `entries` of the first one that the log lacks or has with another term; `entries.length` if it has
   * them all. The caller has checked that the entry before the first one matches.
   */
  findConflict(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i] as Entry;
      const existing = this.term(index);
      if (existing === term) continue;
      if (index <= this.lastIndex()) {
        const shown = typeof existing === "number" ? existing : 0;
        this.#logger.info(`found conflict at index ${index} [existing term: ${shown}, conflicting term: ${term}]`);
      }
      return i;
    }
    return entries.length;
  }

  /**
   * The highest position at or below `index` whose term is at or below `term`: the last one where a log with an entry
   * (index, term) may agree with ours. Term 0 where ours has no entry to tell.
   */
  findConflictByTerm(index: number, term: number): { readonly index: number; readonly term: number } {
    for (let i = index; i > 0; i--) {
      const own = this.term(i);
      if (typeof own !== "number") return { index: i, term: 0 };
      if (own <= term) return { index: i, term: own };
    }
    return { index: 0, term: 0 };
  }

  /** Raises the commit index, which never falls. */
  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex()) throw new RaftError("bug", this.outOfRangeText(index));
    this.committed = index;
  }

  /** What to say when a leader commits beyond the log's end. */
  outOfRangeText(index: number): string {
    return (
      `tocommit(${index}) is out of range [lastIndex(${this.lastIndex()})]. ` +
      "Was the raft log corrupted, truncated, or lost?"
    );
  }

  snapshot(): Snapshot | StorageRefusal {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  /** Replaces the whole log by a snapshot, which is not applied yet. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#logger.info(`log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`);
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** Whether a snapshot is waiting to be persisted and applied. */
  hasPendingSnapshot(): boolean {
    return !isEmptySnapshot(this.unstable.snapshot);
  }

  /** The highest index that may be applied; entries still to be persisted count only if `allowUnstable`. */
  #maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    return !this.#applyingPaused && !this.hasPendingSnapshot() && this.applying < this.#maxAppliable(allowUnstable);
  }

  /** Committed entries to hand out next; not changed afterwards. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return noEntries;
    const room = this.#maxApplyingSize === noLimit ? noLimit : this.#maxApplyingSize - this.#applyingSize;
    const entries = this.slice(this.applying + 1, this.#maxAppliable(allowUnstable) + 1, room);
    if (entries === "compacted") throw storageError("committed entries", entries);
    return entries;
  }

  /** Notes that committed entries up to `index`, of `size` encoded bytes, were handed out. */
  acceptApplying(index: number, size: number, allowUnstable: boolean): void {
    if (index > this.committed) throw new RaftError("bug", `applying(${index}) is beyond committed(${this.committed})`);
    this.applying = index;
    this.#applyingSize += size;
    // Fewer entries than there are means that the next one would have crossed the limit: wait as if it had.
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize || index < this.#maxAppliable(allowUnstable);
  }

  /** Notes that everything up to `index` is applied, of which `size` encoded bytes had been handed out. */
  appliedTo(index: number, size: number): void {
    if (index > this.committed || index < this.applied) {
      throw new RaftError(
        "misuse",
        `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`,
      );
    }
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingSize = Math.max(0, this.#applyingSize - size);
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize;
  }
}

function limited(entries: Entry[], maxSize: number): Entry[] {
  if (maxSize !== noLimit) entries.length = countWithinSize(entries, maxSize);
  return entries;
}

/** The storage did not answer what it must be able to answer. */
function storageError(what: string, refusal: StorageRefusal): RaftError {
  return new RaftError("invalid-storage", `cannot read ${what}: ${storageRefusalText[refusal]}`);
}
