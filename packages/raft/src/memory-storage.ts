import { RaftError } from "./errors.js";
import { countWithinSize } from "./size.js";
import type { Storage, StorageRefusal } from "./storage.js";
import {
  type ConfState,
  type Entry,
  emptyHardState,
  emptySnapshot,
  type HardState,
  noLimit,
  type Snapshot,
} from "./types.js";

/**
 * A `Storage` in memory, for tests and for applications that keep the log in memory after having written it elsewhere.
 * It holds a snapshot and the entries after the last compacted one; the snapshot may cover more than was compacted.
 */
export class MemoryStorage implements Storage {
  #hardState: HardState = emptyHardState;
  #snapshot: Snapshot = emptySnapshot;
  /** Index and term of the last compacted entry: the one before `#entries[0]`. */
  #compactedIndex = 0;
  #compactedTerm = 0;
  #entries: Entry[] = [];

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  setHardState(state: HardState): void {
    this.#hardState = state;
  }

  entries(lo: number, hi: number, maxSize: number): Entry[] | StorageRefusal {
    if (lo <= this.#compactedIndex) return "compacted";
    if (hi > this.lastIndex() + 1) {
      throw new RaftError("misuse", `entries' hi(${hi}) is out of bound lastindex(${this.lastIndex()})`);
    }
    if (this.#entries.length === 0) return "unavailable";
    const first = this.#compactedIndex + 1;
    const entries = this.#entries.slice(lo - first, hi - first);
    if (maxSize !== noLimit) entries.length = countWithinSize(entries, maxSize);
    return entries;
  }

  term(index: number): number | StorageRefusal {
    if (index === this.#compactedIndex) return this.#compactedTerm;
    if (index < this.#compactedIndex) return "compacted";
    return this.#entries[index - this.#compactedIndex - 1]?.term ?? "unavailable";
  }

  lastIndex(): number {
    return this.#compactedIndex + this.#entries.length;
  }

  firstIndex(): number {
    return this.#compactedIndex + 1;
  }

  snapshot(): Snapshot | StorageRefusal {
    return this.#snapshot;
  }

  /** Replaces everything by `snapshot`, unless a newer one is here. */
  applySnapshot(snapshot: Snapshot): StorageRefusal | undefined {
    const { index, term } = snapshot.metadata;
    const existing = this.#snapshot.metadata.index;
    if (existing !== 0 && existing >= index) return "snapshot-out-of-date";
    this.#snapshot = snapshot;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#entries = [];
    return undefined;
  }

  /**
   * Makes a snapshot of the state at `index`, which must be in the log, and returns it. `confState` is the
   * configuration at that index; without it the one of the previous snapshot is kept.
   */
  createSnapshot(index: number, data: Uint8Array | undefined, confState?: ConfState): Snapshot | StorageRefusal {
    const previous = this.#snapshot.metadata;
    if (index <= previous.index) return "snapshot-out-of-date";
    const term = this.term(index);
    if (typeof term !== "number") {
      throw new RaftError("misuse", `snapshot ${index} is out of bound lastindex(${this.lastIndex()})`);
    }
    this.#snapshot = { data, metadata: { confState: confState ?? previous.confState, index, term } };
    return this.#snapshot;
  }

  /** Forgets the entries up to and including `index`, which the application must have applied. */
  compact(index: number): StorageRefusal | undefined {
    if (index <= this.#compactedIndex) return "compacted";
    const term = this.term(index);
    if (typeof term !== "number") {
      throw new RaftError("misuse", `compact ${index} is out of bound lastindex(${this.lastIndex()})`);
    }
    this.#entries = this.#entries.slice(index - this.#compactedIndex);
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    return undefined;
  }

  /** Appends entries, replacing those at and above the first one's index; what is compacted already is skipped. */
  append(entries: readonly Entry[]): void {
    const [firstEntry] = entries;
    if (firstEntry === undefined) return;
    const skipped = Math.max(0, this.firstIndex() - firstEntry.index);
    if (skipped >= entries.length) return;
    const position = firstEntry.index + skipped - this.firstIndex();
    if (position > this.#entries.length) {
      throw new RaftError("misuse", `missing log entry [last: ${this.lastIndex()}, append at: ${firstEntry.index}]`);
    }
    if (position < this.#entries.length) this.#entries.length = position;
    for (let i = skipped; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
  }
}
