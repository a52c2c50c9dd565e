/**
 * The protobuf wire format, reading side: what generated decoders are made of.
 *
 * Each `read…` takes the position of a value and the end of the enclosing message, returns the value and leaves the
 * position after it in `cursor`. Nothing is allocated before its length is checked against what is left, and byte
 * fields are views: bytes in memory grow by a constant factor of the input only.
 *
 * While decoding, the reader notes whether the bytes are what an encoder would have written (see `wasCanonical`). The
 * state is module-wide: decoding is synchronous and one message at a time.
 *
 * Source: protobuf.dev/programming-guides/encoding; leniency as in google.golang.org/protobuf/encoding/protowire.
 */

import { assert } from "./assert.js";
import { DecodeError, type DecodeErrorCode } from "./decode-error.js";
import { decodeUtf8 } from "./utf8.js";
import { writeVarint32 } from "./wire-writer.js";

/**
 * Messages within messages, and groups within groups of unknown fields. Go refuses beyond 10 000; a JavaScript stack
 * holds some thousand small frames. Only transactions nest without bound, two levels each, and etcd refuses them
 * beyond `--max-txn-ops` (128) levels: 1000 leaves room for a flag of 499.
 */
export const nestingDepthMax = 1000;

/** The value of absent byte fields. Shared: it has no bytes that could be changed. */
export const emptyBytes: Uint8Array = new Uint8Array(0);

/** Position after the value last read. */
export let cursor = 0;

let canonical = true;
/** Bytes merged since the message began. */
let mergedBytes = 0;
/** Halves of the varint last read by `readVarint64`, as signed 32-bit numbers, which need no allocation. */
let low = 0;
let high = 0;
const scratch = new DataView(new ArrayBuffer(8));

const two32 = 0x1_0000_0000;
const two53 = 2 ** 53;

/**
 * True if the message last given to a `decode…` function held only known fields, singular ones once each, every
 * varint in as few bytes as possible and nothing out of its type's range, so that any protobuf decoder reads from the
 * very bytes what ours did. Meaningless after an error.
 */
export function wasCanonical(): boolean {
  return canonical;
}

export function noteNotCanonical(): void {
  canonical = false;
}

/** Starts a message that is not part of another one. */
export function beginMessage(bytes: Uint8Array, start: number, end: number): void {
  assert(0 <= start && start <= end && end <= bytes.length, "the message lies within its array");
  canonical = true;
  mergedBytes = 0;
}

/** Checks a message that may contain itself. */
export function checkDepth(depth: number, offset: number): void {
  if (depth > nestingDepthMax) fail("tooDeep", offset);
}

function fail(code: DecodeErrorCode, offset: number): never {
  throw new DecodeError(code, offset);
}

/** Reads any varint into `low` and `high`. */
function readVarint64(bytes: Uint8Array, start: number, end: number): void {
  let pos = start;
  let word = 0;
  for (let bits = 0; bits < 28; bits += 7) {
    if (pos >= end) fail("truncated", pos);
    const byte = bytes[pos++] as number;
    word |= (byte & 0x7f) << bits;
    if (byte < 0x80) {
      // A last byte of zero adds nothing: a shorter form exists.
      if (byte === 0 && bits !== 0) canonical = false;
      low = word;
      high = 0;
      cursor = pos;
      return;
    }
  }
  if (pos >= end) fail("truncated", pos);
  let byte = bytes[pos++] as number;
  low = word | (byte << 28);
  word = (byte & 0x7f) >> 4;
  for (let bits = 3; byte >= 0x80; bits += 7) {
    if (pos >= end) fail("truncated", pos);
    byte = bytes[pos++] as number;
    if (bits === 31 && byte > 1) fail("badVarint", pos - 1);
    word |= (byte & 0x7f) << bits;
  }
  if (byte === 0) canonical = false;
  high = word;
  cursor = pos;
}

/** A tag of two bytes or more, from its first byte on. */
export function readTag(bytes: Uint8Array, start: number, end: number): number {
  readVarint64(bytes, start, end);
  if (high !== 0) fail("badTag", start);
  return low >>> 0;
}

