/**
 * Reads a bbolt file: its buckets and their rows in order. Every page is checked before it is used; a file that breaks
 * the format gives `ImageFormatError` with the page's id, never rows that are not in it.
 *
 * Reading is a task that yields `undefined` when it needs bytes that are not at hand: whoever drives it loads them and
 * goes on. With all bytes at hand it never does.
 */

import { compareBytes } from "@etcd-ts/api";
import {
  bucketElementFlag,
  bucketHeaderSize,
  decodeMetaPage,
  elementSize,
  type Meta,
  metaSize,
  pageFlag,
  pageHeaderSize,
} from "./format.js";
import type { Row } from "./image-writer.js";

/**
 * Exactly `length` bytes at `offset`, or fewer at the end of the file; they must stay as they are. Undefined when they
 * must be loaded first.
 */
export type ImageBytes = (offset: number, length: number) => Uint8Array | undefined;

/** Yields while bytes are wanted. */
export type ReadTask<Result> = Generator<undefined, Result, undefined>;

export class ImageFormatError extends Error {
  override readonly name = "ImageFormatError";
}

const decoder = new TextDecoder("utf-8", { fatal: false });
/** A tree of 2^64 rows is not as deep. */
const depthMax = 64;
const pageSizeMin = 1024;
const pageSizeMax = 65536;

export class ImageReader {
  readonly meta: Meta;
  readonly #read: ImageBytes;

  private constructor(read: ImageBytes, meta: Meta) {
    this.#read = read;
    this.meta = meta;
  }

  static *open(read: ImageBytes): ReadTask<ImageReader> {
    return new ImageReader(read, yield* newestMeta(read));
  }

  get sizeBytes(): number {
    return this.meta.highWater * this.meta.pageSize;
  }

  /** Names of the buckets at the root, in byte order. */
  *bucketNames(): ReadTask<string[]> {
    const names: string[] = [];
    for (const element of this.#elements(this.meta.rootPage, 0)) {
      if (element === undefined) yield;
      else if (element.isBucket) names.push(decoder.decode(element.key));
    }
    return names;
  }

  /**
   * The rows of a bucket in order, or `undefined` when bytes are wanted; none when the bucket does not exist. Views are
   * valid until the next row.
   */
  *rows(bucket: string): Generator<Row | undefined> {
    const root = yield* this.#findBucket(bucket);
    if (root === undefined) return;
    let last: Uint8Array | undefined;
    for (const row of root instanceof Uint8Array ? leafElements(root, 0) : this.#elements(root, 0)) {
      if (row === undefined) {
        yield undefined;
        continue;
      }
      if (last !== undefined && compareBytes(last, row.key) >= 0) {
        throw new ImageFormatError(`bucket ${bucket}: keys are not in order`);
      }
      last = row.key;
      if (!row.isBucket) yield [row.key, row.value];
    }
  }

  /** The bucket's root page, or the page that stands in the root for it. */
  *#findBucket(bucket: string): ReadTask<number | Uint8Array | undefined> {
    for (const element of this.#elements(this.meta.rootPage, 0)) {
      if (element === undefined) yield;
      else if (element.isBucket && decoder.decode(element.key) === bucket) {
        if (element.value.length < bucketHeaderSize) throw new ImageFormatError(`bucket ${bucket}: header is cut off`);
        const root = numberAt(element.value, 0);
        return root === 0 ? element.value.slice(bucketHeaderSize) : root;
      }
    }
    return undefined;
  }

  *#elements(pageId: number, depth: number): Generator<Element | undefined> {
    const page = yield* this.#page(pageId);
    const flags = uint16At(page, 8);
    if (flags === pageFlag.leaf) yield* leafElements(page, pageId);
    else if (flags === pageFlag.branch) {
      if (depth === depthMax) throw new ImageFormatError(`page ${pageId}: the tree is too deep`);
      for (const child of [...branchChildren(page, pageId)]) yield* this.#elements(child, depth + 1);
    } else throw new ImageFormatError(`page ${pageId}: flags ${flags} are neither a leaf's nor a branch's`);
  }

  *#page(id: number): ReadTask<Uint8Array> {
    const { pageSize, highWater } = this.meta;
    if (id < 2 || id >= highWater) throw new ImageFormatError(`page ${id} is outside the database`);
    const header = yield* wanted(this.#read, id * pageSize, pageHeaderSize);
    if (header.length < pageHeaderSize || numberAt(header, 0) !== id) {
      throw new ImageFormatError(`page ${id}: bad header`);
    }
    const span = new DataView(header.buffer, header.byteOffset).getUint32(12, true) + 1;
    if (id + span > highWater) throw new ImageFormatError(`page ${id}: overflow reaches beyond the database`);
    const page = yield* wanted(this.#read, id * pageSize, span * pageSize);
    if (page.length < span * pageSize) throw new ImageFormatError(`page ${id} is cut off`);
    return page;
  }
}

