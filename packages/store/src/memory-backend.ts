/**
 * The backend in memory: tests, simulation and `--memory`.
 *
 * It has an applied and a durable state. Writes change the applied one and leave an undo record; `commit` makes what is
 * sealed durable by forgetting its undo records; `crash` takes back everything else, newest first. Thus there is one
 * copy of the data, and a crash costs what was written since the last commit.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import { assert } from "./assert.js";
import { type Backend, type BucketName, bucketNames, type RecordVisitor, type RowVisitor } from "./backend.js";
import { decodeRevisionKey, revisionKeySize, tombstoneKeySize, writeRevisionKey } from "./mvcc/revision-key.js";
import { RecordRows } from "./record-rows.js";
import { SortedRows } from "./sorted-rows.js";

export interface MemoryBackendOptions {
  /**
   * Operations after which a sealed entry is committed without being asked; Infinity = only when asked. Default 10 000.
   */
  readonly commitOperations?: number;
  /** Called instead of committing when a commit is requested, so that a simulator can choose the moment. */
  readonly onCommitRequest?: () => void;
}

type Undo =
  | { readonly bucket: PlainBucket; readonly key: string; readonly value: Uint8Array | undefined }
  | {
      readonly bucket: "key";
      readonly main: number;
      readonly sub: number;
      readonly tombstone: boolean;
      readonly value: Uint8Array | undefined;
    };

type PlainBucket = Exclude<BucketName, "key">;

interface Applied {
  readonly index: number;
  readonly term: number;
}

const commitOperationsDefault = 10_000;
const consistentIndexKey = "consistent_index";
const termKey = "term";
/** What a B+tree's page header and pointers add to a row, roughly; only the size report uses it. */
const rowOverheadBytes = 32;

export class MemoryBackend implements Backend {
  readonly #commitOperations: number;
  readonly #onCommitRequest: (() => void) | undefined;
  readonly #records = new RecordRows();
  readonly #buckets: ReadonlyMap<PlainBucket, SortedRows>;
  /** Undo records of sealed entries since the last commit, oldest first. */
  #sealedUndo: Undo[] = [];
  /** Undo records since the last `sealEntry`, oldest first. */
  #unsealedUndo: Undo[] = [];
  /** Index and term of the last sealed entry, not yet rows of `meta`. */
  #applied: Applied | undefined;
  #bytesInUse = 0;
  #committedBytesInUse = 0;
  #highWaterBytes = 0;

  constructor(options: MemoryBackendOptions = {}) {
    this.#commitOperations = options.commitOperations ?? commitOperationsDefault;
    this.#onCommitRequest = options.onCommitRequest;
    const buckets = new Map<PlainBucket, SortedRows>();
    for (const name of bucketNames) if (name !== "key") buckets.set(name, new SortedRows());
    this.#buckets = buckets;
  }

  getRecord(main: number, sub: number): Uint8Array | undefined {
    return this.#records.get(main, sub, false);
  }

