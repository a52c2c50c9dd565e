/**
 * One write transaction: all changes of one entry, under one new main revision. Its index changes carry that revision,
 * which readers at the published one do not see; `Mvcc.publish` makes it the current one.
 * Source: server/storage/mvcc/kvstore_txn.go.
 */

import { assert } from "../assert.js";
import type { Change } from "../watch/source.js";
import type { Budget, Task } from "./budget.js";
import { ByteArena } from "./byte-arena.js";
import type { KeyIndex } from "./key-index.js";
import type { Pieces } from "./pieces.js";
import { bytesPerUnit, type KeyInterval, type ReadBounds, visitLive } from "./range.js";
import { ReadView } from "./read-view.js";
import { encodeChunk, type RecordMeta } from "./record.js";
import type { RecordStore } from "./record-store.js";

/** Which lease a key is attached to; the lessor implements it. Keys are latin1 strings. */
export interface LeaseAttachments {
  /** The lease `key` is attached to, or 0n. */
  leaseOf(key: string): bigint;
  /** Attaches `key`; false when the lease does not exist. */
  attach(id: bigint, key: string): boolean;
  /** Detaches `key` from its lease, if it has one. */
  detach(key: string): void;
}

const noBytes = new Uint8Array(0);
const none: Change[] = [];
/**
 * Of a transaction that changes more, nobody is told the changes one by one: a million of them is no step of the loop.
 */
export const toldChangesMax = 1000;
/**
 * What `put` fills and uses up before it returns. One object for all transactions: one of its own for each starts with
 * small integers, and V8 gives up its optimized code whenever the revisions have outgrown those.
 */
const meta: RecordMeta = { createRevision: 0, modRevision: 0, version: 0, lease: 0n };

/** `record` is made on demand, since most changes are watched by nobody. */
class PutChange implements Change {
  readonly key: string;
  readonly sub: number;
  readonly createRevision: number;
  readonly #records: RecordStore;
  readonly #main: number;
  readonly #position: number;

  constructor(key: string, sub: number, createRevision: number, records: RecordStore, main: number, position: number) {
    this.key = key;
    this.sub = sub;
    this.createRevision = createRevision;
    this.#records = records;
    this.#main = main;
    this.#position = position;
  }

  get tombstone(): boolean {
    return false;
  }

  get record(): Uint8Array {
    return this.#records.chunk(this.#main, this.sub, this.#position);
  }
}

class TombstoneChange implements Change {
  readonly key: string;
  readonly sub: number;
  readonly #main: number;

  constructor(key: string, sub: number, main: number) {
    this.key = key;
    this.sub = sub;
    this.#main = main;
  }

  get tombstone(): boolean {
    return true;
  }

  get createRevision(): number {
    return 0;
  }

