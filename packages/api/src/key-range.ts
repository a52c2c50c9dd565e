/**
 * Key ranges as etcd's requests say them, and as everything behind the border has them: half open, [lo, hi).
 *
 * | range_end on the wire | meaning |
 * |---|---|
 * | absent or empty | the one key |
 * | one zero byte | every key from `key` on |
 * | anything else | keys below it; none when it is not above `key` |
 *
 * Source: etcdserverpb.RangeRequest in proto/etcdserverpb/rpc.proto.
 */

import { compareBytes } from "./bytes.js";

/** Keys k with lo ≤ k < hi. `hi` undefined: no upper bound. */
export interface KeyRange {
  readonly lo: Uint8Array;
  readonly hi: Uint8Array | undefined;
}

/** As KeyRange, with keys as latin1 strings. */
export interface Latin1Range {
  readonly lo: string;
  readonly hi: string | undefined;
}

/** The whole key space: `key` and `range_end` are one zero byte each. */
export const zeroByte: Uint8Array = Uint8Array.of(0);

/** True when a range_end names a single key. */
export function isSingleKey(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 0;
}

/** True when a range_end means every key from `key` on. */
export function isFromKey(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

/** The range of `key` and `range_end`. Shares the bytes of both, except for a single key. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  if (isSingleKey(rangeEnd)) return { lo: key, hi: nextKey(key) };
  return { lo: key, hi: isFromKey(rangeEnd) ? undefined : rangeEnd };
}

/** The same of latin1 strings. */
export function latin1Range(key: string, rangeEnd: string): Latin1Range {
  if (rangeEnd === "") return { lo: key, hi: `${key}\0` };
  return { lo: key, hi: rangeEnd === "\0" ? undefined : rangeEnd };
}

/** True when no key can lie in the range. */
export function isEmptyRange({ lo, hi }: KeyRange): boolean {
  return hi !== undefined && compareBytes(lo, hi) >= 0;
}

export function rangeContains({ lo, hi }: KeyRange, key: Uint8Array): boolean {
  return compareBytes(lo, key) <= 0 && (hi === undefined || compareBytes(key, hi) < 0);
}

/** The smallest key above `key`: with a zero byte appended. */
export function nextKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/**
 * The range_end for all keys that start with `prefix`: the smallest key above all of them, or the one zero byte of
 * "no upper bound" when there is none (an empty prefix, or all bytes 0xff).
 * Source: clientv3 GetPrefixRangeEnd.
 */
export function prefixRangeEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] as number;
    if (byte === 0xff) continue;
    const end = prefix.slice(0, i + 1);
    end[i] = byte + 1;
    return end;
  }
  return zeroByte;
}
