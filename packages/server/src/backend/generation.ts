/**
 * What was written since the last commit began, or is being committed: the rows as reads must see them, and the
 * operations as the database will carry them out.
 *
 * Records of the `key` table almost always come in ascending order. Those that do not (compaction deletes old ones
 * while new ones are written) have a lane of their own, in which they are ascending too, so that neither moves the
 * other.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import { type BatchPlace, BatchWriter, batchStart } from "./batch.js";
import type { Batch } from "./database.js";
import { deleted, type Page, RecordLane } from "./record-lane.js";
import { writeRevisionKey } from "./revision-key.js";
import { Spares } from "./spares.js";

/** A row by key bytes; `value` undefined = deleted. Both arrays are owned by the generation. */
export interface BufferedRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  /** Operations before the one that wrote it: below `sealedOperations`, it belongs to a sealed entry. */
  readonly operation: number;
  /** The last sealed state of the row, if it is not this one. */
  readonly sealed: BufferedRow | undefined;
}

/** What generations that are done with leave to the next ones. */
export interface GenerationSpares {
  readonly blocks: Spares<Uint8Array>;
  readonly pages: Spares<Page>;
}

/** As many blocks as a commit takes that is begun because of its size, 16 MiB, and pages for its 10 000 operations. */
export function makeSpares(): GenerationSpares {
  return { blocks: new Spares(16), pages: new Spares(8) };
}

export class Generation {
  readonly #batch: BatchWriter;
  readonly #ascending: RecordLane;
  readonly #others: RecordLane;
  readonly #keyTable: number;
  /** Rows of the other tables, by table and key. */
  readonly #rows = new Map<number, Map<string, BufferedRow>>();
  readonly #scratch = new Uint8Array(18);
  #rowOperations = 0;
  #rowBytes = 0;
  #sealedOperations = 0;
  #sealedPlace: BatchPlace = batchStart;

  constructor(keyTable: number, spares: GenerationSpares = makeSpares()) {
    this.#keyTable = keyTable;
    this.#batch = new BatchWriter(spares.blocks);
    this.#ascending = new RecordLane(spares.pages);
    this.#others = new RecordLane(spares.pages);
  }

  /** Operations buffered; a measure of work. */
  get operations(): number {
    return this.#batch.operations + this.#rowOperations;
  }

  /** Operations of sealed entries. */
  get sealedOperations(): number {
    return this.#sealedOperations;
  }

  /** Whether an entry is under way: it has written, and is not sealed. */
  get isWithinEntry(): boolean {
    return this.operations > this.#sealedOperations;
  }

  /** Ends an entry. */
  seal(): void {
    this.#sealedOperations = this.operations;
    this.#sealedPlace = this.#batch.place;
  }

  /** Bytes buffered. */
  get size(): number {
    return this.#batch.size + this.#rowBytes;
  }

  get lanes(): readonly RecordLane[] {
    return [this.#ascending, this.#others];
  }

  /** Adds, replaces or, with `value` undefined, deletes a record. */
  setRecord(main: number, sub: number, tombstone: boolean, value: Uint8Array | undefined): void {
    const order = tombstone ? sub * 2 + 1 : sub * 2;
    const keySize = writeRevisionKey(this.#scratch, main, sub, tombstone);
    const offset = this.#batch.add(this.#keyTable, this.#scratch, value, keySize);
    const lane = this.#laneFor(main, order);
    const position = lane.isBehindAll(main, order) ? lane.count : lane.lowerBound(main, order);
    if (position === lane.count || lane.main(position) !== main || lane.order(position) !== order) {
      lane.insert(position, main, order);
    }
    lane.setValue(position, this.#batch.lastBlock, offset, value === undefined ? deleted : value.length);
  }

  /** The lane that holds the record, or else the one it belongs to. */
  #laneFor(main: number, order: number): RecordLane {
    if (this.#ascending.isBehindAll(main, order)) return this.#ascending;
    return this.#ascending.find(main, order) < 0 ? this.#others : this.#ascending;
  }

  /** The record's value; null when it is deleted here, undefined when nothing is known of it. */
  getRecord(main: number, sub: number, tombstone: boolean): Uint8Array | null | undefined {
    const order = tombstone ? sub * 2 + 1 : sub * 2;
    for (const lane of this.lanes) {
      const position = lane.find(main, order);
      if (position >= 0) return this.valueAt(lane, position);
    }
    return undefined;
  }

  /** The value at a position of one of this generation's lanes; null when deleted. */
  valueAt(lane: RecordLane, position: number): Uint8Array | null {
    const length = lane.length(position);
    return length === deleted ? null : this.#batch.view(lane.block(position), lane.offset(position), length);
  }

  setRow(table: number, key: Uint8Array, value: Uint8Array | undefined): void {
    let rows = this.#rows.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(table, rows);
    }
    const text = latin1FromBytes(key);
    const replaced = rows.get(text);
    const sealed = replaced !== undefined && this.#isSealed(replaced) ? replaced : replaced?.sealed;
    rows.set(text, { key: key.slice(), value: value?.slice(), operation: this.operations, sealed });
    this.#rowOperations++;
    this.#rowBytes += key.length + (value?.length ?? 0);
  }

  getRow(table: number, key: Uint8Array): BufferedRow | undefined {
    const rows = this.#rows.get(table);
    return rows === undefined || rows.size === 0 ? undefined : rows.get(latin1FromBytes(key));
  }

  rows(table: number): Iterable<readonly [string, BufferedRow]> {
    return this.#rows.get(table) ?? [];
  }

  #isSealed(row: BufferedRow): boolean {
    return row.operation < this.#sealedOperations;
  }

  /** Gives its memory up; nothing may be read afterwards, and no view of it is valid any more. */
  release(): void {
    this.#batch.release();
    this.#ascending.release();
    this.#others.release();
  }

  /**
   * The operations of all sealed entries, then `last`, for the database; valid until `release`. Rows replaced meanwhile
   * count once.
   */
  encodeSealed(last: readonly (readonly [table: number, key: Uint8Array, value: Uint8Array])[]): Batch {
    const rows = new BatchWriter();
    for (const [table, byKey] of this.#rows) {
      for (const row of byKey.values()) {
        const sealed = this.#isSealed(row) ? row : row.sealed;
        if (sealed !== undefined) rows.add(table, sealed.key, sealed.value);
      }
    }
    for (const [table, key, value] of last) rows.add(table, key, value);
    return [...this.#batch.upTo(this.#sealedPlace), ...rows.upTo(rows.place)];
  }
}
