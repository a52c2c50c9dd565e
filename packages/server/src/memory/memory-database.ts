/**
 * The database port in memory, for `--memory`: a commit is carried out in pieces between other work, and nothing
 * outlives the process.
 */

import { bytesFromLatin1, compareBytes, latin1FromBytes } from "@etcd-ts/api";
import { RecordRows, SortedRows } from "@etcd-ts/store";
import { assert } from "../assert.js";
import { deletionFlag, operationHeaderBytes } from "../backend/batch.js";
import {
  type Batch,
  type Database,
  type DatabaseRowVisitor,
  type DatabaseSize,
  type PinnedDatabase,
  tableNames,
} from "../backend/database.js";
import {
  isTombstoneKey,
  readMain,
  readSub,
  revisionKeyBytes,
  tombstoneKeyBytes,
  writeRevisionKey,
} from "../backend/revision-key.js";

/** What a batch's header can say. */
const keySizeMax = 0xffff;
/** Operations carried out at once: about a millisecond. */
const operationsPerPiece = 1000;
/** What a row takes besides its bytes, roughly. */
const rowOverheadBytes = 32;
const keyTable = tableNames.indexOf("key");

/** The rows of one table. */
interface Table {
  /** A view that is valid until the next write. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Copies the value; undefined deletes the row. */
  set(key: Uint8Array, value: Uint8Array | undefined): void;
  scan(lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void;
  /** The rows as they are now, for good. */
  snapshot(): Table;
}

/** Revisions: many, and mostly appended. */
class RecordTable implements Table {
  readonly #rows: RecordRows;

  constructor(rows: RecordRows = new RecordRows()) {
    this.#rows = rows;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(readMain(key), readSub(key), isTombstoneKey(key));
  }

  set(key: Uint8Array, value: Uint8Array | undefined): void {
    if (value === undefined) this.#rows.delete(readMain(key), readSub(key), isTombstoneKey(key));
    else this.#rows.put(readMain(key), readSub(key), isTombstoneKey(key), value);
  }

  scan(lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    const from = revisionAt(lo);
    const to = hi === undefined ? undefined : revisionAt(hi);
    const key = new Uint8Array(tombstoneKeyBytes);
    this.#rows.scan(from.main, from.sub, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      const row = key.subarray(0, writeRevisionKey(key, main, sub, tombstone));
      if (main === from.main && sub === from.sub && compareBytes(row, lo) < 0) return true;
      if (hi !== undefined && to !== undefined && main >= to.main && compareBytes(row, hi) >= 0) return false;
      return visit(row, value);
    });
  }

  snapshot(): Table {
    return new RecordTable(this.#rows.snapshot());
  }
}

/** A whole key, or the beginning of one, which stands for the first revision that has it. */
function revisionAt(key: Uint8Array): { readonly main: number; readonly sub: number } {
  if (key.length >= revisionKeyBytes) return { main: readMain(key), sub: readSub(key) };
  const padded = new Uint8Array(revisionKeyBytes);
  padded.set(key);
  return { main: readMain(padded), sub: 0 };
}

class PlainTable implements Table {
  readonly #rows: SortedRows;

  constructor(rows: SortedRows = new SortedRows()) {
    this.#rows = rows;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(latin1FromBytes(key));
  }

  set(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#rows.set(latin1FromBytes(key), value?.slice());
  }

  scan(lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    const hiText = hi === undefined ? undefined : latin1FromBytes(hi);
    this.#rows.scan(latin1FromBytes(lo), hiText, (key, value) => visit(bytesFromLatin1(key), value));
  }

  snapshot(): Table {
    return new PlainTable(this.#rows.snapshot());
  }
}

/** A transaction that is being carried out. */
interface Running {
  readonly blocks: Batch;
  block: number;
  offset: number;
}

export class MemoryDatabase implements Database {
  readonly keySizeMax: number = keySizeMax;
  readonly #pause: () => Promise<void>;
  readonly #tables: readonly Table[] = tableNames.map((_, table) =>
    table === keyTable ? new RecordTable() : new PlainTable(),
  );
  #running: Running | undefined;
  #usedBytes = 0;
  #highWaterBytes = 0;

  /** `pause` resolves after other work of the loop. */
  constructor(pause: () => Promise<void>) {
    this.#pause = pause;
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#table(table).get(key);
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    this.#table(table).scan(lo, hi, visit);
  }

  async commit(batch: Batch): Promise<DatabaseSize> {
    assert(this.#running === undefined, "one commit at a time");
    const running: Running = { blocks: batch, block: 0, offset: 0 };
    this.#running = running;
    while (this.#carryOut(running, operationsPerPiece)) await this.#pause();
    this.#running = undefined;
    this.#highWaterBytes = Math.max(this.#highWaterBytes, this.#usedBytes);
    return this.size();
  }

  /** Reads see a commit as it is carried out; who has begun it knows what it writes. */
  refresh(): void {}

  /** A commit under way is carried out to its end first: what is pinned are whole transactions. */
  pin(): PinnedDatabase {
    if (this.#running !== undefined) this.#carryOut(this.#running, Number.POSITIVE_INFINITY);
    const tables = this.#tables.map((table) => table.snapshot());
    const tableAt = (table: number): Table => tables[table] ?? new PlainTable();
    return {
      get: (table, key) => tableAt(table).get(key),
      scan: (table, lo, hi, visit) => tableAt(table).scan(lo, hi, visit),
      release: () => undefined,
    };
  }

  size(): DatabaseSize {
    return { sizeBytes: Math.max(this.#highWaterBytes, this.#usedBytes), sizeInUseBytes: this.#usedBytes };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Carries out up to `operations`; false when none is left. */
  #carryOut(running: Running, operations: number): boolean {
    for (let left = operations; left > 0; left--) {
      const block = running.blocks[running.block];
      if (block === undefined) return false;
      if (running.offset === block.length) {
        running.block++;
        running.offset = 0;
        continue;
      }
      running.offset = this.#carryOutOne(block, running.offset);
    }
    return true;
  }

  /** The format is in backend/batch.ts. */
  #carryOutOne(block: Uint8Array, at: number): number {
    const header = new DataView(block.buffer, block.byteOffset + at, operationHeaderBytes);
    const operation = header.getUint8(0);
    const keyEnd = at + operationHeaderBytes + header.getUint16(1, true);
    const end = keyEnd + header.getUint32(3, true);
    const table = this.#table(operation & ~deletionFlag);
    const key = block.subarray(at + operationHeaderBytes, keyEnd);
    const before = table.get(key);
    if (before !== undefined) this.#usedBytes -= key.length + before.length + rowOverheadBytes;
    if ((operation & deletionFlag) !== 0) table.set(key, undefined);
    else {
      table.set(key, block.subarray(keyEnd, end));
      this.#usedBytes += key.length + (end - keyEnd) + rowOverheadBytes;
    }
    return end;
  }

  #table(number: number): Table {
    const table = this.#tables[number];
    assert(table !== undefined, `no table ${number}`);
    return table;
  }
}
