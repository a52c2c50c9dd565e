/**
 * Judges the place where a log can no longer be read: is it the end, a write that a crash tore, or damage?
 *
 * etcd takes a damaged length field, or a zero sector in the last record, for the torn end and cuts there, even if
 * acknowledged records follow. We cut only what cannot have been acknowledged. What makes that decidable: each batch
 * that follows a sync begins with a checksum record, so such a record can be on disk only if everything before it was
 * synced before it was written. Readers of etcd skip it.
 *
 * 1. Nothing but zeros follows: the end.
 * 2. The first record that cannot be read looks torn: it lies in, or reaches into, a sector that is all zero, or it
 *    goes beyond the end of the file. Its batch was not synced, unless
 *    a. the record is whole and only its length field is wrong, or
 *    b. a later batch follows: then the record was synced, and may have been acknowledged;
 *    the same where batches are not marked (the log was written by etcd) and any chain of records follows.
 * 3. Anything else is damage, as no crash leaves bytes that were never written.
 */

import type { Digest } from "../env.js";
import {
  alignFrame,
  frameAlignment,
  isZeroFrame,
  parseRecord,
  RecordType,
  readFrame,
  sectorSizeBytes,
} from "./record.js";

export interface TailQuestion {
  /** The rest of the segment, from the record that could not be read. */
  readonly bytes: Uint8Array;
  /** Where `bytes` begins in the file. */
  readonly offset: number;
  /** The running checksum before that record. */
  readonly crc: number;
  /** Whether the log's batches begin with checksum records. */
  readonly marked: boolean;
}

export type TailVerdict =
  | { readonly kind: "end" }
  | { readonly kind: "torn" }
  | { readonly kind: "corrupt"; readonly reason: string };

export function judgeTail(question: TailQuestion, digest: Digest): TailVerdict {
  const { bytes, offset, crc, marked } = question;
  if (isZero(bytes, 0, bytes.length)) return { kind: "end" };
  const tornEnd = endOfTornRecord(bytes, offset);
  if (tornEnd === undefined) return { kind: "corrupt", reason: "damaged record" };
  if (hasWrongLength(bytes, offset, crc, digest)) return { kind: "corrupt", reason: "damaged length field" };
  if (hasChainBehind(bytes, tornEnd, marked, digest)) {
    return { kind: "corrupt", reason: "damaged record before records that were written after it was synced" };
  }
  return { kind: "torn" };
}

/**
 * Where to look for later records if the first one of `bytes` is torn; undefined when no lost sector explains it.
 * A record beyond the end of the file tells nothing about its own length, so that everything is looked at.
 */
function endOfTornRecord(bytes: Uint8Array, offset: number): number | undefined {
  if (bytes.length < frameAlignment) return bytes.length;
  if (isZero(bytes, 0, frameAlignment)) {
    return isZero(bytes, 0, Math.min(sectorEnd(offset, 0), bytes.length)) ? frameAlignment : undefined;
  }
  const size = readFrame(bytes, 0);
  if (size === undefined) return undefined;
  const end = alignFrame(frameAlignment + size);
  if (end > bytes.length) return frameAlignment;
  for (let lo = frameAlignment; lo < end; ) {
    const hi = Math.min(sectorEnd(offset, lo), end);
    if (isZero(bytes, lo, hi)) return end;
    lo = hi;
  }
  return undefined;
}

/** End of the sector that holds `at`, relative to `bytes` as `at` is. */
function sectorEnd(offset: number, at: number): number {
  return (Math.floor((offset + at) / sectorSizeBytes) + 1) * sectorSizeBytes - offset;
}

/**
 * Whether the record is there and whole, but for its length field. (If that is right, only padding was cut off.) A
 * field of zeros that fills its sector is what remains if that sector was lost and the next one was not; elsewhere, if
 * one flipped bit explains it just as well, it is taken for damage.
 */
function hasWrongLength(bytes: Uint8Array, offset: number, crc: number, digest: Digest): boolean {
  const record = parseRecord(bytes, frameAlignment, bytes.length);
  if (record === undefined) return false;
  const size = record.end - frameAlignment;
  if (readFrame(bytes, 0) === size) return false;
  const isOneFlipFromZero = alignFrame(size) === size && isPowerOfTwo(size);
  if (isZeroFrame(bytes, 0) && (sectorEnd(offset, 0) === frameAlignment || !isOneFlipFromZero)) return false;
  return record.crc === (record.data === undefined ? crc : digest.crc32c(crc, record.data));
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

/**
 * Whether two records that follow each other begin at or behind `from`. Their frames are not looked at. With
 * `onlyMarks` the first must be a checksum record.
 */
function hasChainBehind(bytes: Uint8Array, from: number, onlyMarks: boolean, digest: Digest): boolean {
  for (let at = from; at + frameAlignment < bytes.length; at += frameAlignment) {
    if (bytes[at + frameAlignment] !== 0x08) continue;
    const first = parseRecord(bytes, at + frameAlignment, bytes.length);
    if (first === undefined || (onlyMarks && first.type !== RecordType.checksum)) continue;
    const second = parseRecord(bytes, alignFrame(first.end) + frameAlignment, bytes.length);
    if (second?.data !== undefined && digest.crc32c(first.crc, second.data) === second.crc) return true;
  }
  return false;
}

/** Whether [lo, hi) is all zero. */
export function isZero(bytes: Uint8Array, lo: number, hi: number): boolean {
  let at = lo;
  // What lies ahead in a segment are megabytes, which each start reads.
  for (; at < hi && (bytes.byteOffset + at) % wordBytes !== 0; at++) if (bytes[at] !== 0) return false;
  if (at >= hi) return true;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, Math.floor((hi - at) / wordBytes));
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  for (at += words.length * wordBytes; at < hi; at++) if (bytes[at] !== 0) return false;
  return true;
}

const wordBytes = Uint32Array.BYTES_PER_ELEMENT;
