/**
 * The byte form of a revision: main as uint64 big endian, `_`, sub as uint64 big endian; on a tombstone's row also `t`.
 * It is the row key of the bucket `key`, the value of two rows of `meta`, and what hashes are computed over.
 * Source: server/storage/mvcc/revision.go.
 */

import { assert } from "../assert.js";

export const revisionKeySize = 17;
export const tombstoneKeySize = 18;

const separator = 0x5f;
const tombstoneMark = 0x74;

export interface RevisionKey {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
}

/** Writes the 17 or 18 bytes at offset 0 of `target`, which has room for 18; returns how many. */
export function writeRevisionKey(target: Uint8Array, main: number, sub: number, tombstone: boolean): number {
  writeUint64(target, 0, main);
  target[8] = separator;
  writeUint64(target, 9, sub);
  if (!tombstone) return revisionKeySize;
  target[17] = tombstoneMark;
  return tombstoneKeySize;
}

export function encodeRevisionKey(main: number, sub: number, tombstone = false): Uint8Array {
  const bytes = new Uint8Array(tombstone ? tombstoneKeySize : revisionKeySize);
  writeRevisionKey(bytes, main, sub, tombstone);
  return bytes;
}

/** Throws unless `bytes` is a revision; an 18th byte other than `t` is ignored, as etcd does. */
export function decodeRevisionKey(bytes: Uint8Array): RevisionKey {
  assert(bytes.length === revisionKeySize || bytes.length === tombstoneKeySize, "a revision has 17 or 18 bytes");
  assert(bytes[8] === separator, "a revision has its separator");
  return { main: readUint64(bytes, 0), sub: readUint64(bytes, 9), tombstone: bytes[17] === tombstoneMark };
}

function writeUint64(target: Uint8Array, offset: number, value: number): void {
  let high = Math.floor(value / 0x1_0000_0000);
  let low = value >>> 0;
  for (let at = 3; at >= 0; at--) {
    target[offset + at] = high & 0xff;
    target[offset + at + 4] = low & 0xff;
    high >>>= 8;
    low >>>= 8;
  }
}

function readUint64(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let at = 0; at < 8; at++) value = value * 0x100 + (bytes[offset + at] as number);
  assert(Number.isSafeInteger(value), "a stored revision fits 53 bits");
  return value;
}
