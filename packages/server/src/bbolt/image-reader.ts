/**
 * Reads a bbolt file: its buckets and their rows in order. Every page is checked before it is used; a file that breaks
 * the format gives `ImageFormatError` with the page's id, never rows that are not in it.
 */

import {
  bucketElementFlag,
  bucketHeaderSize,
  decodeMetaPage,
  elementSize,
  type Meta,
  pageFlag,
  pageHeaderSize,
} from "./format.js";
import type { Row } from "./image-writer.js";

/** Reads exactly `length` bytes at `offset`, or fewer at the end of the file. */
export type ImageBytes = (offset: number, length: number) => Uint8Array;

export class ImageFormatError extends Error {
  override readonly name = "ImageFormatError";
}

const decoder = new TextDecoder("utf-8", { fatal: false });

export class ImageReader {
  readonly meta: Meta;
  readonly #read: ImageBytes;

  constructor(read: ImageBytes) {
    this.#read = read;
    this.meta = newestMeta(read);
  }

  get sizeBytes(): number {
    return this.meta.highWater * this.meta.pageSize;
  }

  /** Names of the buckets at the root, in byte order. */
  bucketNames(): string[] {
    const names: string[] = [];
    for (const element of this.#elements(this.meta.rootPage, new Set())) {
      if (element.isBucket) names.push(decoder.decode(element.key));
    }
    return names;
  }

  /** The rows of a bucket in order; none when it does not exist. Views are valid until the next row. */
  *rows(bucket: string): Generator<Row> {
    for (const element of this.#elements(this.meta.rootPage, new Set())) {
      if (!element.isBucket || decoder.decode(element.key) !== bucket) continue;
      if (element.value.length < bucketHeaderSize) throw new ImageFormatError(`bucket ${bucket}: header is cut off`);
      const root = numberAt(element.value, 0);
      const rows =
        root === 0 ? leafElements(element.value.subarray(bucketHeaderSize), 0) : this.#elements(root, new Set());
      for (const row of rows) if (!row.isBucket) yield [row.key, row.value];
      return;
    }
  }

  /** `branches` are the branch pages walked so far: in a tree each is met once. */
  *#elements(pageId: number, branches: Set<number>): Generator<Element> {
    const page = this.#page(pageId);
    const flags = uint16At(page, 8);
    if (flags === pageFlag.leaf) yield* leafElements(page, pageId);
    else if (flags === pageFlag.branch) {
      if (branches.has(pageId)) throw new ImageFormatError(`page ${pageId} is reached twice`);
      branches.add(pageId);
      for (const child of branchChildren(page, pageId)) yield* this.#elements(child, branches);
    } else throw new ImageFormatError(`page ${pageId}: flags ${flags} are neither a leaf's nor a branch's`);
  }

  #page(id: number): Uint8Array {
    const { pageSize, highWater } = this.meta;
    if (id < 2 || id >= highWater) throw new ImageFormatError(`page ${id} is outside the database`);
    const header = this.#read(id * pageSize, pageHeaderSize);
    if (header.length < pageHeaderSize || numberAt(header, 0) !== id)
      throw new ImageFormatError(`page ${id}: bad header`);
    const span = new DataView(header.buffer, header.byteOffset).getUint32(12, true) + 1;
    if (id + span > highWater) throw new ImageFormatError(`page ${id}: overflow reaches beyond the database`);
    const page = this.#read(id * pageSize, span * pageSize);
    if (page.length < span * pageSize) throw new ImageFormatError(`page ${id} is cut off`);
    return page;
  }
}

interface Element {
  readonly isBucket: boolean;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function newestMeta(read: ImageBytes): Meta {
  const first = decodeMetaPage(read(0, pageHeaderSize + 64));
  let second: Meta | undefined;
  if (first !== undefined) second = decodeMetaPage(read(first.pageSize, pageHeaderSize + 64));
  else
    for (let i = 0; i < 15 && second === undefined; i++)
      second = decodeMetaPage(read(1024 * 2 ** i, pageHeaderSize + 64));
  const newest =
    second !== undefined && (first === undefined || second.transactionId > first.transactionId) ? second : first;
  if (newest === undefined) throw new ImageFormatError("invalid database: neither meta page is valid");
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
