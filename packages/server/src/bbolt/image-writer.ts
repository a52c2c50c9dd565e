/**
 * Writes a whole database as a bbolt file in two passes over sorted rows: the first lays out the pages from the sizes,
 * the second streams them in order. Neither holds more than the first key of each page and one page's rows, so that a
 * database of any size can be streamed while it is read.
 *
 * Every page has at least one row, is filled up to nine tenths, and is followed by its overflow; pages are allocated
 * one after the other from 2, no freelist is stored, and both metas carry the same state under an even and an odd
 * transaction id, so that the next commit by bbolt goes to page 1 and cannot tear the newest meta.
 *
 * Both passes must see the same rows: give them the same read transaction.
 */

import { assert } from "../assert.js";
import {
  bucketElementFlag,
  bucketHeaderSize,
  elementSize,
  elementsMax,
  encodeMetaPage,
  noFreelist,
  pageFlag,
  pageHeaderSize,
} from "./format.js";

export type Row = readonly [key: Uint8Array, value: Uint8Array];

/**
 * The rows of a bucket in byte order of their keys. Views are used before the next row is asked for.
 */
export type RowSource = (bucket: string) => Iterable<Row>;

interface Page {
  readonly id: number;
  /** Pages this one occupies. */
  readonly span: number;
  readonly count: number;
  readonly firstKey: Uint8Array;
}

interface BucketLayout {
  readonly name: string;
  readonly leaves: readonly Page[];
  /** From the level above the leaves up to the root; empty when the only leaf is the root. */
  readonly branches: readonly (readonly Page[])[];
  readonly root: number;
}

export interface ImageLayout {
  readonly pageSize: number;
  readonly buckets: readonly BucketLayout[];
  readonly rootPage: number;
  readonly sizeBytes: number;
}

const fillNumerator = 9;
const fillDenominator = 10;
const transactionId = 2n;
const encoder = new TextEncoder();

/** Collects rows into pages, in order. */
class PageFiller {
  readonly pages: Page[] = [];
  readonly #pageSize: number;
  readonly #capacity: number;
  #nextId: number;
  #count = 0;
  #size = pageHeaderSize;
  #firstKey: Uint8Array = new Uint8Array(0);

  constructor(pageSize: number, firstId: number) {
    this.#pageSize = pageSize;
    this.#capacity = Math.floor((pageSize * fillNumerator) / fillDenominator);
    this.#nextId = firstId;
  }

