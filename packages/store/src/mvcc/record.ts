/**
 * Records: `mvccpb.KeyValue` {1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value, 6 lease}, fields ascending,
 * zero and empty ones omitted, as every member must store them byte for byte (the bytes are hashed).
 *
 * A *record chunk* is such a message as field 2 of an enclosing one: 0x12, its length as a varint, its bytes. It is
 * what RangeResponse.kvs, PutResponse.prev_kv and Event.kv hold, so it is spliced there without being decoded.
 */

import { writeLatin1 } from "@etcd-ts/api";
import { assert } from "../assert.js";
import { copyBytes } from "./copy-bytes.js";

/** The tag of field 2, length-delimited. */
export const recordChunkTag = 0x12;

/** Bytes of `value` as a varint. 0 ≤ value ≤ 2^53−1. */
export function sizeVarint(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  let rest = Math.floor(value / 0x1000_0000);
  while (rest > 0) {
    size++;
    rest = Math.floor(rest / 0x80);
  }
  return size;
}

/** Writes `value` as a varint; returns the offset after it. */
export function writeVarint(value: number, target: Uint8Array, offset: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x8000_0000) {
    target[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Bytes of an int64 as a varint. */
export function sizeVarint64(value: bigint): number {
  if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) return sizeVarint(Number(value));
  let rest = BigInt.asUintN(64, value);
  let size = 1;
  while (rest >= 0x80n) {
    size++;
    rest >>= 7n;
  }
  return size;
}

/** Writes an int64 as a varint; returns the offset after it. */
export function writeVarint64(value: bigint, target: Uint8Array, offset: number): number {
  if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) return writeVarint(Number(value), target, offset);
  let rest = BigInt.asUintN(64, value);
  let at = offset;
  while (rest >= 0x80n) {
    target[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[at++] = Number(rest);
  return at;
}

/** What a record holds besides key and value. Revisions and version ≥ 0; lease 0n = none. */
export interface RecordMeta {
  createRevision: number;
  modRevision: number;
  version: number;
  lease: bigint;
}

const emptyBytes = new Uint8Array(0);

function sizeNumberField(value: number): number {
  return value === 0 ? 0 : 1 + sizeVarint(value);
}

function writeNumberField(tag: number, value: number, target: Uint8Array, offset: number): number {
  if (value === 0) return offset;
  target[offset] = tag;
  return writeVarint(value, target, offset + 1);
}

/** Bytes of the KeyValue message itself, without the chunk's tag and length. */
export function sizeRecord(key: string, valueLength: number, meta: RecordMeta): number {
  let size = sizeNumberField(meta.createRevision) + sizeNumberField(meta.modRevision) + sizeNumberField(meta.version);
  if (key.length > 0) size += 1 + sizeVarint(key.length) + key.length;
  if (valueLength > 0) size += 1 + sizeVarint(valueLength) + valueLength;
  if (meta.lease !== 0n) size += 1 + sizeVarint64(meta.lease);
  return size;
}

/** Writes the KeyValue message; returns the offset after it. `value` is copied. */
export function writeRecord(
  key: string,
  value: Uint8Array,
  meta: RecordMeta,
  target: Uint8Array,
  offset: number,
): number {
  let at = offset;
  if (key.length > 0) {
    target[at] = 0x0a;
    at = writeLatin1(target, writeVarint(key.length, target, at + 1), key);
  }
  at = writeNumberField(0x10, meta.createRevision, target, at);
  at = writeNumberField(0x18, meta.modRevision, target, at);
  at = writeNumberField(0x20, meta.version, target, at);
  if (value.length > 0) {
    target[at] = 0x2a;
    at = copyBytes(value, 0, value.length, target, writeVarint(value.length, target, at + 1));
  }
  if (meta.lease !== 0n) {
    target[at] = 0x30;
    at = writeVarint64(meta.lease, target, at + 1);
  }
  return at;
}

/** Bytes of a record chunk whose KeyValue message has `recordLength` bytes. */
export function sizeChunk(recordLength: number): number {
  return 1 + sizeVarint(recordLength) + recordLength;
}

/** A new buffer with the chunk of the given record. */
export function encodeChunk(key: string, value: Uint8Array, meta: RecordMeta): Uint8Array {
  const length = sizeRecord(key, value.length, meta);
  const chunk = new Uint8Array(sizeChunk(length));
  chunk[0] = recordChunkTag;
  const end = writeRecord(key, value, meta, chunk, writeVarint(length, chunk, 1));
  assert(end === chunk.length, "a record has the size it was given");
  return chunk;
}

/** The KeyValue bytes inside a record chunk; a view of `chunk`. */
export function recordOfChunk(chunk: Uint8Array): Uint8Array {
  let at = 1;
  while ((chunk[at] as number) >= 0x80) at++;
  return chunk.subarray(at + 1);
}

/** A stored row of key `key` that deletes it: only field 1. */
export function encodeTombstone(key: string): Uint8Array {
  return recordOfChunk(encodeChunk(key, emptyBytes, { createRevision: 0, modRevision: 0, version: 0, lease: 0n }));
}

/** A decoded record; `key` and `value` are views of the bytes decoded. */
export interface StoredRecord extends RecordMeta {
  key: Uint8Array;
  value: Uint8Array;
}

/**
 * Decodes a stored KeyValue. The rows are our own or come from another member's database, so anything that is not a
 * KeyValue is corruption, not input: it throws.
 */
export function decodeRecord(bytes: Uint8Array): StoredRecord {
  const record: StoredRecord = {
    key: emptyBytes,
    value: emptyBytes,
    createRevision: 0,
    modRevision: 0,
    version: 0,
    lease: 0n,
  };
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++] as number;
    if (tag === 0x0a || tag === 0x2a) {
      const length = readVarint(bytes, at);
      at = varintEnd(bytes, at);
      assert(at + length <= bytes.length, "a stored record's field ends within the record");
      const field = bytes.subarray(at, at + length);
      if (tag === 0x0a) record.key = field;
      else record.value = field;
      at += length;
    } else {
      const end = varintEnd(bytes, at);
      if (tag === 0x10) record.createRevision = readVarint(bytes, at);
      else if (tag === 0x18) record.modRevision = readVarint(bytes, at);
      else if (tag === 0x20) record.version = readVarint(bytes, at);
      else if (tag === 0x30) record.lease = readVarint64(bytes, at, end);
      else assert(false, "a stored record has only the fields of KeyValue");
      at = end;
    }
  }
  return record;
}

