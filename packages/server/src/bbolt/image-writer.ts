/**
 * Writes a whole database as a bbolt file in two passes over sorted rows: the first lays out the pages from the sizes,
 * the second streams them in order. Neither holds more than the first key of each page and one page's rows, so that a
 * database of any size can be streamed while it is read.
 *
 * Every page has at least one row, is filled up to nine tenths, and is followed by its overflow; no freelist is stored,
 * and both metas carry the same state under an even and an odd transaction id, so that the next commit by bbolt goes to
 * page 1 and cannot tear the newest meta. Pages lie in the order in which a reader of all rows asks for them, the root
 * at 2, a branch before its children: who receives the file can read it while it comes.
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

/** Gets a row; both views are valid during the call only. */
export type RowVisitor = (key: Uint8Array, value: Uint8Array) => void;

/** Visits the rows of a bucket in byte order of their keys; between two yields other work may be done. */
export type RowSource = (bucket: string, visitor: RowVisitor) => Generator<undefined, void, undefined>;

interface Page {
  /** Given when all pages are known. */
  id: number;
  /** Pages this one occupies. */
  readonly span: number;
  readonly count: number;
  readonly firstKey: Uint8Array;
}

interface BucketLayout {
  readonly name: string;
  /** The leaves, then each level above them; the last is the root alone. */
  readonly levels: readonly (readonly Page[])[];
}

