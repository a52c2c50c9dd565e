/**
 * The live database: a write buffer, which every read consults first, over committed tables.
 *
 * Writes go to the current generation of the buffer. At the end of an entry, once 100 ms have passed since the first
 * uncommitted one or 10 000 operations have gathered, the generation is handed to the database as one transaction, with
 * the entry's index and term in it, and a new one is begun. One commit is under way at a time; reads consult both
 * generations until it is durable and the database's readers see it. A commit never cuts an entry: one that is asked
 * for within an entry takes the entries before it, and leaves the generation in place.
 *
 * If the database is slower than the writers, `isCongested` asks them to wait; nothing is refused here, as an entry
 * once begun must be finished. A failed commit is final: what is on disk is unknown, and the member must stop.
 *
 * Keys longer than the database takes (names of users and roles may have any length) live in a table of their own under
 * their hash, and in memory.
 *
 * Source: etcd server/storage/backend (the buffer, the interval and the limit), postmortems/v3.5-data-inconsistency.md
 * (the index in the entry's own transaction).
 */

import { bytesFromLatin1, compareBytes, latin1FromBytes } from "@etcd-ts/api";
import type { Backend, BucketName, RecordVisitor, RowVisitor } from "@etcd-ts/store";
import { assert } from "../assert.js";
import type { Clock, Digest, Timer } from "../env.js";
import { readUint64, writeUint64 } from "../uint64.js";
import { type Database, type DatabaseSize, type PinnedDatabase, tableNames } from "./database.js";
import { Generation, makeSpares } from "./generation.js";
import { LongRows } from "./long-rows.js";
import { RecordMerge } from "./record-merge.js";
import { isTombstoneKey, readMain, readSub, writeRevisionKey } from "./revision-key.js";

export interface BufferedBackendOptions {
  readonly clock: Clock;
  readonly digest: Digest;
  readonly database: Database;
  /** `--backend-batch-interval`: milliseconds an applied entry waits for its commit at most. */
  readonly commitIntervalMs?: number;
  /** `--backend-batch-limit`: operations that start a commit at the end of their entry. */
  readonly commitOperations?: number;
  /** Bytes buffered that start a commit. */
  readonly commitBytes?: number;
  /** Called once, when a commit failed: the member must stop. */
  readonly onFailure: (error: Error) => void;
}

const defaults = { commitIntervalMs: 100, commitOperations: 10_000, commitBytes: 16 << 20 } as const;

const tables: ReadonlyMap<string, number> = new Map(tableNames.map((name, number) => [name, number]));
const keyTable = tableOf("key");
const metaTable = tableOf("meta");
const consistentIndexKey = bytesFromLatin1("consistent_index");
const termKey = bytesFromLatin1("term");

export class BufferedBackend implements Backend {
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #intervalMs: number;
  readonly #operationsMax: number;
  readonly #bytesMax: number;
  readonly #onFailure: (error: Error) => void;
  readonly #longRows: LongRows;
  readonly #scratch = new Uint8Array(18);
  readonly #spares = makeSpares();
  #current = new Generation(keyTable, this.#spares);
  /** What the commit under way will make durable, unless it was begun within an entry. */
  #committing: Generation | undefined;
  #isCommitting = false;
  /**
   * Index and term of the last sealed entry. The rows of `meta` are written when they are read; a commit has its own.
   */
  #sealedIndex = 0;
  #sealedTerm = 0;
  #storedIndex = 0;
  /** Sealed operations of `#current` that a commit within an entry has taken. */
  #takenOperations = 0;
  #takenIndex: number;
  #durableIndex: number;
  #commitDue = false;
  #timer: Timer | undefined;
  #size: DatabaseSize;
  #failure: Error | undefined;
  #closed = false;
  #commit: Promise<void> = Promise.resolve();
  #waiters: { readonly index: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #reliefWaiters: (() => void)[] = [];

