/**
 * What the records of a log add up to: metadata, the last hard state, and the entries behind a snapshot mark. Newer
 * entries replace older ones from their index on.
 *
 * A record's type is not covered by its checksum. So beyond what etcd checks, each record must be one that raft can
 * have written at that place: indexes without gap, terms and commit that never decrease, committed entries never
 * replaced.
 */

import { type Entry, emptyHardState, type HardState, none } from "@etcd-ts/raft";
import { readEntry, readHardState, readSnapshotMark, type SnapshotMark } from "./messages.js";
import { type ParsedRecord, RecordType } from "./record.js";

/** Where in the log reading began; index 0 is its very beginning. */
export interface ReplayStart {
  readonly index: number;
  readonly term: number;
}

export class Replay {
  readonly #start: ReplayStart;
  readonly #entries: Entry[] = [];
  #metadata: Uint8Array | undefined;
  #hardState: HardState = emptyHardState;
  #lastIndex: number;
  /** Term of the entry at `lastIndex`; 0 when unknown. */
  #lastTerm = 0;
  #startFound = false;
  /** Term of the entry at the start's index; undefined while none was read. */
  #termAtStart: number | undefined;
  #startTermDiffers = false;

  /** `firstIndex` is the index in the name of the first segment read. */
  constructor(start: ReplayStart, firstIndex: number) {
    this.#start = start;
    this.#lastIndex = Math.max(firstIndex - 1, 0);
  }

  get metadata(): Uint8Array | undefined {
    return this.#metadata;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  /** Entries with an index above the start's. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Index of the last entry or snapshot mark. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  get startFound(): boolean {
    return this.#startFound;
  }

  get startTermDiffers(): boolean {
    return this.#startTermDiffers;
  }

  /** Takes the next record; the result says why it cannot be part of this log. */
  accept(record: ParsedRecord): string | undefined {
    const { type, data } = record;
    if (data === undefined) return undefined;
    switch (type) {
      case RecordType.metadata:
        return this.#acceptMetadata(data);
      case RecordType.entry:
        return this.#acceptEntry(readEntry(data));
      case RecordType.state:
        return this.#acceptState(readHardState(data));
      case RecordType.snapshot:
        return this.#acceptMark(readSnapshotMark(data));
      case RecordType.checksum:
        return undefined;
    }
  }

  #acceptMetadata(data: Uint8Array): string | undefined {
    const known = this.#metadata;
    if (known !== undefined && !(known.length === data.length && known.every((byte, i) => byte === data[i]))) {
      return "conflicting metadata";
    }
    this.#metadata = data.slice();
    return undefined;
  }

  #acceptEntry(entry: Entry | undefined): string | undefined {
    if (entry === undefined) return "malformed entry";
    const { index, term } = entry;
    if (index > this.#lastIndex + 1) return `entry ${index} follows entry ${this.#lastIndex}`;
    if (index <= this.#hardState.commit) return `entry ${index} replaces a committed entry`;
    if (term < this.#termBefore(index)) return `entry ${index} of term ${term} follows one of a later term`;
    const position = index - this.#start.index - 1;
    if (position > this.#entries.length) return `entry ${index} follows entry ${this.#entries.length}`;
    if (position >= 0) {
      // What it replaces may be of a later term: entries that a deposed leader had to itself.
      if (term === this.#entries[position]?.term && entry.data === undefined) {
        return `entry ${index} replaces one of the same term`;
      }
      this.#entries.length = position;
      this.#entries.push(entry);
    }
    this.#lastIndex = index;
    this.#lastTerm = term;
    if (index === this.#start.index) this.#termAtStart = term;
    return undefined;
  }

  /** Term of the entry before `index`; 0 when it is not known. */
  #termBefore(index: number): number {
    const previous = index - 1;
    if (previous === this.#start.index && (this.#startFound || previous === 0)) return this.#start.term;
    if (previous > this.#start.index) return this.#entries[previous - this.#start.index - 1]?.term ?? 0;
    return previous === this.#lastIndex ? this.#lastTerm : 0;
  }

  #acceptState(state: HardState | undefined): string | undefined {
    if (state === undefined) return "malformed hard state";
    const known = this.#hardState;
    if (state.term < known.term) return `hard state's term ${state.term} follows ${known.term}`;
    if (state.term === known.term && known.vote !== none && state.vote !== known.vote) return "second vote in a term";
    if (state.commit < known.commit) return `hard state's commit ${state.commit} follows ${known.commit}`;
    if (state.commit > this.#lastIndex) return `hard state's commit ${state.commit} is beyond entry ${this.#lastIndex}`;
    this.#hardState = state;
    return undefined;
  }

  #acceptMark(mark: SnapshotMark | undefined): string | undefined {
    if (mark === undefined) return "malformed snapshot mark";
    if (mark.index === this.#start.index) {
      this.#startFound = true;
      if (mark.term !== this.#start.term) this.#startTermDiffers = true;
      // Another member's state was received: what this log had at its index and behind is not of its history.
      if (this.#termAtStart !== undefined && this.#termAtStart !== mark.term) {
        this.#entries.length = 0;
        this.#lastIndex = mark.index;
        this.#lastTerm = mark.term;
      }
    }
    if (mark.index > this.#lastIndex) {
      this.#lastIndex = mark.index;
      this.#lastTerm = mark.term;
    }
    return undefined;
  }
}
