/**
 * The live database, which can be moved while it serves.
 *
 * A move copies all rows in order, a chunk at a time, and carries every transaction committed meanwhile out on both
 * sides. Chunks and transactions take turns, so a chunk is what the database holds between two transactions. Thus,
 * whatever rows have come and gone, after each turn the copy holds the database's rows below the chunk's end as they
 * are; and what it holds above is written by a transaction, removed again by any that removes it, and replaced by its
 * chunk. No read of a single moment is kept open meanwhile, which would keep pages from being used again, and nothing
 * is gathered for later.
 */

import { assert } from "../assert.js";
import { BatchWriter } from "./batch.js";
import {
  type Batch,
  type Database,
  type DatabaseRowVisitor,
  type DatabaseSize,
  type PinnedDatabase,
  tableNames,
} from "./database.js";

/** Tells when long work has to let other work of the loop come in between. */
export interface Pace {
  readonly isOver: boolean;
  next(): Promise<void>;
}

export interface MoveOptions {
  readonly pace: Pace;
  /** Called between two chunks; throws to give up. */
  checkpoint(): void;
  /**
   * Both sides hold the same and nothing is committed until this has settled: makes the copy the one that is opened
   * next time. If it fails nobody knows which one that will be, so nothing is committed any more.
   */
  switchOver(): Promise<void>;
}

/** What has been moved away from. */
export interface FormerDatabase {
  readonly database: Database;
  /** Resolves when nobody reads it any more, and it may be closed. */
  readonly unpinned: Promise<void>;
}

/** Bytes of one chunk. */
const chunkBytes = 1 << 20;
/** Rows and bytes read between two looks at the clock. */
const rowsPerLook = 128;
const bytesPerLook = 128 * 1024;
const noBytes = new Uint8Array(0);

/** A database and how many pinned reads of it there are. */
class Place {
  readonly database: Database;
  #pins = 0;
  #whenUnpinned: (() => void)[] = [];

  constructor(database: Database) {
    this.database = database;
  }

  pin(): PinnedDatabase {
    const pinned = this.database.pin();
    this.#pins++;
    return {
      get: (table, key) => pinned.get(table, key),
      scan: (table, lo, hi, visit) => pinned.scan(table, lo, hi, visit),
      release: () => {
        pinned.release();
        this.#pins--;
        if (this.#pins === 0) for (const resolve of this.#whenUnpinned.splice(0)) resolve();
      },
    };
  }

  unpinned(): Promise<void> {
    return this.#pins === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenUnpinned.push(resolve));
  }
}

export class LiveDatabase implements Database {
  readonly keySizeMax: number;
  #place: Place;
  /** Where transactions go as well, while a move is under way. */
  #copy: Database | undefined;
  #copyFailure: unknown;
  /** Why nothing may be committed any more. */
  #failure: unknown;
  /** Settles when the last turn asked for so far has ended; never rejects. */
  #turns: Promise<void> = Promise.resolve();

  constructor(database: Database) {
    this.keySizeMax = database.keySizeMax;
    this.#place = new Place(database);
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#place.database.get(table, key);
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    this.#place.database.scan(table, lo, hi, visit);
  }

  commit(batch: Batch): Promise<DatabaseSize> {
    return this.#inTurn(() => this.#commit(batch));
  }

  refresh(): void {
    this.#place.database.refresh();
  }

  pin(): PinnedDatabase {
    return this.#place.pin();
  }

  size(): DatabaseSize {
    return this.#place.database.size();
  }

  /** No move may be under way. */
  close(): Promise<void> {
    return this.#inTurn(() => this.#place.database.close());
  }

  /**
   * Moves to `copy`, which is empty and takes keys as long as this one. Resolves when it is the live database; the
   * former one is the caller's. When it rejects, `copy` is the caller's and this database goes on as before, unless it
   * was `switchOver` that failed. One move at a time.
   */
  async moveTo(copy: Database, options: MoveOptions): Promise<FormerDatabase> {
    assert(this.#copy === undefined, "one move at a time");
    assert(copy.keySizeMax === this.keySizeMax, "both databases take the same keys");
    await this.#inTurn(async () => {
      this.#copy = copy;
      this.#copyFailure = undefined;
    });
    try {
      for (const table of tableNames.keys()) {
        for (let last: Uint8Array | undefined = noBytes; last !== undefined; ) {
          const from: Uint8Array = last;
          last = await this.#inTurn(() => this.#copyChunk(copy, table, from, options.pace));
          options.checkpoint();
        }
      }
      return await this.#inTurn(() => this.#switch(copy, options));
    } finally {
      this.#copy = undefined;
    }
  }

  async #commit(batch: Batch): Promise<DatabaseSize> {
    if (this.#failure !== undefined) throw this.#failure;
    const copy = this.#copy;
    const size = await this.#place.database.commit(batch);
    if (copy === undefined) return size;
    try {
      await copy.commit(batch);
    } catch (error) {
      // That is the move's failure, not this commit's.
      this.#copyFailure = error;
      this.#copy = undefined;
    }
    return size;
  }

  /** Copies rows behind the key `from`; returns the key of the last one, undefined at the end of the table. */
  async #copyChunk(copy: Database, table: number, from: Uint8Array, pace: Pace): Promise<Uint8Array | undefined> {
    if (this.#copyFailure !== undefined) throw this.#copyFailure;
    const { database } = this.#place;
    database.refresh();
    const writer = new BatchWriter();
    let last = from;
    for (let isEnd = false; !isEnd && writer.size < chunkBytes; ) {
      if (pace.isOver) await pace.next();
      const enough = { rows: writer.operations + rowsPerLook, bytes: writer.size + bytesPerLook };
      const behind = last;
      isEnd = true;
      database.scan(table, behind, undefined, (key, value) => {
        if (isSame(key, behind)) return true;
        if (writer.operations >= enough.rows || writer.size >= enough.bytes) {
          isEnd = false;
          return false;
        }
        writer.add(table, key, value);
        last = key.slice();
        return true;
      });
    }
    if (writer.operations === 0) return undefined;
    await copy.commit(writer.upTo(writer.place));
    return last;
  }

  async #switch(copy: Database, { checkpoint, switchOver }: MoveOptions): Promise<FormerDatabase> {
    if (this.#copyFailure !== undefined) throw this.#copyFailure;
    checkpoint();
    try {
      await switchOver();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    const former = this.#place;
    copy.refresh();
    this.#place = new Place(copy);
    return { database: former.database, unpinned: former.unpinned() };
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turns.then(work);
    this.#turns = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}
