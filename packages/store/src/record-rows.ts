/**
 * Rows of the bucket `key` in revision order: chunks of rows, each with its columns in typed arrays and its values in
 * one buffer, so that a million rows are a few thousand objects. Almost all rows are appended; inserting elsewhere is
 * for replays, removing for compaction and for taking back.
 */

import type { RecordVisitor } from "./backend.js";

const rowsPerChunk = 256;
const initialValueBytes = 4096;

interface Chunk {
  count: number;
  readonly mains: Float64Array;
  readonly subs: Float64Array;
  readonly tombstones: Uint8Array;
  /** Where each value lies in `bytes`. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  bytes: Uint8Array;
  bytesUsed: number;
  /** Bytes of `bytes` that belong to no row any more. */
  bytesFree: number;
  /** A snapshot has it too: it must not change any more. */
  isShared: boolean;
}

export class RecordRows {
  readonly #chunks: Chunk[] = [];
  /** Revision of each chunk's first row, so that a search does not touch the chunks. */
  readonly #firstMains: number[] = [];
  readonly #firstSubs: number[] = [];

  /** The rows as they are now, whatever is written here later; a chunk is copied when it is next written to. */
  snapshot(): RecordRows {
    const snapshot = new RecordRows();
    for (const chunk of this.#chunks) {
      chunk.isShared = true;
      snapshot.#insertChunk(snapshot.#chunks.length, chunk);
    }
    return snapshot;
  }

  /** A view that is valid until the next write. */
  get(main: number, sub: number, tombstone: boolean): Uint8Array | undefined {
    const chunk = this.#chunks[this.#chunkIndexOf(main, sub)];
    if (chunk === undefined) return undefined;
    const at = findRow(chunk, main, sub, tombstone);
    return at < 0 ? undefined : valueAt(chunk, at);
  }

  /** Adds or replaces a row. `value` is copied. */
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    if (this.#chunks.length === 0) this.#insertChunk(0, newChunk(0));
    let chunkAt = this.isAfterLast(main, sub) ? this.#chunks.length - 1 : this.#chunkIndexOf(main, sub);
    let chunk = this.#own(chunkAt);
    let at = lowerBound(chunk, main, sub);
    const found = findRowFrom(chunk, at, main, sub, tombstone);
    if (found >= 0) {
      replaceValue(chunk, found, value);
      return;
    }
    if (chunk.count === rowsPerChunk) {
      const keep = at === chunk.count && chunkAt === this.#chunks.length - 1 ? chunk.count : chunk.count >>> 1;
      this.#insertChunk(chunkAt + 1, splitChunk(chunk, keep));
      if (at >= keep) {
        at -= keep;
        chunk = this.#chunks[++chunkAt] as Chunk;
      }
    }
    insertRow(chunk, at, main, sub, tombstone, value);
    if (at === 0) this.#noteFirst(chunkAt);
  }

  /** Whether (main, sub) sorts after every row. */
  isAfterLast(main: number, sub: number): boolean {
    const last = this.#chunks.at(-1);
    return last === undefined || last.count === 0 || compareRow(last, last.count - 1, main, sub) < 0;
  }

