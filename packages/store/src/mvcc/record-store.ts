/**
 * Where records are written and found again: encoded once, into the ring of recent records, copied from there to the
 * backend; read from the ring while it still holds them, from the backend after that.
 */

import { assert } from "../assert.js";
import type { Backend } from "../backend.js";
import type { ByteArena } from "./byte-arena.js";
import { copyBytes } from "./copy-bytes.js";
import type { Located } from "./key-index.js";
import {
  encodeChunk,
  type RecordMeta,
  recordChunkTag,
  recordOfChunk,
  sizeChunk,
  sizeRecord,
  sizeVarint,
  writeRecord,
  writeVarint,
} from "./record.js";
import { notInRing, type RecordRing } from "./record-ring.js";

const noBytes = new Uint8Array(0);
/** Of a tombstone, which holds its key only. */
const noMeta: RecordMeta = { createRevision: 0, modRevision: 0, version: 0, lease: 0n };

export class RecordStore {
  readonly backend: Backend;
  readonly #ring: RecordRing;
  #tombstone: Uint8Array = new Uint8Array(256);

  constructor(backend: Backend, ring: RecordRing) {
    this.backend = backend;
    this.#ring = ring;
  }

  /** Writes the row (main, sub) of a put; returns its position in the ring. `value` is copied. */
  put(main: number, sub: number, key: string, value: Uint8Array, meta: RecordMeta): number {
    const length = sizeRecord(key, value.length, meta);
    const size = sizeChunk(length);
    const position = this.#ring.reserve(size);
    if (position === notInRing) {
      this.backend.putRecord(main, sub, false, recordOfChunk(encodeChunk(key, value, meta)));
      return notInRing;
    }
    const buffer = this.#ring.bufferAt(position);
    const start = this.#ring.offsetAt(position);
    buffer[start] = recordChunkTag;
    const recordStart = writeVarint(length, buffer, start + 1);
    const end = writeRecord(key, value, meta, buffer, recordStart);
    assert(end === start + size, "a record has the size it was given");
    this.backend.putRecord(main, sub, false, buffer.subarray(recordStart, end));
    return position;
  }

  /** Writes the row of a deletion, from a buffer that is used again: a range delete writes a million of them. */
  putTombstone(main: number, sub: number, key: string): void {
    const size = sizeRecord(key, 0, noMeta);
    if (size > this.#tombstone.length) this.#tombstone = new Uint8Array(size * 2);
    writeRecord(key, noBytes, noMeta, this.#tombstone, 0);
    this.backend.putRecord(main, sub, true, this.#tombstone.subarray(0, size));
  }

  /** Appends the record chunk to `arena` under `tag` (a length-delimited field number below 16); returns its bytes. */
  append(at: Located, arena: ByteArena, tag: number): number {
    if (this.#ring.holds(at.position)) {
      const buffer = this.#ring.bufferAt(at.position);
      const start = this.#ring.offsetAt(at.position);
      const size = chunkEnd(buffer, start) - start;
      const offset = arena.reserve(size);
      copyBytes(buffer, start, start + size, arena.target, offset);
      arena.target[offset] = tag;
      return size;
    }
    const record = this.#backendRecord(at.main, at.sub);
    const size = sizeChunk(record.length);
    const offset = arena.reserve(size);
    const target = arena.target;
    target[offset] = tag;
    copyBytes(record, 0, record.length, target, writeVarint(record.length, target, offset + 1));
    return size;
  }

  /** The record chunk; a view that is valid until the next write, or a fresh copy. */
  chunk(main: number, sub: number, position: number): Uint8Array {
    if (this.#ring.holds(position)) {
      const buffer = this.#ring.bufferAt(position);
      const start = this.#ring.offsetAt(position);
      return buffer.subarray(start, chunkEnd(buffer, start));
    }
    const record = this.#backendRecord(main, sub);
    const chunk = new Uint8Array(sizeChunk(record.length));
    chunk[0] = recordChunkTag;
    chunk.set(record, 1 + sizeVarint(record.length));
    writeVarint(record.length, chunk, 1);
    return chunk;
  }

  /** The KeyValue bytes; a view that is valid until the next call on the backend or the next write. */
  record(at: Located): Uint8Array {
    if (!this.#ring.holds(at.position)) return this.#backendRecord(at.main, at.sub);
    const buffer = this.#ring.bufferAt(at.position);
    const start = this.#ring.offsetAt(at.position);
    const end = chunkEnd(buffer, start);
    let recordStart = start + 1;
    while ((buffer[recordStart] as number) >= 0x80) recordStart++;
    return buffer.subarray(recordStart + 1, end);
  }

  #backendRecord(main: number, sub: number): Uint8Array {
    const record = this.backend.getRecord(main, sub);
    assert(record !== undefined, `the row of revision ${main}/${sub} that the index names exists`);
    return record;
  }
}

/** Offset after the chunk that begins at `start`. */
function chunkEnd(buffer: Uint8Array, start: number): number {
  let length = 0;
  let factor = 1;
  let at = start + 1;
  let byte: number;
  do {
    byte = buffer[at++] as number;
    length += (byte & 0x7f) * factor;
    factor *= 0x80;
  } while (byte >= 0x80);
  return at + length;
}
