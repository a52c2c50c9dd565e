/**
 * Builds a database of ours from an image in etcd's format, bucket by bucket, in slices. The new database lies beside
 * the live one and is complete and durable when the promise resolves; who wants it to be the live one switches to it.
 */

import { bytesFromLatin1 } from "@etcd-ts/api";
import { type BucketName, bucketNames, type RestoringIndex } from "@etcd-ts/store";
import { assert } from "../assert.js";
import { BatchWriter } from "../backend/batch.js";
import { type Database, tableNames } from "../backend/database.js";
import { encodeLongRow, overflowTable } from "../backend/long-rows.js";
import {
  isTombstoneKey,
  readMain,
  readSub,
  revisionKeyBytes,
  tombstoneKeyBytes,
  writeRevisionKey,
} from "../backend/revision-key.js";
import { ImageFormatError, ImageReader } from "../bbolt/image-reader.js";
import type { Clock, Digest } from "../env.js";
import { Slices, unitSlices, whenDone } from "../slices.js";
import { readUint64 } from "../uint64.js";

/** An image's bytes and what loads the missing ones. */
export interface LoadableImage {
  read(offset: number, length: number): Uint8Array | undefined;
  load(): Promise<void>;
}

export interface ImportOptions {
  readonly clock: Clock;
  readonly digest: Digest;
  readonly image: LoadableImage;
  /** Empty; stays open, and the caller's. */
  readonly database: Database;
  /** Gets the rows of `key`, and is complete in the end, so that nobody has to read them again. */
  readonly rows?: RestoringIndex | undefined;
  /** Called now and then; throws to give up. */
  readonly checkpoint?: () => void;
}

/** Bytes of one transaction, at the end of which the disk is waited for. */
const commitBytes = 4 << 20;
/** Rows between two looks at the clock. */
const rowsPerLook = 64;

export interface ImportedFacts {
  /** `meta/consistent_index`; 0 when the image has none. */
  readonly index: number;
  /** Of the image, as its own meta page has it. */
  readonly sizeBytes: number;
}

/** Rejects with `ImageFormatError` when the image is damaged, and with `DiskError`. */
export async function importImage(options: ImportOptions): Promise<ImportedFacts> {
  const reader = await openImage(options.image);
  const importer = new Importer(options);
  try {
    await addRows(reader, importer, options);
    const { rows, clock } = options;
    if (rows !== undefined) {
      await whenDone(
        clock,
        unitSlices((budget) => rows.finishTask(budget)),
      );
    }
  } finally {
    // Whoever closes the database must not meet a commit that is under way.
    await importer.finish();
  }
  return { index: importer.index, sizeBytes: reader.sizeBytes };
}

async function addRows(reader: ImageReader, importer: Importer, options: ImportOptions): Promise<void> {
  const { clock, image, checkpoint } = options;
  const slices = new Slices(clock);
  let rows = 0;
  for (const bucket of bucketNames) {
    for (const row of reader.rows(bucket)) {
      if (row === undefined) {
        await image.load();
        continue;
      }
      importer.add(bucket, ...row);
      if (importer.isFull) await importer.commit();
      if (++rows % rowsPerLook !== 0 || !slices.isOver) continue;
      await slices.next();
      checkpoint?.();
    }
  }
  await importer.commit();
}

export async function openImage(image: LoadableImage): Promise<ImageReader> {
  const task = ImageReader.open((offset, length) => image.read(offset, length));
  for (let step = task.next(); ; step = task.next()) {
    if (step.done === true) return step.value;
    await image.load();
  }
}

class Importer {
  readonly #digest: Digest;
  readonly #database: Database;
  readonly #rows: RestoringIndex | undefined;
  #writer = new BatchWriter();
  #index = 0;
  /** The commit under way; what it rejects with is met by who waits for it. */
  #committing: Promise<unknown> = Promise.resolve();

  constructor({ digest, database, rows }: ImportOptions) {
    this.#digest = digest;
    this.#database = database;
    this.#rows = rows;
  }

  get index(): number {
    return this.#index;
  }

  get isFull(): boolean {
    return this.#writer.size >= commitBytes;
  }

  add(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
    const table = tableNames.indexOf(bucket);
    assert(table >= 0, "buckets have tables");
    if (bucket === "key") {
      checkRevisionKey(key);
      this.#addToIndex(key, value);
    }
    if (bucket === "meta" && isConsistentIndex(key)) this.#index = storedIndex(value);
    if (key.length === 0) throw new ImageFormatError(`bucket ${bucket}: a key is empty`);
    if (key.length > this.#database.keySizeMax) {
      this.#writer.add(overflowTable, ...encodeLongRow(this.#digest, table, key, value));
    } else this.#writer.add(table, key, value);
  }

  #addToIndex(key: Uint8Array, value: Uint8Array): void {
    try {
      this.#rows?.add(readMain(key), readSub(key), isTombstoneKey(key), value);
    } catch (error) {
      throw new ImageFormatError("bucket key: a value is no record", { cause: error });
    }
  }

  /** Begins to write what was added, once what was before is durable: the next batch is filled meanwhile. */
  async commit(): Promise<void> {
    await this.#committing;
    const batch = this.#writer.upTo(this.#writer.place);
    this.#writer = new BatchWriter();
    if (batch.length === 0) return;
    this.#committing = this.#database.commit(batch);
    this.#committing.catch(() => undefined);
  }

  /** Resolves when all that was committed is durable. */
  async finish(): Promise<void> {
    await this.#committing;
  }
}

const consistentIndexKey = bytesFromLatin1("consistent_index");

function isConsistentIndex(key: Uint8Array): boolean {
  return key.length === consistentIndexKey.length && key.every((byte, i) => byte === consistentIndexKey[i]);
}

function storedIndex(value: Uint8Array): number {
  const index = value.length === 8 ? readUint64(value, 0) : Number.NaN;
  if (!Number.isSafeInteger(index)) throw new ImageFormatError("bucket meta: the consistent index is no number");
  return index;
}

const scratch = new Uint8Array(tombstoneKeyBytes);

/** What is no revision would be found nowhere. */
function checkRevisionKey(key: Uint8Array): void {
  const isWhole = key.length >= revisionKeyBytes && key.length <= tombstoneKeyBytes;
  const size = isWhole ? writeRevisionKey(scratch, readMain(key), readSub(key), isTombstoneKey(key)) : 0;
  let isSame = size === key.length;
  for (let i = 0; i < size; i++) isSame &&= key[i] === scratch[i];
  if (!isSame) throw new ImageFormatError("bucket key: a key is no revision");
}
