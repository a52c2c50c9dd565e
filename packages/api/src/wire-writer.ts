/**
 * The protobuf wire format, writing side: what generated encoders are made of.
 *
 * Each `write…` writes at an offset and returns the offset after what it wrote; `size…` says beforehand how many bytes
 * that is. Encoders write into an array the caller owns, typically a connection's or the log's output buffer.
 */

import { assert } from "./assert.js";
import { sizeUtf8, writeUtf8 } from "./utf8.js";

const scratch = new DataView(new ArrayBuffer(8));
const two32 = 0x1_0000_0000;

/** Below this a copying loop beats the call of `TypedArray.prototype.set`. */
const copyLoopMax = 24;

/** Checks once at the end of an encoder that the array was large enough: writes beyond it are silently lost. */
export function checkFits(target: Uint8Array, end: number): void {
  assert(end <= target.length, "the target has room for the message");
}

/** An unsigned value below 2^32: lengths, uint32. */
export function writeVarint32(target: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

export function sizeVarint32(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Any 64-bit or 32-bit integer field that is held in a number, |value| ≤ 2^53; negative ones take ten bytes. */
export function writeNumber(target: Uint8Array, offset: number, value: number): number {
  if (value >= 0 && value < two32) return writeVarint32(target, offset, value);
  return writeHalves(target, offset, value >>> 0, Math.floor(value / two32) >>> 0);
}

export function sizeNumber(value: number): number {
  if (value < 0) return 10;
  if (value < two32) return sizeVarint32(value);
  if (value < 2 ** 35) return 5;
  if (value < 2 ** 42) return 6;
  return value < 2 ** 49 ? 7 : 8;
}

/** int64 and uint64 fields held in a bigint. */
export function writeBigInt(target: Uint8Array, offset: number, value: bigint): number {
  scratch.setBigUint64(0, value, true);
  return writeHalves(target, offset, scratch.getUint32(0, true), scratch.getUint32(4, true));
}

export function sizeBigInt(value: bigint): number {
  scratch.setBigUint64(0, value, true);
  const high = scratch.getUint32(4, true);
  if (high === 0) return sizeVarint32(scratch.getUint32(0, true));
  if (high < 1 << 3) return 5;
  if (high < 1 << 10) return 6;
  if (high < 1 << 17) return 7;
  if (high < 1 << 24) return 8;
  return high < 2 ** 31 ? 9 : 10;
}

function writeHalves(target: Uint8Array, offset: number, low: number, high: number): number {
  if (high === 0) return writeVarint32(target, offset, low);
  target[offset] = (low & 0x7f) | 0x80;
  target[offset + 1] = ((low >>> 7) & 0x7f) | 0x80;
  target[offset + 2] = ((low >>> 14) & 0x7f) | 0x80;
  target[offset + 3] = ((low >>> 21) & 0x7f) | 0x80;
  const fifth = (low >>> 28) | ((high & 7) << 4);
  const rest = high >>> 3;
  if (rest === 0) {
    target[offset + 4] = fifth;
    return offset + 5;
  }
  target[offset + 4] = fifth | 0x80;
  return writeVarint32(target, offset + 5, rest);
}

/** A byte field without its tag: length and bytes. */
export function writeBytes(target: Uint8Array, offset: number, bytes: Uint8Array): number {
  const length = bytes.length;
  const at = writeVarint32(target, offset, length);
  if (length <= copyLoopMax) for (let i = 0; i < length; i++) target[at + i] = bytes[i] as number;
  else target.set(bytes, at);
  return at + length;
}

/** What `writeBytes` takes for a field of this length, and messages of this size. */
export function sizeLengthPrefixed(length: number): number {
  return sizeVarint32(length) + length;
}

export function writeString(target: Uint8Array, offset: number, text: string): number {
  const size = sizeUtf8(text);
  return writeUtf8(target, writeVarint32(target, offset, size), text);
}

export function sizeString(text: string): number {
  return sizeLengthPrefixed(sizeUtf8(text));
}

/**
 * Sets the length of a message written behind one byte left free at `offset`, moving the message when its length takes
 * more. For types that contain themselves: sizing them first at every level would cost the square of the depth.
 */
export function closeLength(target: Uint8Array, offset: number, end: number): number {
  const length = end - offset - 1;
  const extra = sizeVarint32(length) - 1;
  if (extra !== 0) {
    checkFits(target, end + extra);
    target.copyWithin(offset + 1 + extra, offset + 1, end);
  }
  writeVarint32(target, offset, length);
  return end + extra;
}
