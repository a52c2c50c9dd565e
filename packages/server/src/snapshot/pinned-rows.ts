/**
 * The buckets of a pinned database as rows in order, the way etcd's own database has them: rows whose key was too long
 * for a table of ours stand in their bucket again.
 *
 * Rows are read in chunks of bounded size, so that whoever pulls them may stop for any time between two of them.
 */

import { compareBytes } from "@etcd-ts/api";
import { type BucketName, bucketNames } from "@etcd-ts/store";
import { assert } from "../assert.js";
import { type PinnedDatabase, tableNames } from "../backend/database.js";
import { decodeLongRow, overflowTable } from "../backend/long-rows.js";
import type { Row, RowVisitor } from "../bbolt/image-writer.js";

const chunkRowsMax = 256;
const chunkBytesMax = 256 * 1024;
const noBytes = new Uint8Array(0);

export class PinnedRows {
  readonly #pinned: PinnedDatabase;
  /** By table; sorted. They are few, as only administrators make them. */
  readonly #longRows = new Map<number, Row[]>();

  constructor(pinned: PinnedDatabase) {
    this.#pinned = pinned;
    pinned.scan(overflowTable, noBytes, undefined, (hashed, stored) => {
      const { table, key, value } = decodeLongRow(hashed, stored);
      const rows = this.#longRows.get(table) ?? [];
      rows.push([key.slice(), value.slice()]);
      this.#longRows.set(table, rows);
      return true;
    });
    for (const rows of this.#longRows.values()) rows.sort(([left], [right]) => compareBytes(left, right));
  }

  get names(): readonly BucketName[] {
    return bucketNames;
  }

  /** The caller's copy of a row's value. */
  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    return this.#pinned.get(tableOf(bucket), key)?.slice();
  }

  /**
   * Calls back for all rows of a bucket in order, some of them between two yields. Views are valid during the call only.
   */
  *visit(bucket: string, visitor: RowVisitor): Generator<undefined, void, undefined> {
    const table = tableOf(bucket);
    const longRows = this.#longRows.get(table) ?? [];
    let nextLong = 0;
    for (let last: Uint8Array | undefined = noBytes; last !== undefined; ) {
      const from: Uint8Array = last;
      let rows = 0;
      let bytes = 0;
      last = undefined;
      this.#pinned.scan(table, from, undefined, (key, value) => {
        if (rows === 0 && compareBytes(key, from) === 0) return true;
        for (let long = longRows[nextLong]; long !== undefined && compareBytes(long[0], key) < 0; ) {
          visitor(...long);
          long = longRows[++nextLong];
        }
        visitor(key, value);
        bytes += key.length + value.length;
        if (++rows < chunkRowsMax && bytes < chunkBytesMax) return true;
        last = key.slice();
        return false;
      });
      yield;
    }
    for (const long of longRows.slice(nextLong)) visitor(...long);
  }
}

function tableOf(bucket: string): number {
  const table = tableNames.indexOf(bucket as BucketName);
  assert(table >= 0, "buckets have tables");
  return table;
}