export interface ImageLayout {
  readonly pageSize: number;
  readonly buckets: readonly BucketLayout[];
  readonly root: Page;
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
  #count = 0;
  #size = pageHeaderSize;
  #firstKey: Uint8Array = new Uint8Array(0);

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
    this.#capacity = Math.floor((pageSize * fillNumerator) / fillDenominator);
  }

  add(key: Uint8Array, payloadBytes: number): void {
    const size = elementSize + payloadBytes;
    if (this.#count > 0 && (this.#size + size > this.#capacity || this.#count === elementsMax)) this.#close();
    if (this.#count === 0) this.#firstKey = key.slice();
    this.#count++;
    this.#size += size;
  }

  /** Closes the last page, which may be empty. */
  finish(): void {
    if (this.#count > 0 || this.pages.length === 0) this.#close();
  }

  #close(): void {
    const span = Math.ceil(this.#size / this.#pageSize);
    this.pages.push({ id: 0, span, count: this.#count, firstKey: this.#firstKey });
    this.#count = 0;
    this.#size = pageHeaderSize;
  }
}

/** Rows after which the first pass lets its driver do something else. */
const rowsPerSlice = 128;

function* layOutBucket(name: string, source: RowSource, pageSize: number): Generator<undefined, BucketLayout> {
  const leaves = new PageFiller(pageSize);
  yield* source(name, (key, value) => leaves.add(key, key.length + value.length));
  let count = 0;
  leaves.finish();
  const levels: Page[][] = [leaves.pages];
  for (let level = leaves.pages; level.length > 1; ) {
    const filler = new PageFiller(pageSize);
    for (const page of level) {
      filler.add(page.firstKey, page.firstKey.length);
      if (++count % rowsPerSlice === 0) yield;
    }
    filler.finish();
    levels.push(filler.pages);
    level = filler.pages;
  }
  return { name, levels };
}

/** The first pass, in slices. `names` in byte order. */
export function* layOutImage(
  names: readonly string[],
  source: RowSource,
  pageSize: number = 4096,
): Generator<undefined, ImageLayout> {
  const buckets: BucketLayout[] = [];
  for (const name of names) buckets.push(yield* layOutBucket(name, source, pageSize));
  const { levels } = yield* layOutBucket("", rootSource(buckets), pageSize);
  const [[root] = []] = levels;
  assert(root !== undefined && levels.length === 1, "the bucket names fit one page");
  let nextId = 2;
  let count = 0;
  const place = (page: Page): void => {
    page.id = nextId;
    nextId += page.span;
  };
  place(root);
  for (const bucket of buckets) {
    for (const { page } of inOrder(bucket)) {
      place(page);
      if (++count % rowsPerSlice === 0) yield;
    }
  }
  return { pageSize, buckets, root, sizeBytes: nextId * pageSize };
}

/** The second pass: the file's bytes, in order, in pieces of whole pages, each the caller's. */
export function* writeImage(layout: ImageLayout, source: RowSource): Generator<Uint8Array> {
  const { pageSize, root, buckets } = layout;
  const highWater = layout.sizeBytes / pageSize;
  const meta = { pageSize, rootPage: root.id, freelistPage: noFreelist, highWater };
  yield encodeMetaPage(0, { ...meta, transactionId });
  yield encodeMetaPage(1, { ...meta, transactionId: transactionId - 1n });
  yield* writeBucket("", { name: "", levels: [[root]] }, { ...layout, source: rootSource(buckets), isRoot: true });
  for (const bucket of buckets) yield* writeBucket(bucket.name, bucket, { ...layout, source, isRoot: false });
}

/** The buckets' names and, once pages are placed, their headers. */
function rootSource(buckets: readonly BucketLayout[]): RowSource {
  return function* (_bucket, visitor) {
    for (const { name, levels } of buckets) {
      const header = new Uint8Array(bucketHeaderSize);
      new DataView(header.buffer).setBigUint64(0, BigInt(levels.at(-1)?.[0]?.id ?? 0), true);
      visitor(encoder.encode(name), header);
    }
    yield;
  };
}

interface BucketWriting {
  readonly source: RowSource;
  readonly pageSize: number;
  readonly isRoot: boolean;
}

function* writeBucket(
  name: string,
  bucket: BucketLayout,
  { source, pageSize, isRoot }: BucketWriting,
): Generator<Uint8Array> {
  const pages = inOrder(bucket);
  let done: Uint8Array[] = [];
  let leaf: LeafWriter | undefined;
  /** Writes what lies before the next leaf that has rows. */
  const nextLeaf = (): LeafWriter | undefined => {
    for (let next = pages.next(); next.done !== true; next = pages.next()) {
      const { page, children } = next.value;
      if (children !== undefined) done.push(encodeBranch(page, children, pageSize));
      else if (page.count === 0) done.push(startPage(page, pageFlag.leaf, pageSize).bytes);
      else return new LeafWriter(page, pageSize, isRoot);
    }
    return undefined;
  };
  const visitor: RowVisitor = (key, value) => {
    leaf ??= nextLeaf();
    assert(leaf !== undefined, "the second pass sees no row that the first did not see");
    leaf.add(key, value);
    if (!leaf.isFull) return;
    done.push(leaf.bytes);
    leaf = undefined;
  };
  for (const _ of source(name, visitor)) {
    yield* done;
    done = [];
  }
  // What is left is the leaf of a bucket without rows.
  leaf ??= nextLeaf();
  assert(leaf === undefined, "the second pass sees the rows of the first");
  yield* done;
}

interface PlacedPage {
  readonly page: Page;
  /** Of a branch. */
  readonly children: readonly Page[] | undefined;
}

/** The pages of a bucket, each branch before its children. */
function* inOrder({ levels }: BucketLayout): Generator<PlacedPage> {
  const next = levels.map(() => 0);
  const visit = function* (level: number): Generator<PlacedPage> {
    const at = next[level] ?? 0;
    const page = levels[level]?.[at];
    assert(page !== undefined, "a branch has the children it counts");
    next[level] = at + 1;
    if (level === 0) {
      yield { page, children: undefined };
      return;
    }
    const first = next[level - 1] ?? 0;
    yield { page, children: levels[level - 1]?.slice(first, first + page.count) };
    for (let i = 0; i < page.count; i++) yield* visit(level - 1);
  };
  yield* visit(levels.length - 1);
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

/** A leaf that takes as many rows as its page counts. */
class LeafWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #flags: number;
  readonly #dataStart: number;
  #element = pageHeaderSize;
  #data: number;

  constructor(page: Page, pageSize: number, isRoot: boolean) {
    const { bytes, view } = startPage(page, pageFlag.leaf, pageSize);
    this.bytes = bytes;
    this.#view = view;
    this.#flags = isRoot ? bucketElementFlag : 0;
    this.#dataStart = pageHeaderSize + page.count * elementSize;
    this.#data = this.#dataStart;
  }

  get isFull(): boolean {
    return this.#element === this.#dataStart;
  }

  add(key: Uint8Array, value: Uint8Array): void {
    const view = this.#view;
    const element = this.#element;
    const data = this.#data;
    view.setUint32(element, this.#flags, true);
    view.setUint32(element + 4, data - element, true);
    view.setUint32(element + 8, key.length, true);
    view.setUint32(element + 12, value.length, true);
    this.bytes.set(key, data);
    this.bytes.set(value, data + key.length);
    this.#data = data + key.length + value.length;
    this.#element = element + elementSize;
  }
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
