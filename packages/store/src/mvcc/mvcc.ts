/**
 * The versioned key-value store: revisions, the index, records, compaction, hashes. Source: server/storage/mvcc.
 *
 * There is one writer. It opens a transaction, changes keys in as many slices as it needs, and publishes: the revision
 * becomes current and its changes go to the listener in one synchronous step. Readers never see an unpublished
 * revision. After a snapshot has replaced the database, `replaceTask` starts over on the new one.
 */

import { assert } from "../assert.js";
import type { Backend, RecordVisitor } from "../backend.js";
import type { Change, WatchSource } from "../watch/source.js";
import { Budget, runToEnd, type Task } from "./budget.js";
import { ByteArena } from "./byte-arena.js";
import { Compactor, type Completion, finishedCompactKey, scheduledCompactKey } from "./compactor.js";
import { type Crc32c, HashCache, hashTask, type KeyValueHash } from "./hash.js";
import { KeyIndex } from "./key-index.js";
import { Pins } from "./pins.js";
import {
  type PointResult,
  type RangeRefusal,
  type RangeRequest,
  type RangeResult,
  type ReadBounds,
  type RefusedRange,
  rangeTask,
  readPoint,
  readRange,
} from "./range.js";
import { ReadView } from "./read-view.js";
import { RecordRing } from "./record-ring.js";
import { RecordStore } from "./record-store.js";
import { RestoringIndex, restoreTask, storedRevision } from "./restore.js";
import { encodeRevisionKey } from "./revision-key.js";
import { type ReadHold, SlicedRead } from "./sliced-read.js";
import { type LeaseAttachments, WriteTxn } from "./write-txn.js";

/**
 * Told of every published transaction, in the step that publishes it. `changes` is not empty and is not kept; it is
 * undefined when there are more than `toldChangesMax`.
 */
export type PublishedListener = (revision: number, changes: readonly Change[] | undefined) => void;

export interface MvccOptions {
  readonly backend: Backend;
  readonly leases: LeaseAttachments;
  readonly crc32c: Crc32c;
  /** Bytes of recent records kept in memory. Default 64 MiB. */
  readonly ringSizeBytes?: number;
  /** Bytes of one buffer of them. Default 1 MiB. */
  readonly ringBufferBytes?: number;
  /** Keys in a chunk of the index; for tests. */
  readonly indexChunkKeys?: number;
}

const ringSizeBytesDefault = 64 << 20;
/** Buffers of finished ranges that are kept, and how large one may be. */
const freeArenasMax = 8;
const arenaBytesMax = 2 << 20;

/** What became of a compaction request: `reason` when it was refused. */
export interface CompactionOutcome {
  readonly reason: RangeRefusal | undefined;
  /** Ends with the physical work that a physical request waits for; undefined when there is nothing to wait for. */
  readonly completion: Completion | undefined;
}

export class Mvcc implements WatchSource {
  readonly #options: MvccOptions;
  readonly #ring: RecordRing;
  readonly #hashes = new HashCache();
  /** Where reads at once put their records. */
  readonly #scratch = new ByteArena();
  readonly #freeArenas: ByteArena[] = [];
  #backend: Backend;
  #index: KeyIndex;
  #records: RecordStore;
  #pins: Pins;
  #compactor: Compactor;
  #currentRevision = 1;
  #compactRevision = -1;
  /** Counts replacements of the database, so that readers in slices notice one. */
  #generation = 0;
  #txn: WriteTxn | undefined;
  #listener: PublishedListener | undefined;