  add(key: Uint8Array, payloadBytes: number): void {
    const size = elementSize + payloadBytes;
    if (this.#count > 0 && (this.#size + size > this.#capacity || this.#count === elementsMax)) this.#close();
    if (this.#count === 0) this.#firstKey = key.slice();
    this.#count++;
    this.#size += size;
  }

  /** Closes the last page, which may be empty, and returns the id after it. */
  finish(): number {
    if (this.#count > 0 || this.pages.length === 0) this.#close();
    return this.#nextId;
  }

  #close(): void {
    const span = Math.ceil(this.#size / this.#pageSize);
    this.pages.push({ id: this.#nextId, span, count: this.#count, firstKey: this.#firstKey });
    this.#nextId += span;
    this.#count = 0;
    this.#size = pageHeaderSize;
  }
}

/** Rows after which the first pass lets its driver do something else. */
const rowsPerSlice = 128;

function* layOutBucket(
  name: string,
  rows: Iterable<Row>,
  pageSize: number,
  firstId: number,
): Generator<undefined, [BucketLayout, number]> {
  const leaves = new PageFiller(pageSize, firstId);
  let count = 0;
  for (const [key, value] of rows) {
    leaves.add(key, key.length + value.length);
    if (++count % rowsPerSlice === 0) yield;
  }
  let nextId = leaves.finish();
  const branches: Page[][] = [];
  let level: readonly Page[] = leaves.pages;
  while (level.length > 1) {
    const filler = new PageFiller(pageSize, nextId);
    for (const page of level) {
      filler.add(page.firstKey, page.firstKey.length);
      if (++count % rowsPerSlice === 0) yield;
    }
    nextId = filler.finish();
    branches.push(filler.pages);
    level = filler.pages;
  }
  return [{ name, leaves: leaves.pages, branches, root: level[0]?.id ?? firstId }, nextId];
}

/** The first pass, in slices. `names` in byte order. */
export function* layOutImage(
  names: readonly string[],
  source: RowSource,
  pageSize: number = 4096,
): Generator<undefined, ImageLayout> {
  const buckets: BucketLayout[] = [];
  let nextId = 2;
  for (const name of names) {
    const [bucket, next] = yield* layOutBucket(name, source(name), pageSize, nextId);
    buckets.push(bucket);
    nextId = next;
  }
  const rootRows = buckets.map((bucket): Row => [encoder.encode(bucket.name), new Uint8Array(bucketHeaderSize)]);
  const [root, end] = yield* layOutBucket("", rootRows, pageSize, nextId);
  assert(root.branches.length === 0, "the bucket names fit one page");
  return { pageSize, buckets, rootPage: root.root, sizeBytes: end * pageSize };
}

/** The second pass: the file's bytes, in order, in pieces of whole pages, each the caller's. */
export function* writeImage(layout: ImageLayout, source: RowSource): Generator<Uint8Array> {
  const { pageSize, rootPage } = layout;
  const highWater = layout.sizeBytes / pageSize;
  const meta = { pageSize, rootPage, freelistPage: noFreelist, highWater };
  yield encodeMetaPage(0, { ...meta, transactionId });
  yield encodeMetaPage(1, { ...meta, transactionId: transactionId - 1n });
  for (const bucket of layout.buckets) yield* writeBucket(bucket, source(bucket.name), pageSize);
  const rows = layout.buckets.map((bucket): Row => {
    const header = new Uint8Array(bucketHeaderSize);
    new DataView(header.buffer).setBigUint64(0, BigInt(bucket.root), true);
    return [encoder.encode(bucket.name), header];
  });
  yield encodeLeaf({ id: rootPage, span: 1, count: rows.length, firstKey: new Uint8Array(0) }, rows, pageSize, true);
}

function* writeBucket(bucket: BucketLayout, rows: Iterable<Row>, pageSize: number): Generator<Uint8Array> {
  const iterator = rows[Symbol.iterator]();
  for (const page of bucket.leaves) yield encodeLeaf(page, take(iterator, page.count), pageSize, false);
  let children: readonly Page[] = bucket.leaves;
  for (const level of bucket.branches) {
    let at = 0;
    for (const page of level) {
      yield encodeBranch(page, children.slice(at, at + page.count), pageSize);
      at += page.count;
    }
    children = level;
  }
}

function* take(iterator: Iterator<Row>, count: number): Generator<Row> {
  for (let i = 0; i < count; i++) {
    const next = iterator.next();
    assert(next.done !== true, "the second pass sees the rows of the first");
    yield next.value;
  }
}

function startPage(page: Page, flags: number, pageSize: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(page.span * pageSize);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(page.id), true);
  view.setUint16(8, flags, true);
  view.setUint16(10, page.count, true);
  view.setUint32(12, page.span - 1, true);
  return { bytes, view };
}

function encodeLeaf(page: Page, rows: Iterable<Row>, pageSize: number, isRoot: boolean): Uint8Array {
  const { bytes, view } = startPage(page, pageFlag.leaf, pageSize);
  let element = pageHeaderSize;
  let data = pageHeaderSize + page.count * elementSize;
  for (const [key, value] of rows) {
    view.setUint32(element, isRoot ? bucketElementFlag : 0, true);
    view.setUint32(element + 4, data - element, true);
    view.setUint32(element + 8, key.length, true);
    view.setUint32(element + 12, value.length, true);
    bytes.set(key, data);
    bytes.set(value, data + key.length);
    data += key.length + value.length;
    element += elementSize;
  }
  return bytes;
}

function encodeBranch(page: Page, children: readonly Page[], pageSize: number): Uint8Array {
  const { bytes, view } = startPage(page, pageFlag.branch, pageSize);
  let element = pageHeaderSize;
  let data = pageHeaderSize + page.count * elementSize;
  for (const child of children) {
    view.setUint32(element, data - element, true);
    view.setUint32(element + 4, child.firstKey.length, true);
    view.setBigUint64(element + 8, BigInt(child.id), true);
    bytes.set(child.firstKey, data);
    data += child.firstKey.length;
    element += elementSize;
  }
  return bytes;
}