  get record(): Uint8Array {
    return encodeChunk(this.key, noBytes, { createRevision: 0, modRevision: this.#main, version: 0, lease: 0n });
  }
}

export interface DeleteResult {
  readonly kind: "deleteRange";
  /** Header revision. */
  readonly revision: number;
  readonly deleted: number;
  /** The encoded `prev_kvs` fields of DeleteRangeResponse (field 3), one after the other; owned by the caller. */
  readonly prevKvs: Pieces;
}

/** What deleting a key costs besides finding it: its row. */
const tombstoneUnits = 2;

/** The tag of DeleteRangeResponse.prev_kvs. */
const prevKvsTag = 0x1a;

export class WriteTxn {
  /** The revision before the transaction. */
  readonly beginRevision: number;
  #changes: Change[] = none;
  #changeCount = 0;
  readonly #compactRevision: number;
  readonly #index: KeyIndex;
  readonly #records: RecordStore;
  readonly #leases: LeaseAttachments;

  constructor(bounds: ReadBounds, index: KeyIndex, records: RecordStore, leases: LeaseAttachments) {
    this.beginRevision = bounds.currentRevision;
    this.#compactRevision = bounds.compactRevision;
    this.#index = index;
    this.#records = records;
    this.#leases = leases;
  }

  /** What has changed so far, in order; undefined when that is more than `toldChangesMax`. */
  get changes(): readonly Change[] | undefined {
    return this.#changeCount > toldChangesMax ? undefined : this.#changes;
  }

  /** Changes so far. */
  get changeCount(): number {
    return this.#changeCount;
  }

  /** The revision that readers inside the transaction see: the new one as soon as something has changed. */
  get currentRevision(): number {
    return this.beginRevision + (this.#changeCount > 0 ? 1 : 0);
  }

  /** Puts `key`; `value` is copied. The lease exists or is 0n: the caller has checked. */
  put(key: string, value: Uint8Array, lease: bigint): void {
    const main = this.beginRevision + 1;
    const sub = this.#changeCount;
    const index = this.#index;
    const slot = index.slotOf(key);
    let attached = 0n;
    if (slot >= 0 && index.locate(slot, main)) {
      meta.createRevision = index.located.created;
      meta.version = index.located.version + 1;
      attached = this.#leases.leaseOf(key);
    } else {
      meta.createRevision = main;
      meta.version = 1;
    }
    meta.modRevision = main;
    meta.lease = lease;
    const position = this.#records.put(main, sub, key, value, meta);
    index.putAt(slot, key, main, sub, position);
    if (++this.#changeCount <= toldChangesMax)
      this.#add(new PutChange(key, sub, meta.createRevision, this.#records, main, position));
    else this.#changes = none;
    if (attached === lease) return;
    if (attached !== 0n) this.#leases.detach(key);
    if (lease !== 0n) assert(this.#leases.attach(lease, key), "the lease of a put exists");
  }

  /** Deletes the live keys of an interval, in key order. */
  *deleteTask(interval: KeyInterval, options: { readonly prevKv: boolean }, budget: Budget): Task<DeleteResult> {
    if (interval.point) return this.deletePoint(interval.lo, options);
    const readRevision = this.currentRevision;
    const prevKvs = new ByteArena();
    let deleted = 0;
    const deleteOne = (slot: number): boolean => {
      if (options.prevKv) budget.left -= this.#records.append(this.#index.located, prevKvs, prevKvsTag) / bytesPerUnit;
      budget.left -= tombstoneUnits;
      this.#tombstone(this.#index.keyOf(slot), slot);
      deleted++;
      return true;
    };
    yield* visitLive(this.#index, interval, readRevision, budget, deleteOne);
    return { kind: "deleteRange", revision: this.currentRevision, deleted, prevKvs: prevKvs.view() };
  }

  /** Deletes one key if it is live, as a range of one. */
  deletePoint(key: string, options: { readonly prevKv: boolean }): DeleteResult {
    const slot = this.#index.slotOf(key);
    if (slot < 0 || !this.#index.locate(slot, this.currentRevision)) {
      return { kind: "deleteRange", revision: this.currentRevision, deleted: 0, prevKvs: noBytes };
    }
    let prevKvs: Pieces = noBytes;
    if (options.prevKv) {
      const arena = new ByteArena();
      this.#records.append(this.#index.located, arena, prevKvsTag);
      prevKvs = arena.view();
    }
    this.#tombstone(key, slot);
    return { kind: "deleteRange", revision: this.currentRevision, deleted: 1, prevKvs };
  }

  /** Deletes one key if it is live: what revoking a lease does to each of its keys. */
  deleteKey(key: string): void {
    const slot = this.#index.slotOf(key);
    if (slot >= 0 && this.#index.locate(slot, this.currentRevision)) this.#tombstone(key, slot);
  }

  #add(change: Change): void {
    // Most transactions change one key: an array literal has room for just that.
    if (this.#changes.length === 0) this.#changes = [change];
    else this.#changes.push(change);
  }

  #tombstone(key: string, slot: number): void {
    const main = this.beginRevision + 1;
    const sub = this.#changeCount;
    this.#records.putTombstone(main, sub, key);
    this.#index.tombstone(slot, main, sub);
    if (++this.#changeCount <= toldChangesMax) this.#add(new TombstoneChange(key, sub, main));
    else this.#changes = none;
    this.#leases.detach(key);
  }

  /** The store as the transaction sees it now; of no use after its next change. */
  view(): ReadView {
    const bounds = { currentRevision: this.currentRevision, compactRevision: this.#compactRevision };
    return new ReadView(this.#index, this.#records, bounds);
  }
}