  /** An empty store over an empty database; call `restore` before use when there may be something in it. */
  constructor(options: MvccOptions) {
    this.#options = options;
    this.#ring = new RecordRing({
      sizeBytes: options.ringSizeBytes ?? ringSizeBytesDefault,
      bufferBytes: options.ringBufferBytes ?? 1 << 20,
    });
    this.#backend = options.backend;
    this.#index = new KeyIndex(options.indexChunkKeys);
    this.#records = new RecordStore(options.backend, this.#ring);
    this.#pins = new Pins();
    this.#compactor = this.#newCompactor();
  }

  /** The revision of the last published transaction; 1 on a fresh store. */
  currentRevision(): number {
    return this.#currentRevision;
  }

  /** Revisions below it are gone; −1 on a store that was never compacted. */
  compactRevision(): number {
    return this.#compactRevision;
  }

  /** How many keys the index holds, deleted ones that are not yet compacted included. */
  get keyCount(): number {
    return this.#index.size;
  }

  /** Throws unless the index keeps its invariants; for tests. */
  validate(): void {
    this.#index.validate();
  }

  /** Sets who is told of published transactions; there is one. */
  setListener(listener: PublishedListener): void {
    this.#listener = listener;
  }

  // --- restoring ---

  /** Reads the database at once. */
  restore(): void {
    runToEnd(this.replaceTask(this.#backend, new Budget(Number.POSITIVE_INFINITY)));
  }

  /** For the index of a database that is to replace this one, made while its rows are written. */
  startRestore(): RestoringIndex {
    return new RestoringIndex(new KeyIndex(this.#options.indexChunkKeys));
  }

  /**
   * Starts over on `backend`, in slices: at boot, and when a snapshot has replaced the database. Until it ends the
   * store answers from the old state, if that database is still open; no entry may be applied meanwhile.
   * `restoreLeases` must bring the leases of the new database, because its keys are attached to them next. `rows`: its
   * index, if that was made already, as `startRestore` began it.
   */
  *replaceTask(
    backend: Backend,
    budget: Budget,
    restoreLeases?: () => Task<void>,
    rows: RestoringIndex = this.startRestore(),
  ): Task<void> {
    assert(this.#txn === undefined, "no transaction is open while the database is replaced");
    this.#compactor.abort();
    const restored = yield* restoreTask(backend, rows, budget);
    if (restoreLeases !== undefined) yield* restoreLeases();
    for (const [key, lease] of restored.leases) {
      // A lease that is gone leaves the key without one: etcd logs that and goes on.
      this.#options.leases.attach(lease, key);
      budget.left--;
      if (budget.spent) yield;
    }
    this.#generation++;
    this.#backend = backend;
    this.#index = restored.index;
    this.#records = new RecordStore(backend, this.#ring);
    this.#pins = new Pins();
    this.#compactor = this.#newCompactor();
    this.#currentRevision = restored.currentRevision;
    this.#compactRevision = restored.compactRevision;
    if (restored.unfinishedCompactRevision !== undefined) this.compact(restored.unfinishedCompactRevision);
  }

  #newCompactor(): Compactor {
    return new Compactor({
      backend: this.#backend,
      index: this.#index,
      pins: this.#pins,
      hashes: this.#hashes,
      crc32c: this.#options.crc32c,
    });
  }

  // --- reading ---

  get #bounds(): ReadBounds {
    return { currentRevision: this.#currentRevision, compactRevision: this.#compactRevision };
  }

  /** Reads one key, by its latin1 string. `kvs` is valid until the next write. `revision` ≤ 0 = the current one. */
  get(key: string, revision: number): PointResult | RefusedRange {
    return readPoint(this.#index, this.#records, this.#bounds, { key, revision });
  }

  /** Reads a range at once. `kvs` is valid until the next call. For ranges that may be large use `startRange`. */
  range(request: RangeRequest): RangeResult | RefusedRange {
    return readRange(this.#index, this.#records, this.#bounds, request, this.#scratch);
  }

  /**
   * Reads a range in slices, all of it at the revision that is current now. `kvs` is valid until the next call: the
   * buffer it lies in is used again, because fresh memory costs more than what is copied into it.
   */
  startRange(request: RangeRequest): SlicedRead<RangeResult | RefusedRange> {
    return new SlicedRead(() => {
      const arena = this.#freeArenas.pop() ?? new ByteArena();
      const hold = this.#hold((bounds, budget) => {
        return rangeTask(this.#index, this.#records, bounds, request, budget, arena);
      });
      const release = (): void => {
        hold.release();
        arena.clear(arenaBytesMax);
        if (this.#freeArenas.length < freeArenasMax) this.#freeArenas.push(arena);
      };
      return { ...hold, release };
    });
  }

  /** Reads in slices whatever `makeTask` reads of the view it is given: the store as it is now. */
  startRead<Result>(makeTask: (view: ReadView, budget: Budget) => Task<Result>): SlicedRead<Result> {
    return this.#startRead((bounds, budget) => makeTask(new ReadView(this.#index, this.#records, bounds), budget));
  }

  /** Hashes the store at `revision` (0 = current) in slices, or answers with a compaction's cached hash. */
  startHash(revision: number): SlicedRead<KeyValueHash | RangeRefusal> {
    return this.#startRead((bounds, budget) => this.#hashTask(bounds, revision, budget));
  }

  *#hashTask(bounds: ReadBounds, revision: number, budget: Budget): Task<KeyValueHash | RangeRefusal> {
    const cached = this.#hashes.at(revision);
    if (cached !== undefined) return cached;
    return yield* hashTask(this.#backend, this.#index, bounds, revision, this.#options.crc32c, budget);
  }

  #startRead<Result>(makeTask: (bounds: ReadBounds, budget: Budget) => Task<Result>): SlicedRead<Result> {
    return new SlicedRead(() => this.#hold(makeTask));
  }

  /** Keeps the history as it is now until `release`. */
  #hold<Result>(makeTask: (bounds: ReadBounds, budget: Budget) => Task<Result>): ReadHold<Result> {
    const bounds = this.#bounds;
    const pins = this.#pins;
    const generation = this.#generation;
    pins.add(bounds.compactRevision);
    return {
      makeTask: (budget) => makeTask(bounds, budget),
      isStale: () => generation !== this.#generation,
      release: () => pins.release(bounds.compactRevision),
    };
  }

  /** The hashes that compactions left behind, newest revision first. */
  compactionHashes(): readonly KeyValueHash[] {
    return this.#hashes.list();
  }

  // --- what watchers read ---

  /** Rows from (loMain, loSub) on with main < hiMainExclusive that are published; see `Backend.scanRecords`. */
  scanRecords(loMain: number, loSub: number, hiMainExclusive: number, visit: RecordVisitor): void {
    this.#backend.scanRecords(loMain, loSub, Math.min(hiMainExclusive, this.#currentRevision + 1), visit);
  }

  /** Whether a key in [lo, hi) has changed at `revision` or since; `hi` undefined = no upper bound. */
  changedSince(lo: string, hi: string | undefined, revision: number): boolean {
    return this.#index.changedSince(lo, hi, revision);
  }

  /**
   * The KeyValue bytes of `key` at `revision`; undefined when it is not live there. A view valid until the next call.
   */
  recordAt(key: string, revision: number): Uint8Array | undefined {
    const slot = this.#index.slotOf(key);
    if (slot < 0 || !this.#index.locate(slot, revision)) return undefined;
    return this.#records.record(this.#index.located);
  }

  // --- writing ---

  /** Opens the transaction; there is one at a time, until `publish`. */
  begin(): WriteTxn {
    assert(this.#txn === undefined, "one transaction is open at a time");
    this.#txn = new WriteTxn(this.#bounds, this.#index, this.#records, this.#options.leases);
    return this.#txn;
  }

  /** The store as it is now, before the changes of an open transaction. */
  view(): ReadView {
    return new ReadView(this.#index, this.#records, this.#bounds);
  }

  /** Ends the transaction: its revision becomes current and its changes are told, if there are any. */
  publish(txn: WriteTxn): void {
    assert(this.#txn === txn, "the open transaction is published");
    this.#txn = undefined;
    if (txn.changeCount === 0) return;
    this.#currentRevision = txn.beginRevision + 1;
    this.#listener?.(this.#currentRevision, txn.changes);
  }

  // --- compaction ---

  /** Accepts or refuses a compaction. From now on reads below `revision` fail; the work is done by `compactionStep`. */
  compact(revision: number): CompactionOutcome {
    if (revision <= this.#compactRevision) return { reason: "compacted", completion: this.#compactor.addBarrier() };
    if (revision > this.#currentRevision) return { reason: "futureRev", completion: undefined };
    const scheduled = storedRevision(this.#backend, scheduledCompactKey);
    const finished = scheduled === storedRevision(this.#backend, finishedCompactKey);
    const previous = { compactRevision: this.#compactRevision, finished };
    this.#compactRevision = revision;
    this.#backend.put("meta", scheduledCompactKey, encodeRevisionKey(revision, 0));
    return { reason: undefined, completion: this.#compactor.add(revision, previous) };
  }

  /** Whether there is compaction work to do. */
  get compactionPending(): boolean {
    return this.#compactor.pending;
  }

  /** Does about `rowsMax` rows of compaction work; true when more remains. */
  compactionStep(rowsMax: number): boolean {
    return this.#compactor.step(rowsMax);
  }

  /** What compactions wrote so far is sealed: those that have ended are told to be. */
  completeCompactions(): void {
    this.#compactor.complete();
  }

  /** Gives up unfinished compactions, which the next boot runs again. */
  close(): void {
    this.#compactor.abort();
  }
}