/** The length of a byte field, checked: `cursor` and `cursor + length` lie within the message. */
export function readLength(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) fail("truncated", start);
  let length = bytes[start] as number;
  cursor = start + 1;
  if (length >= 0x80) {
    // Values of 128 bytes to 16 KiB are common. A second byte beyond the end gives a length that does not fit.
    const second = bytes[start + 1] as number;
    if (second > 0 && second < 0x80) {
      length = (length & 0x7f) | (second << 7);
      cursor = start + 2;
    } else {
      readVarint64(bytes, start, end);
      length = (high >>> 0) * two32 + (low >>> 0);
    }
  }
  if (length > end - cursor) fail("truncated", start);
  return length;
}

/** A view of the bytes of a field. */
export function readBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = readLength(bytes, start, end);
  if (length === 0) return emptyBytes;
  const from = cursor;
  cursor = from + length;
  return view(bytes, from, from + length);
}

/** A plain view, also of a Node Buffer, whose own `subarray` makes the slower Buffer. */
function view(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes.subarray(from, to)
    : new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}

export function readString(bytes: Uint8Array, start: number, end: number): string {
  const length = readLength(bytes, start, end);
  const from = cursor;
  cursor = from + length;
  const text = decodeUtf8(bytes, from, cursor);
  if (text === undefined) fail("badUtf8", from);
  return text;
}

export function readBool(bytes: Uint8Array, start: number, end: number): boolean {
  const byte = bytes[start] as number;
  if (start < end && byte <= 1) {
    cursor = start + 1;
    return byte === 1;
  }
  readVarint64(bytes, start, end);
  // Any other number counts as true, and is not what an encoder writes.
  if (high !== 0 || low >>> 1 !== 0) canonical = false;
  return low !== 0 || high !== 0;
}

export function readUint32(bytes: Uint8Array, start: number, end: number): number {
  readVarint64(bytes, start, end);
  if (high !== 0) canonical = false;
  return low >>> 0;
}

/** int32 and enum. Unknown enum numbers are kept. */
export function readInt32(bytes: Uint8Array, start: number, end: number): number {
  const byte = bytes[start] as number;
  if (start < end && byte < 0x80) {
    cursor = start + 1;
    return byte;
  }
  readVarint64(bytes, start, end);
  if (high !== low >> 31) canonical = false;
  return low;
}

/** int64 that is only compared: saturated at ±2^53, which no value of ours reaches, so that its order stays exact. */
export function readInt64Number(bytes: Uint8Array, start: number, end: number): number {
  const byte = bytes[start] as number;
  if (start < end && byte < 0x80) {
    cursor = start + 1;
    return byte;
  }
  readVarint64(bytes, start, end);
  const value = high * two32 + (low >>> 0);
  return Math.max(-two53, Math.min(two53, value));
}

/** uint64 that counts something of ours: beyond 2^53 − 1 it is refused. */
export function readUint64Number(bytes: Uint8Array, start: number, end: number): number {
  const byte = bytes[start] as number;
  if (start < end && byte < 0x80) {
    cursor = start + 1;
    return byte;
  }
  readVarint64(bytes, start, end);
  if (high >>> 21 !== 0) fail("outOfRange", start);
  return high * two32 + (low >>> 0);
}

export function readInt64(bytes: Uint8Array, start: number, end: number): bigint {
  if (start < end && bytes[start] === 0) {
    cursor = start + 1;
    return 0n;
  }
  readVarint64(bytes, start, end);
  scratch.setInt32(0, low, true);
  scratch.setInt32(4, high, true);
  return scratch.getBigInt64(0, true);
}

export function readUint64(bytes: Uint8Array, start: number, end: number): bigint {
  if (start < end && bytes[start] === 0) {
    cursor = start + 1;
    return 0n;
  }
  readVarint64(bytes, start, end);
  scratch.setInt32(0, low, true);
  scratch.setInt32(4, high, true);
  return scratch.getBigUint64(0, true);
}

/**
 * Passes over an unknown field, whose tag was just read; returns the position after it. A known number with another
 * wire type counts as unknown, as it does in Go.
 */
