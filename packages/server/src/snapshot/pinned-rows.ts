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
import type { Row } from "../bbolt/image-writer.js";

const chunkRowsMax = 256;
const chunkBytesMax = 256 * 1024;
/** Rows lie in blocks of this size: an array of its own for each value would cost more than the rest of a pass. */
const blockBytes = 64 * 1024;
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

  /** All rows of a bucket. Their bytes stay as they are, but whoever keeps a row keeps a block of others. */
  *rows(bucket: string): Generator<Row> {
    const table = tableOf(bucket);
    const longRows = this.#longRows.get(table) ?? [];
    let nextLong = 0;
    for (const row of this.#tableRows(table)) {
      for (let long = longRows[nextLong]; long !== undefined && compareBytes(long[0], row[0]) < 0; ) {
        yield long;
        long = longRows[++nextLong];
      }
      yield row;
    }
    yield* longRows.slice(nextLong);
  }

  *#tableRows(table: number): Generator<Row> {
    const blocks = new RowBlocks();
    let last: Uint8Array | undefined;
    for (;;) {
      const chunk: Row[] = [];
      let bytes = 0;
      const from = last;
      this.#pinned.scan(table, from ?? noBytes, undefined, (key, value) => {
        if (chunk.length === 0 && from !== undefined && compareBytes(key, from) === 0) return true;
        chunk.push(blocks.copy(key, value));
        bytes += key.length + value.length;
        return chunk.length < chunkRowsMax && bytes < chunkBytesMax;
      });
      yield* chunk;
      last = chunk.at(-1)?.[0];
      if (last === undefined) return;
    }
  }
}

/** Copies of rows, in blocks that are never written again. */
class RowBlocks {
  #block = noBytes;
  #used = 0;

  copy(key: Uint8Array, value: Uint8Array): Row {
    const size = key.length + value.length;
    if (this.#used + size > this.#block.length) {
      this.#block = new Uint8Array(Math.max(blockBytes, size));
      this.#used = 0;
    }
    const block = this.#block;
    const valueAt = this.#used + key.length;
    const end = this.#used + size;
    block.set(key, this.#used);
    block.set(value, valueAt);
    const row: Row = [block.subarray(this.#used, valueAt), block.subarray(valueAt, end)];
    this.#used = end;
    return row;
  }
}

function tableOf(bucket: string): number {
  const table = tableNames.indexOf(bucket as BucketName);
  assert(table >= 0, "buckets have tables");
  return table;
}