/** The key of a stored KeyValue without decoding the rest; a view of `bytes`. */
export function recordKey(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x0a) return emptyBytes;
  const length = readVarint(bytes, 1);
  const start = varintEnd(bytes, 1);
  assert(start + length <= bytes.length, "a stored record's key ends within the record");
  return bytes.subarray(start, start + length);
}

function varintEnd(bytes: Uint8Array, offset: number): number {
  let at = offset;
  while (at < bytes.length && (bytes[at] as number) >= 0x80) at++;
  assert(at < bytes.length && at - offset < 10, "a stored varint ends within the record");
  return at + 1;
}

function readVarint(bytes: Uint8Array, offset: number): number {
  let value = 0;
  let factor = 1;
  let at = offset;
  let byte: number;
  do {
    byte = bytes[at++] as number;
    value += (byte & 0x7f) * factor;
    factor *= 0x80;
  } while (byte >= 0x80);
  assert(Number.isSafeInteger(value), "a stored revision, version or length fits 53 bits");
  return value;
}

function readVarint64(bytes: Uint8Array, offset: number, end: number): bigint {
  let value = 0n;
  for (let at = end - 1; at >= offset; at--) value = (value << 7n) | BigInt((bytes[at] as number) & 0x7f);
  return BigInt.asIntN(64, value);
}