  #insertChunk(at: number, chunk: Chunk): void {
    this.#chunks.splice(at, 0, chunk);
    this.#firstMains.splice(at, 0, chunk.mains[0] as number);
    this.#firstSubs.splice(at, 0, chunk.subs[0] as number);
  }

  #noteFirst(chunkAt: number): void {
    const chunk = this.#chunks[chunkAt] as Chunk;
    this.#firstMains[chunkAt] = chunk.mains[0] as number;
    this.#firstSubs[chunkAt] = chunk.subs[0] as number;
  }

  delete(main: number, sub: number, tombstone: boolean): void {
    const chunkAt = this.#chunkIndexOf(main, sub);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return;
    const at = findRow(chunk, main, sub, tombstone);
    if (at < 0) return;
    const own = this.#own(chunkAt);
    removeRow(own, at);
    if (own.count === 0) {
      this.#chunks.splice(chunkAt, 1);
      this.#firstMains.splice(chunkAt, 1);
      this.#firstSubs.splice(chunkAt, 1);
    } else if (at === 0) {
      this.#noteFirst(chunkAt);
    }
  }

  /** Rows with (loMain, loSub) ≤ (main, sub) < (hiMain, 0) ascending, until the visitor returns false. */
  scan(loMain: number, loSub: number, hiMain: number, visit: RecordVisitor): void {
    let chunkAt = this.#chunkIndexOf(loMain, loSub);
    let at = this.#chunks[chunkAt] === undefined ? 0 : lowerBound(this.#chunks[chunkAt] as Chunk, loMain, loSub);
    for (; chunkAt < this.#chunks.length; chunkAt++, at = 0) {
      const chunk = this.#chunks[chunkAt] as Chunk;
      for (; at < chunk.count; at++) {
        const main = chunk.mains[at] as number;
        if (main >= hiMain) return;
        if (!visit(main, chunk.subs[at] as number, chunk.tombstones[at] === 1, valueAt(chunk, at))) return;
      }
    }
  }

  /** The chunk, to be written to. */
  #own(chunkAt: number): Chunk {
    const chunk = this.#chunks[chunkAt] as Chunk;
    if (!chunk.isShared) return chunk;
    const own = copyChunk(chunk);
    this.#chunks[chunkAt] = own;
    return own;
  }

  /** Index of the chunk where the row is or would be; 0 when there is no chunk. */
  #chunkIndexOf(main: number, sub: number): number {
    const firstMains = this.#firstMains;
    let lo = 0;
    let hi = firstMains.length;
    while (lo < hi) {
      const middle = (lo + hi) >>> 1;
      const firstMain = firstMains[middle] as number;
      if (firstMain < main || (firstMain === main && (this.#firstSubs[middle] as number) <= sub)) lo = middle + 1;
      else hi = middle;
    }
    return Math.max(0, lo - 1);
  }
}

/** `bytesHint`: how many bytes of values its neighbour holds. */
function newChunk(bytesHint: number): Chunk {
  return {
    count: 0,
    mains: new Float64Array(rowsPerChunk),
    subs: new Float64Array(rowsPerChunk),
    tombstones: new Uint8Array(rowsPerChunk),
    starts: new Float64Array(rowsPerChunk),
    ends: new Float64Array(rowsPerChunk),
    bytes: new Uint8Array(Math.max(initialValueBytes, bytesHint)),
    bytesUsed: 0,
    bytesFree: 0,
    isShared: false,
  };
}

function copyChunk(chunk: Chunk): Chunk {
  const { mains, subs, tombstones, starts, ends, bytes } = chunk;
  return {
    ...chunk,
    mains: mains.slice(),
    subs: subs.slice(),
    tombstones: tombstones.slice(),
    starts: starts.slice(),
    ends: ends.slice(),
    bytes: bytes.slice(),
    isShared: false,
  };
}

function compareRow(chunk: Chunk, at: number, main: number, sub: number): number {
  const difference = (chunk.mains[at] as number) - main;
  return difference !== 0 ? difference : (chunk.subs[at] as number) - sub;
}

/** Index of the first row ≥ (main, sub); a put and a tombstone of one revision, which never meet, have no order. */
function lowerBound(chunk: Chunk, main: number, sub: number): number {
  let lo = 0;
  let hi = chunk.count;
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if (compareRow(chunk, middle, main, sub) < 0) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

function findRow(chunk: Chunk, main: number, sub: number, tombstone: boolean): number {
  // Most mains have one row, so most rows lie as far behind the first as their mains are apart.
  const guess = main - (chunk.mains[0] as number);
  if (
    guess >= 0 &&
    guess < chunk.count &&
    compareRow(chunk, guess, main, sub) === 0 &&
    chunk.tombstones[guess] === (tombstone ? 1 : 0)
  ) {
    return guess;
  }
  return findRowFrom(chunk, lowerBound(chunk, main, sub), main, sub, tombstone);
}

function findRowFrom(chunk: Chunk, from: number, main: number, sub: number, tombstone: boolean): number {
  const mark = tombstone ? 1 : 0;
  for (let at = from; at < chunk.count && compareRow(chunk, at, main, sub) === 0; at++) {
    if (chunk.tombstones[at] === mark) return at;
  }
  return -1;
}

function valueAt(chunk: Chunk, at: number): Uint8Array {
  return chunk.bytes.subarray(chunk.starts[at], chunk.ends[at]);
}

/** Puts `value` into the chunk's buffer, which is repacked or grown when it is full. */
function storeValue(chunk: Chunk, value: Uint8Array): number {
  if (chunk.bytesUsed + value.length > chunk.bytes.length) repack(chunk, value.length);
  const start = chunk.bytesUsed;
  chunk.bytes.set(value, start);
  chunk.bytesUsed += value.length;
  return start;
}

function repack(chunk: Chunk, extraBytes: number): void {
  const needed = chunk.bytesUsed - chunk.bytesFree + extraBytes;
  const bytes = new Uint8Array(Math.max(initialValueBytes, needed + (needed >>> 1)));
  let used = 0;
  for (let at = 0; at < chunk.count; at++) {
    const value = valueAt(chunk, at);
    bytes.set(value, used);
    chunk.starts[at] = used;
    used += value.length;
    chunk.ends[at] = used;
  }
  chunk.bytes = bytes;
  chunk.bytesUsed = used;
  chunk.bytesFree = 0;
}

function replaceValue(chunk: Chunk, at: number, value: Uint8Array): void {
  const oldLength = (chunk.ends[at] as number) - (chunk.starts[at] as number);
  const start = storeValue(chunk, value);
  chunk.bytesFree += oldLength;
  chunk.starts[at] = start;
  chunk.ends[at] = start + value.length;
}

function insertRow(chunk: Chunk, at: number, main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
  const start = storeValue(chunk, value);
  if (at < chunk.count) for (const column of columns(chunk)) column.copyWithin(at + 1, at, chunk.count);
  chunk.count++;
  chunk.mains[at] = main;
  chunk.subs[at] = sub;
  chunk.tombstones[at] = tombstone ? 1 : 0;
  chunk.starts[at] = start;
  chunk.ends[at] = start + value.length;
}

function removeRow(chunk: Chunk, at: number): void {
  chunk.bytesFree += (chunk.ends[at] as number) - (chunk.starts[at] as number);
  for (const column of columns(chunk)) column.copyWithin(at, at + 1, chunk.count);
  chunk.count--;
}

/** Moves the rows from `keep` on to a new chunk. */
function splitChunk(chunk: Chunk, keep: number): Chunk {
  const right = newChunk(chunk.bytesUsed - chunk.bytesFree);
  for (let at = keep; at < chunk.count; at++) {
    const tombstone = chunk.tombstones[at] === 1;
    insertRow(right, at - keep, chunk.mains[at] as number, chunk.subs[at] as number, tombstone, valueAt(chunk, at));
  }
  if (keep < chunk.count) {
    chunk.count = keep;
    repack(chunk, 0);
  }
  return right;
}

function columns(chunk: Chunk): readonly (Float64Array | Uint8Array)[] {
  return [chunk.mains, chunk.subs, chunk.tombstones, chunk.starts, chunk.ends];
}
