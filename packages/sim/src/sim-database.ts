/**
 * The committed tables of a simulated member: a commit takes its time, is then durable, and readers see it after
 * `refresh`. What is under way at a crash is lost as a whole, as a transaction is.
 */

import { compareBytes } from "@etcd-ts/api";
import {
  type Batch,
  type Database,
  type DatabaseRowVisitor,
  type DatabaseSize,
  forEachOperation,
  type PinnedDatabase,
  tableNames,
} from "@etcd-ts/server/internal";
import type { Incarnation } from "./incarnation.js";
import type { SimRandom } from "./random.js";

const keySizeMax = 1978;

/** Sorted rows of one table. Most are appended at the end: revisions ascend. */
class Table {
  readonly keys: Uint8Array[] = [];
  readonly values: Uint8Array[] = [];

  /** The same rows; their bytes never change. */
  copy(): Table {
    const copy = new Table();
    for (let at = 0; at < this.keys.length; at++) {
      copy.keys.push(this.keys[at] as Uint8Array);
      copy.values.push(this.values[at] as Uint8Array);
    }
    return copy;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const at = this.position(key);
    return this.has(at, key) ? this.values[at] : undefined;
  }

  scan(lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    for (let at = this.position(lo); at < this.keys.length; at++) {
      const key = this.keys[at] as Uint8Array;
      if (hi !== undefined && compareBytes(key, hi) >= 0) return;
      if (!visit(key, this.values[at] as Uint8Array)) return;
    }
  }

  /** Position of the first row at or above the key. */
  position(key: Uint8Array): number {
    const last = this.keys.at(-1);
    if (last === undefined || compareBytes(last, key) < 0) return this.keys.length;
    let lo = 0;
    let hi = this.keys.length;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (compareBytes(this.keys[middle] as Uint8Array, key) < 0) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }

  has(position: number, key: Uint8Array): boolean {
    const found = this.keys[position];
    return found !== undefined && compareBytes(found, key) === 0;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const at = this.position(key);
    if (this.has(at, key)) this.values[at] = value;
    else {
      this.keys.splice(at, 0, key);
      this.values.splice(at, 0, value);
    }
  }

  delete(key: Uint8Array): void {
    const at = this.position(key);
    if (!this.has(at, key)) return;
    this.keys.splice(at, 1);
    this.values.splice(at, 1);
  }
}

/** One database of a machine. */
export class DatabaseContent {
  readonly tables: readonly Table[] = tableNames.map(() => new Table());
  sizeBytes = 0;
  /** The transaction under way. */
  #pending: Batch | undefined;

  begin(batch: Batch): void {
    this.#pending = batch;
  }

  finish(): void {
    const batch = this.#pending;
    this.#pending = undefined;
    if (batch === undefined) return;
    forEachOperation(batch, (number, key, value) => {
      const table = this.tables[number];
      if (table === undefined) throw new RangeError(`no table ${number}`);
      if (value === undefined) table.delete(key);
      else {
        table.put(key, value);
        this.sizeBytes += key.length + value.length;
      }
    });
  }

  /** The process has ended: the transaction under way is durable as a whole, though nobody was told, or not at all. */
  crash(random: SimRandom): void {
    if (random.chance(0.5)) this.finish();
    else this.#pending = undefined;
  }
}

export interface SimDatabasePorts {
  /** Milliseconds of a commit, on average. */
  latencyMs(): number;
  /** A commit has begun. */
  began(): void;
}

export class SimDatabase implements Database {
  readonly keySizeMax: number = keySizeMax;
  readonly #content: DatabaseContent;
  readonly #incarnation: Incarnation;
  readonly #random: SimRandom;
  readonly #ports: SimDatabasePorts;

  constructor(content: DatabaseContent, incarnation: Incarnation, random: SimRandom, ports: SimDatabasePorts) {
    this.#content = content;
    this.#incarnation = incarnation;
    this.#random = random;
    this.#ports = ports;
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#table(table).get(key);
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    this.#table(table).scan(lo, hi, visit);
  }

  commit(batch: Batch): Promise<DatabaseSize> {
    this.#content.begin(batch);
    this.#ports.began();
    return this.#incarnation.complete(this.#random.exponential(this.#ports.latencyMs()), () => {
      this.#content.finish();
      return this.size();
    });
  }

  refresh(): void {}

  pin(): PinnedDatabase {
    const tables = this.#content.tables.map((table) => table.copy());
    const rowsOf = (table: number): Table => tables[table] ?? new Table();
    return {
      get: (table, key) => rowsOf(table).get(key),
      scan: (table, lo, hi, visit) => rowsOf(table).scan(lo, hi, visit),
      release: () => {},
    };
  }

  size(): DatabaseSize {
    return { sizeBytes: this.#content.sizeBytes, sizeInUseBytes: this.#content.sizeBytes };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #table(number: number): Table {
    const table = this.#content.tables[number];
    if (table === undefined) throw new RangeError(`no table ${number}`);
    return table;
  }
}