  putRecord(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    const isNew = this.#records.isAfterLast(main, sub);
    const previous = isNew ? undefined : this.#records.get(main, sub, tombstone)?.slice();
    this.#unsealedUndo.push({ bucket: "key", main, sub, tombstone, value: previous });
    this.#records.put(main, sub, tombstone, value);
    this.#account(
      previous === undefined ? revisionKeySize + rowOverheadBytes + value.length : value.length - previous.length,
    );
  }

  deleteRecord(main: number, sub: number, tombstone: boolean): void {
    const previous = this.#records.get(main, sub, tombstone)?.slice();
    if (previous === undefined) return;
    this.#unsealedUndo.push({ bucket: "key", main, sub, tombstone, value: previous });
    this.#records.delete(main, sub, tombstone);
    this.#account(-(revisionKeySize + rowOverheadBytes + previous.length));
  }

  scanRecords(loMain: number, loSub: number, hiMain: number, visit: RecordVisitor): void {
    this.#records.scan(loMain, loSub, hiMain, visit);
  }

  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    if (bucket === "key") {
      if (key.length !== revisionKeySize && key.length !== tombstoneKeySize) return undefined;
      const { main, sub, tombstone } = decodeRevisionKey(key);
      return this.#records.get(main, sub, tombstone);
    }
    if (bucket === "meta") this.#storeApplied();
    return this.#rows(bucket).get(latin1FromBytes(key));
  }

  put(bucket: PlainBucket, key: Uint8Array, value: Uint8Array): void {
    this.#putRow(bucket, latin1FromBytes(key), value.slice());
  }

  delete(bucket: PlainBucket, key: Uint8Array): void {
    this.#putRow(bucket, latin1FromBytes(key), undefined);
  }

  scan(bucket: BucketName, lo: Uint8Array, hi: Uint8Array | undefined, visit: RowVisitor): void {
    const loKey = latin1FromBytes(lo);
    const hiKey = hi === undefined ? undefined : latin1FromBytes(hi);
    if (bucket === "key") {
      this.#scanRecordRows(loKey, hiKey, visit);
      return;
    }
    if (bucket === "meta") this.#storeApplied();
    this.#rows(bucket).scan(loKey, hiKey, (key, value) => visit(bytesFromLatin1(key), value));
  }

  /** By key bytes the bucket is only read to be hashed or copied, so a bound costs a look at every row. */
  #scanRecordRows(lo: string, hi: string | undefined, visit: RowVisitor): void {
    const bytes = new Uint8Array(tombstoneKeySize);
    this.#records.scan(0, 0, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      const key = bytes.subarray(0, writeRevisionKey(bytes, main, sub, tombstone));
      const name = latin1FromBytes(key);
      if (name < lo) return true;
      if (hi !== undefined && name >= hi) return false;
      return visit(key, value);
    });
  }

  sealEntry(index: number, term: number): void {
    this.#applied = { index, term };
    if (this.#sealedUndo.length === 0) {
      this.#sealedUndo = this.#unsealedUndo;
      this.#unsealedUndo = [];
    } else {
      for (const undo of this.#unsealedUndo) this.#sealedUndo.push(undo);
      this.#unsealedUndo.length = 0;
    }
    if (this.#sealedUndo.length >= this.#commitOperations) this.requestCommit();
  }

  requestCommit(): void {
    if (this.#onCommitRequest === undefined) this.commit();
    else this.#onCommitRequest();
  }

  /** Makes everything sealed durable. What was written after the last `sealEntry` stays undoable. */
  commit(): void {
    this.#storeApplied();
    this.#sealedUndo = [];
    this.#committedBytesInUse = this.#bytesInUse;
    this.#highWaterBytes = Math.max(this.#highWaterBytes, this.#bytesInUse);
  }

  /** Returns to the durable state, as a power loss does. */
  crash(): void {
    for (const undone of [this.#unsealedUndo, this.#sealedUndo]) {
      for (let undo = undone.pop(); undo !== undefined; undo = undone.pop()) {
        if (undo.bucket !== "key") this.#rows(undo.bucket).set(undo.key, undo.value);
        else if (undo.value === undefined) this.#records.delete(undo.main, undo.sub, undo.tombstone);
        else this.#records.put(undo.main, undo.sub, undo.tombstone, undo.value);
      }
    }
    this.#applied = undefined;
    this.#bytesInUse = this.#committedBytesInUse;
  }

  sizeBytes(): number {
    return this.#highWaterBytes;
  }

  sizeInUseBytes(): number {
    return this.#committedBytesInUse;
  }

  #rows(bucket: PlainBucket): SortedRows {
    const rows = this.#buckets.get(bucket);
    assert(rows !== undefined, `bucket ${bucket} exists`);
    return rows;
  }

  #putRow(bucket: PlainBucket, key: string, value: Uint8Array | undefined, undo: Undo[] = this.#unsealedUndo): void {
    const rows = this.#rows(bucket);
    const previous = rows.get(key);
    undo.push({ bucket, key, value: previous });
    rows.set(key, value);
    const before = previous === undefined ? 0 : previous.length + key.length + rowOverheadBytes;
    const after = value === undefined ? 0 : value.length + key.length + rowOverheadBytes;
    this.#account(after - before);
  }

  #account(bytes: number): void {
    this.#bytesInUse += bytes;
  }

  /** Turns the last sealed index and term into rows, which belong to the sealed part of the undo records. */
  #storeApplied(): void {
    const applied = this.#applied;
    if (applied === undefined) return;
    this.#applied = undefined;
    this.#putRow("meta", consistentIndexKey, uint64Bytes(applied.index), this.#sealedUndo);
    if (applied.term > 0) this.#putRow("meta", termKey, uint64Bytes(applied.term), this.#sealedUndo);
  }
}

function uint64Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