  constructor(options: BufferedBackendOptions) {
    this.#clock = options.clock;
    this.#database = options.database;
    this.#intervalMs = options.commitIntervalMs ?? defaults.commitIntervalMs;
    this.#operationsMax = options.commitOperations ?? defaults.commitOperations;
    this.#bytesMax = options.commitBytes ?? defaults.commitBytes;
    this.#onFailure = options.onFailure;
    this.#size = options.database.size();
    this.#longRows = new LongRows(options.database, options.digest);
    const stored = options.database.get(metaTable, consistentIndexKey);
    this.#durableIndex = stored === undefined ? 0 : readUint64(stored, 0);
    this.#takenIndex = this.#durableIndex;
    this.#sealedIndex = this.#durableIndex;
    this.#storedIndex = this.#durableIndex;
    const term = options.database.get(metaTable, termKey);
    this.#sealedTerm = term === undefined ? 0 : readUint64(term, 0);
  }

  /** Index of the last entry whose effects are on disk: the raft log may be cut up to here. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Resolves when `durableIndex` has reached `index`, which it asks for; rejects when a commit failed. */
  whenDurable(index: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (index <= this.#durableIndex) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ index, resolve, reject });
      this.requestCommit();
    });
  }

  /**
   * A read of the whole database at a moment when it durably holds at least everything up to `index`; what else it
   * holds are whole entries. Its own `meta` rows tell how far it goes. The caller releases it, before this backend is
   * closed.
   */
  async pinDurable(index: number): Promise<PinnedDatabase> {
    await this.whenDurable(index);
    assert(!this.#closed, "a closed database is not read");
    return this.#database.pin();
  }

  /** Whether writers should wait: a whole batch has gathered behind the commit under way. */
  get isCongested(): boolean {
    return this.#isCommitting && this.#isFull();
  }

  /** Resolves when `isCongested` is false, or a commit failed. */
  whenRelieved(): Promise<void> {
    if (!this.isCongested || this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => this.#reliefWaiters.push(resolve));
  }

  getRecord(main: number, sub: number): Uint8Array | undefined {
    return this.#getRecord(main, sub, false);
  }

  putRecord(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.#current.setRecord(main, sub, tombstone, value);
  }

  deleteRecord(main: number, sub: number, tombstone: boolean): void {
    this.#current.setRecord(main, sub, tombstone, undefined);
  }

  scanRecords(loMain: number, loSub: number, hiMain: number, visit: RecordVisitor): void {
    const merge = new RecordMerge(this.#generations(), loMain, loSub * 2, hiMain);
    const lo = new Uint8Array(18);
    const hi = new Uint8Array(8);
    const loSize = writeRevisionKey(lo, loMain, loSub, false);
    writeUint64(hi, 0, hiMain);
    let goesOn = true;
    this.#database.scan(keyTable, lo.subarray(0, loSize), hi, (key, value) => {
      const main = readMain(key);
      const order = readSub(key) * 2 + (isTombstoneKey(key) ? 1 : 0);
      goesOn = merge.visitBefore(main, order, visit);
      if (!goesOn) return false;
      if (merge.has(main, order)) return true;
      goesOn = visit(main, Math.floor(order / 2), order % 2 === 1, value);
      return goesOn;
    });
    if (goesOn) merge.visitBefore(hiMain, 0, visit);
  }

  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    const table = tableOf(bucket);
    if (table === keyTable) return this.#getRecord(readMain(key), readSub(key), isTombstoneKey(key));
    if (key.length > this.#database.keySizeMax) return this.#longRows.get(table, key);
    if (table === metaTable) this.#storeIndex();
    for (const generation of this.#generations()) {
      const row = generation.getRow(table, key);
      if (row !== undefined) return row.value;
    }
    return key.length === 0 ? undefined : this.#database.get(table, key);
  }

  put(bucket: Exclude<BucketName, "key">, key: Uint8Array, value: Uint8Array): void {
    this.#setRow(tableOf(bucket), key, value);
  }

  delete(bucket: Exclude<BucketName, "key">, key: Uint8Array): void {
    this.#setRow(tableOf(bucket), key, undefined);
  }

  scan(bucket: BucketName, lo: Uint8Array, hi: Uint8Array | undefined, visit: RowVisitor): void {
    const table = tableOf(bucket);
    if (table === keyTable) return this.#scanKeyTable(lo, hi, visit);
    if (table === metaTable) this.#storeIndex();
    const loText = latin1FromBytes(lo);
    const hiText = hi === undefined ? undefined : latin1FromBytes(hi);
    const buffered = new Map<string, Uint8Array | undefined>(this.#longRows.rows(table));
    for (const generation of this.#generations().toReversed()) {
      for (const [key, row] of generation.rows(table)) buffered.set(key, row.value);
    }
    const keys = [...buffered.keys()].filter((key) => key >= loText && (hiText === undefined || key < hiText)).sort();
    let next = 0;
    /** Visits buffered rows before `end`. */
    const visitBefore = (end: string | undefined): boolean => {
      for (let key = keys[next]; key !== undefined && (end === undefined || key < end); key = keys[++next]) {
        const value = buffered.get(key);
        if (value !== undefined && !visit(bytesFromLatin1(key), value)) {
          next = keys.length;
          return false;
        }
      }
      return true;
    };
    let goesOn = true;
    this.#database.scan(table, lo, hi, (key, value) => {
      if (next < keys.length) {
        const text = latin1FromBytes(key);
        goesOn = visitBefore(text);
        if (!goesOn || keys[next] === text) return goesOn;
      }
      goesOn = visit(key, value);
      return goesOn;
    });
    if (goesOn) visitBefore(undefined);
  }

  sealEntry(index: number, term: number): void {
    assert(index >= this.#sealedIndex, "entries are sealed in the order of their indexes");
    this.#sealedIndex = index;
    this.#sealedTerm = term;
    this.#current.seal();
    if (this.#commitDue || this.#isFull()) this.#startCommit();
    else if (this.#timer === undefined) this.#startTimer();
  }

  /** Apart from `sealEntry`, which would make the closure's context with each entry. */
  #startTimer(): void {
    this.#timer = this.#clock.setTimer(this.#intervalMs, () => this.#intervalPassed());
  }

  requestCommit(): void {
    this.#commitDue = true;
    this.#startCommit();
  }

  /** Resolves when what is sealed now is durable; rejects when a commit failed. */
  async flush(): Promise<void> {
    // The one under way may have begun before.
    if (this.#isCommitting) await this.#commit;
    this.requestCommit();
    await this.#commit;
    if (this.#failure !== undefined) throw this.#failure;
  }

  sizeBytes(): number {
    return this.#size.sizeBytes;
  }

  sizeInUseBytes(): number {
    return this.#size.sizeInUseBytes;
  }

  /** The database has become another size without a commit. */
  refreshSize(): void {
    this.#size = this.#database.size();
  }

  /**
   * Commits what is sealed and closes the database. An unfinished entry is dropped: the log has it.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#timer?.cancel();
    while (this.#isCommitting) await this.#commit;
    this.#startCommit();
    while (this.#isCommitting) await this.#commit;
    this.#closed = true;
    await this.#database.close();
  }

  #generations(): readonly Generation[] {
    return this.#committing === undefined ? [this.#current] : [this.#current, this.#committing];
  }

  #getRecord(main: number, sub: number, tombstone: boolean): Uint8Array | undefined {
    for (const generation of this.#generations()) {
      const value = generation.getRecord(main, sub, tombstone);
      if (value !== undefined) return value ?? undefined;
    }
    const keySize = writeRevisionKey(this.#scratch, main, sub, tombstone);
    return this.#database.get(keyTable, this.#scratch.subarray(0, keySize));
  }

  #setRow(table: number, key: Uint8Array, value: Uint8Array | undefined): void {
    if (key.length > this.#database.keySizeMax) this.#longRows.set(this.#current, table, key, value);
    else this.#current.setRow(table, key, value);
  }

  /** The `key` bucket as plain rows: for whole-database readers, not for the hot path. */
  #scanKeyTable(lo: Uint8Array, hi: Uint8Array | undefined, visit: RowVisitor): void {
    const key = new Uint8Array(18);
    const loMain = readMain(lo);
    this.scanRecords(loMain, 0, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      const row = key.subarray(0, writeRevisionKey(key, main, sub, tombstone));
      if (compareBytes(row, lo) < 0) return true;
      if (hi !== undefined && compareBytes(row, hi) >= 0) return false;
      return visit(row, value);
    });
  }

  #isFull(): boolean {
    return this.#current.operations >= this.#operationsMax || this.#current.size >= this.#bytesMax;
  }

  #intervalPassed(): void {
    this.#timer = undefined;
    this.requestCommit();
  }

  /** Puts the last sealed index and term where `meta` is read. */
  #storeIndex(): void {
    if (this.#storedIndex === this.#sealedIndex) return;
    const isWithinEntry = this.#current.isWithinEntry;
    for (const [table, key, value] of this.#indexRows()) this.#current.setRow(table, key, value);
    if (!isWithinEntry) this.#current.seal();
    this.#storedIndex = this.#sealedIndex;
  }

  #indexRows(): readonly (readonly [number, Uint8Array, Uint8Array])[] {
    if (this.#sealedIndex === 0) return [];
    const index = [metaTable, consistentIndexKey, uint64(this.#sealedIndex)] as const;
    return this.#sealedTerm === 0 ? [index] : [index, [metaTable, termKey, uint64(this.#sealedTerm)]];
  }

  /** Commits what is sealed and not yet taken, unless a commit is under way: its end begins the next one. */
  #startCommit(): void {
    if (this.#isCommitting || this.#failure !== undefined || this.#closed) return;
    const generation = this.#current;
    const isWithinEntry = generation.isWithinEntry;
    if (!isWithinEntry) {
      this.#commitDue = false;
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    const index = this.#sealedIndex;
    if (generation.sealedOperations === this.#takenOperations && index === this.#takenIndex) return;
    const batch = generation.encodeSealed(this.#indexRows());
    this.#takenIndex = index;
    this.#takenOperations = isWithinEntry ? generation.sealedOperations : 0;
    if (!isWithinEntry) {
      this.#committing = generation;
      this.#current = new Generation(keyTable, this.#spares);
    }
    this.#isCommitting = true;
    this.#commit = this.#database.commit(batch).then(
      (size) => this.#committed(index, size),
      (error: unknown) => this.#failed(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #committed(index: number, size: DatabaseSize): void {
    // Readers must see the commit before the buffer forgets it.
    this.#database.refresh();
    this.#committing?.release();
    this.#committing = undefined;
    this.#isCommitting = false;
    this.#size = size;
    this.#durableIndex = Math.max(this.#durableIndex, index);
    const settled = this.#waiters.filter((waiter) => waiter.index <= this.#durableIndex);
    this.#waiters = this.#waiters.filter((waiter) => waiter.index > this.#durableIndex);
    for (const waiter of settled) waiter.resolve();
    if (this.#commitDue || this.#waiters.length > 0 || this.#isFull()) this.#startCommit();
    if (!this.isCongested) for (const resolve of this.#reliefWaiters.splice(0)) resolve();
  }

  #failed(error: Error): void {
    this.#failure = error;
    this.#committing = undefined;
    this.#isCommitting = false;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    for (const resolve of this.#reliefWaiters.splice(0)) resolve();
    this.#onFailure(error);
  }
}

function tableOf(name: string): number {
  const table = tables.get(name);
  assert(table !== undefined, "buckets have tables");
  return table;
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeUint64(bytes, 0, value);
  return bytes;
}
