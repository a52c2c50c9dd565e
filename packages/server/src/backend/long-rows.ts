/**
 * Rows whose key is longer than the database takes. On disk they are rows of the `overflow` table, under the table's
 * number and the key's hash; in memory all of them, so that they can be found and scanned in order. They are few: only
 * names of users and roles can be that long, and only administrators make them.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { Digest } from "../env.js";
import { type Database, tableNames } from "./database.js";
import type { Generation } from "./generation.js";

export const overflowTable: number = tableNames.indexOf("overflow");
const keyLengthBytes = 4;
const noBytes = new Uint8Array(0);

/** A row of the `overflow` table as the row it stands for; views of its bytes. */
export function decodeLongRow(
  hashed: Uint8Array,
  stored: Uint8Array,
): { readonly table: number; readonly key: Uint8Array; readonly value: Uint8Array } {
  const keyEnd = keyLengthBytes + new DataView(stored.buffer, stored.byteOffset).getUint32(0);
  return {
    table: hashed[0] ?? 0,
    key: stored.subarray(keyLengthBytes, keyEnd),
    value: stored.subarray(keyEnd),
  };
}

/** The opposite. */
export function encodeLongRow(
  digest: Digest,
  table: number,
  key: Uint8Array,
  value: Uint8Array,
): [hashed: Uint8Array, stored: Uint8Array] {
  const stored = new Uint8Array(keyLengthBytes + key.length + value.length);
  new DataView(stored.buffer).setUint32(0, key.length);
  stored.set(key, keyLengthBytes);
  stored.set(value, keyLengthBytes + key.length);
  return [longRowKey(digest, table, key), stored];
}

function longRowKey(digest: Digest, table: number, key: Uint8Array): Uint8Array {
  const hashed = new Uint8Array(33);
  hashed[0] = table;
  hashed.set(digest.sha256(key), 1);
  return hashed;
}

export class LongRows {
  readonly #digest: Digest;
  readonly #rows = new Map<number, Map<string, Uint8Array>>();

  constructor(database: Database, digest: Digest) {
    this.#digest = digest;
    database.scan(overflowTable, noBytes, undefined, (hashed, stored) => {
      const { table, key, value } = decodeLongRow(hashed, stored);
      this.#table(table).set(latin1FromBytes(key), value.slice());
      return true;
    });
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(table)?.get(latin1FromBytes(key));
  }

  /** Writes or, with `value` undefined, deletes a row, here and in the buffer's generation. */
  set(generation: Generation, table: number, key: Uint8Array, value: Uint8Array | undefined): void {
    const text = latin1FromBytes(key);
    if (value === undefined) {
      this.#table(table).delete(text);
      generation.setRow(overflowTable, longRowKey(this.#digest, table, key), undefined);
      return;
    }
    this.#table(table).set(text, value.slice());
    generation.setRow(overflowTable, ...encodeLongRow(this.#digest, table, key, value));
  }

  rows(table: number): ReadonlyMap<string, Uint8Array> {
    return this.#table(table);
  }

  #table(table: number): Map<string, Uint8Array> {
    let rows = this.#rows.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(table, rows);
    }
    return rows;
  }
}
