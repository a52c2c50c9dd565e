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
  tableNames,
} from "@etcd-ts/server/internal";
import type { Incarnation } from "./incarnation.js";
import type { SimRandom } from "./random.js";

const keySizeMax = 1978;

/** Sorted rows of one table. Most are appended at the end: revisions ascend. */
class Table {
  readonly keys: Uint8Array[] = [];
  readonly values: Uint8Array[] = [];

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

/** The databases of one machine, by directory. */
export class DatabaseContent {
  readonly tables: readonly Table[] = tableNames.map(() => new Table());
  sizeBytes = 0;
}

export class SimDatabase implements Database {
  readonly keySizeMax = keySizeMax;
  readonly #content: DatabaseContent;
  readonly #incarnation: Incarnation;
  readonly #random: SimRandom;
  readonly #latencyMs: () => number;

  constructor(content: DatabaseContent, incarnation: Incarnation, random: SimRandom, latencyMs: () => number) {
    this.#content = content;
    this.#incarnation = incarnation;
    this.#random = random;
    this.#latencyMs = latencyMs;
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    const rows = this.#table(table);
    const at = rows.position(key);
    return rows.has(at, key) ? rows.values[at] : undefined;
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    const rows = this.#table(table);
    for (let at = rows.position(lo); at < rows.keys.length; at++) {
      const key = rows.keys[at] as Uint8Array;
      if (hi !== undefined && compareBytes(key, hi) >= 0) return;
      if (!visit(key, rows.values[at] as Uint8Array)) return;
    }
  }

  commit(batch: Batch): Promise<DatabaseSize> {
    return this.#incarnation.complete(this.#random.exponential(this.#latencyMs()), () => {
      forEachOperation(batch, (table, key, value) => {
        const rows = this.#table(table);
        if (value === undefined) rows.delete(key);
        else {
          rows.put(key, value);
          this.#content.sizeBytes += key.length + value.length;
        }
      });
      return this.size();
    });
  }

  refresh(): void {}

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
