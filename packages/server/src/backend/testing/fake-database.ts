/**
 * The database port in memory. Commits wait until the test lets them through; views are scribbled over when they end.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import { deletionFlag, operationHeaderBytes } from "../batch.js";
import {
  type Batch,
  type Database,
  type DatabaseRowVisitor,
  type DatabaseSize,
  type PinnedDatabase,
  tableNames,
} from "../database.js";

type Table = ReadonlyMap<string, Uint8Array>;

export class FakeDatabase implements Database {
  readonly keySizeMax: number = 20;
  /** What is on disk. */
  durable: readonly Table[] = tableNames.map(() => new Map());
  /** What reads see. */
  #visible = this.durable;
  #pending:
    | { readonly batch: Batch; readonly resolve: (size: DatabaseSize) => void; readonly reject: (e: Error) => void }
    | undefined;
  #lent: Uint8Array | undefined;
  isClosed = false;
  /** Pinned reads that were not released. */
  pins = 0;

  get hasPendingCommit(): boolean {
    return this.#pending !== undefined;
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#get(this.#visible, table, key);
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    this.#scan(this.#visible, table, lo, hi, visit);
  }

  pin(): PinnedDatabase {
    const tables = this.#visible;
    this.pins++;
    return {
      get: (table, key) => this.#get(tables, table, key),
      scan: (table, lo, hi, visit) => this.#scan(tables, table, lo, hi, visit),
      release: () => {
        this.pins--;
      },
    };
  }

  #get(tables: readonly Table[], table: number, key: Uint8Array): Uint8Array | undefined {
    const value = tables[table]?.get(latin1FromBytes(key));
    return value === undefined ? undefined : this.#lend(value);
  }

  #scan(
    tables: readonly Table[],
    table: number,
    lo: Uint8Array,
    hi: Uint8Array | undefined,
    visit: DatabaseRowVisitor,
  ): void {
    const loText = latin1FromBytes(lo);
    const hiText = hi === undefined ? undefined : latin1FromBytes(hi);
    for (const key of [...(tables[table]?.keys() ?? [])].sort()) {
      if (key < loText || (hiText !== undefined && key >= hiText)) continue;
      const value = tables[table]?.get(key) ?? new Uint8Array(0);
      if (!visit(bytesFromLatin1(key), this.#lend(value))) return;
    }
  }

  commit(batch: Batch): Promise<DatabaseSize> {
    if (this.#pending !== undefined) throw new Error("two commits at once");
    return new Promise((resolve, reject) => {
      this.#pending = { batch, resolve, reject };
    });
  }

  /** Lets the commit under way succeed or, with an error, fail; does nothing when there is none. */
  settle(error?: Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return;
    if (error !== undefined) return pending.reject(error);
    const tables = this.durable.map((table) => new Map(table));
    for (const block of pending.batch) carryOut(block, tables);
    this.durable = tables;
    pending.resolve(this.size());
  }

  refresh(): void {
    this.#visible = this.durable;
  }

  size(): DatabaseSize {
    const rows = this.durable.reduce((sum, table) => sum + table.size, 0);
    return { sizeBytes: rows * 100, sizeInUseBytes: rows * 50 };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  /** The same disk after a crash: a commit under way has not happened. */
  reopened(): FakeDatabase {
    const next = new FakeDatabase();
    next.durable = this.durable;
    next.refresh();
    return next;
  }

  /** A copy that becomes garbage with the next call, as the port allows. */
  #lend(value: Uint8Array): Uint8Array {
    this.#lent?.fill(0xee);
    this.#lent = value.slice();
    return this.#lent;
  }
}

function carryOut(block: Uint8Array, tables: readonly Map<string, Uint8Array>[]): void {
  const header = new DataView(block.buffer, block.byteOffset, block.byteLength);
  for (let at = 0; at < block.length; ) {
    const operation = header.getUint8(at);
    const keyEnd = at + operationHeaderBytes + header.getUint16(at + 1, true);
    const valueEnd = keyEnd + header.getUint32(at + 3, true);
    const table = tables[operation & ~deletionFlag];
    const key = latin1FromBytes(block, at + operationHeaderBytes, keyEnd);
    if ((operation & deletionFlag) === 0) table?.set(key, block.slice(keyEnd, valueEnd));
    else table?.delete(key);
    at = valueEnd;
  }
}
