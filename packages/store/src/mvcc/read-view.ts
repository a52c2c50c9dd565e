/**
 * The store at one revision, for readers. Inside an unpublished transaction that revision may be the transaction's own.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { Budget, Task } from "./budget.js";
import { ByteArena } from "./byte-arena.js";
import type { KeyIndex, Located } from "./key-index.js";
import {
  type KeyInterval,
  type RangeRequest,
  type RangeResult,
  type ReadBounds,
  type RefusedRange,
  rangeTask,
  readPoint,
  visitLive,
} from "./range.js";
import { recordChunkTag } from "./record.js";
import type { RecordStore } from "./record-store.js";

export class ReadView implements ReadBounds {
  readonly currentRevision: number;
  readonly compactRevision: number;
  readonly #index: KeyIndex;
  readonly #records: RecordStore;

  constructor(index: KeyIndex, records: RecordStore, bounds: ReadBounds) {
    this.currentRevision = bounds.currentRevision;
    this.compactRevision = bounds.compactRevision;
    this.#index = index;
    this.#records = records;
  }

  /** Whether `key` is live. */
  has(key: string): boolean {
    const slot = this.#index.slotOf(key);
    return slot >= 0 && this.#index.locate(slot, this.currentRevision);
  }

  /** The record chunk of `key`, or undefined; a copy that belongs to the caller. */
  get(key: string): Uint8Array | undefined {
    if (!this.has(key)) return undefined;
    const arena = new ByteArena();
    return arena.last(this.#records.append(this.#index.located, arena, recordChunkTag));
  }

  /** Reads one key as a range (`isPlainGet`); `kvs` belongs to the caller. */
  getCopy(request: Pick<RangeRequest, "key" | "revision">): RangeResult | RefusedRange {
    const asked = { key: latin1FromBytes(request.key), revision: request.revision };
    const result = readPoint(this.#index, this.#records, this, asked);
    return result.kind === "range" ? { ...result, kvs: result.kvs.slice() } : result;
  }

  /** Where the index finds `key`; undefined when it is not live. Overwritten by the next call. */
  locate(key: string): Located | undefined {
    return this.has(key) ? this.#index.located : undefined;
  }

  /** The KeyValue bytes of what `locate` or a visitor was given; a view that is valid until the next call. */
  record(at: Located): Uint8Array {
    return this.#records.record(at);
  }

  /** Calls `onLive` for each live key of the interval in order, until it returns false. */
  visitTask(interval: KeyInterval, budget: Budget, onLive: (key: string, at: Located) => boolean): Task<void> {
    const index = this.#index;
    return visitLive(index, interval, this.currentRevision, budget, (slot) => onLive(index.keyOf(slot), index.located));
  }

  /** Reads a range; `kvs` belongs to the caller. */
  rangeTask(request: RangeRequest, budget: Budget): Task<RangeResult | RefusedRange> {
    return rangeTask(this.#index, this.#records, this, request, budget);
  }
}