export function skipField(bytes: Uint8Array, tag: number, start: number, end: number): number {
  canonical = false;
  // Numbers of the groups that are open, so that each is closed by its own marker.
  const open: number[] = [];
  let pos = start;
  let current = tag;
  for (;;) {
    if (current >>> 3 === 0) fail("badTag", start);
    switch (current & 7) {
      case 0:
        readVarint64(bytes, pos, end);
        pos = cursor;
        break;
      case 1:
        pos += 8;
        break;
      case 2: {
        const length = readLength(bytes, pos, end);
        pos = cursor + length;
        break;
      }
      case 3:
        if (open.push(current >>> 3) > nestingDepthMax) fail("tooDeep", pos);
        break;
      case 4:
        if (open.pop() !== current >>> 3) fail("badGroup", pos);
        break;
      case 5:
        pos += 4;
        break;
      default:
        fail("badTag", start);
    }
    if (pos > end) fail("truncated", end);
    if (open.length === 0) return pos;
    if (pos === end) fail("truncated", end);
    current = readTag(bytes, pos, end);
    pos = cursor;
  }
}

/** A singular message field: its number and the oneof it is a member of (0 = none). */
export type MergeRule = readonly [fieldNumber: number, oneof: number];

/**
 * Bytes a message may have merged at all its levels together. Where something comes twice at each of hundreds of
 * levels, the work is the size times the depth: this is far more than any encoder causes, and some milliseconds.
 */
const mergedBytesMax = 16 * 1024 * 1024;

/** Stretches of bytes: start, end, start, end, … */
type Stretches = number[];

/**
 * Rewrites a message in which a singular message field occurs twice, so that it occurs once with the concatenation of
 * its occurrences, which by definition means the same. No encoder writes such bytes: this is the slow and rare way,
 * linear in the size of the message.
 */
export function mergeRepeated(bytes: Uint8Array, start: number, end: number, rules: readonly MergeRule[]): Uint8Array {
  canonical = false;
  const kept: Stretches = [];
  const merged = new Map<MergeRule, Stretches>();
  let pos = start;
  while (pos < end) {
    const fieldStart = pos;
    const tag = readTag(bytes, pos, end);
    const payloadStart = cursor;
    pos = skipField(bytes, tag, payloadStart, end);
    const rule = rules.find(([number]) => number === tag >>> 3);
    if (rule === undefined || (tag & 7) !== 2) {
      kept.push(fieldStart, pos);
      continue;
    }
    forgetRivals(merged, rule);
    readLength(bytes, payloadStart, end);
    const partStart = cursor;
    checkFields(bytes, partStart, pos);
    const parts = merged.get(rule);
    if (parts === undefined) merged.set(rule, [partStart, pos]);
    else parts.push(partStart, pos);
  }
  mergedBytes += end - start;
  if (mergedBytes > mergedBytesMax) fail("tooDeep", start);
  return writeMerged(bytes, kept, merged);
}

/** Each occurrence must be whole by itself: one that is cut would be made good by the next. */
function checkFields(bytes: Uint8Array, start: number, end: number): void {
  for (let pos = start; pos < end; ) {
    const tag = readTag(bytes, pos, end);
    pos = skipField(bytes, tag, cursor, end);
  }
}

/** The last member of a oneof wins: what others held before is gone. */
function forgetRivals(merged: Map<MergeRule, Stretches>, [number, oneof]: MergeRule): void {
  if (oneof === 0) return;
  for (const other of merged.keys()) if (other[1] === oneof && other[0] !== number) merged.delete(other);
}

function writeMerged(bytes: Uint8Array, kept: Stretches, merged: ReadonlyMap<MergeRule, Stretches>): Uint8Array {
  const tagSizeMax = 10;
  const size = [kept, ...merged.values()].reduce((sum, parts) => sum + totalLength(parts) + tagSizeMax, 0);
  const target = new Uint8Array(size);
  let at = copyStretches(bytes, kept, target, 0);
  for (const [[number], parts] of merged) {
    at = writeVarint32(target, writeVarint32(target, at, number * 8 + 2), totalLength(parts));
    at = copyStretches(bytes, parts, target, at);
  }
  return target.subarray(0, at);
}

function totalLength(stretches: Stretches): number {
  let length = 0;
  for (let i = 0; i < stretches.length; i += 2) length += (stretches[i + 1] as number) - (stretches[i] as number);
  return length;
}

function copyStretches(bytes: Uint8Array, stretches: Stretches, target: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < stretches.length; i += 2) {
    for (let from = stretches[i] as number; from < (stretches[i + 1] as number); from++)
      target[at++] = bytes[from] as number;
  }
  return at;
}