interface Element {
  readonly isBucket: boolean;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function* wanted(read: ImageBytes, offset: number, length: number): ReadTask<Uint8Array> {
  for (;;) {
    const bytes = read(offset, length);
    if (bytes !== undefined) return bytes;
    yield;
  }
}

function* newestMeta(read: ImageBytes): ReadTask<Meta> {
  const size = pageHeaderSize + metaSize;
  const first = decodeMetaPage(yield* wanted(read, 0, size));
  let second: Meta | undefined;
  if (first !== undefined) second = decodeMetaPage(yield* wanted(read, first.pageSize, size));
  else
    for (let i = 0; i < 15 && second === undefined; i++)
      second = decodeMetaPage(yield* wanted(read, 1024 * 2 ** i, size));
  const newest =
    second !== undefined && (first === undefined || second.transactionId > first.transactionId) ? second : first;
  if (newest === undefined) throw new ImageFormatError("invalid database: neither meta page is valid");
  const { pageSize, highWater } = newest;
  const isPowerOfTwo = (pageSize & (pageSize - 1)) === 0;
  if (
    pageSize < pageSizeMin ||
    pageSize > pageSizeMax ||
    !isPowerOfTwo ||
    !Number.isSafeInteger(highWater * pageSize)
  ) {
    throw new ImageFormatError(`invalid database: ${highWater} pages of ${pageSize} bytes`);
  }
  return newest;
}

function uint16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function numberAt(bytes: Uint8Array, at: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true));
}

function checkedElements(page: Uint8Array, id: number): { readonly view: DataView; readonly count: number } {
  const count = uint16At(page, 10);
  if (pageHeaderSize + count * elementSize > page.length)
    throw new ImageFormatError(`page ${id}: ${count} elements do not fit`);
  return { view: new DataView(page.buffer, page.byteOffset, page.length), count };
}

function slice(page: Uint8Array, id: number, at: number, length: number): Uint8Array {
  if (at + length > page.length) throw new ImageFormatError(`page ${id}: an element reaches beyond the page`);
  return page.subarray(at, at + length);
}

function* leafElements(page: Uint8Array, id: number): Generator<Element> {
  const { view, count } = checkedElements(page, id);
  for (let i = 0; i < count; i++) {
    const at = pageHeaderSize + i * elementSize;
    const keyAt = at + view.getUint32(at + 4, true);
    const keySize = view.getUint32(at + 8, true);
    yield {
      isBucket: (view.getUint32(at, true) & bucketElementFlag) !== 0,
      key: slice(page, id, keyAt, keySize),
      value: slice(page, id, keyAt + keySize, view.getUint32(at + 12, true)),
    };
  }
}

function* branchChildren(page: Uint8Array, id: number): Generator<number> {
  const { view, count } = checkedElements(page, id);
  for (let i = 0; i < count; i++) yield Number(view.getBigUint64(pageHeaderSize + i * elementSize + 8, true));
}
