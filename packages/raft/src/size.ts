/** Sizes of log entries, as the limits of `Config` count them. */

import type { Entry } from "./types.js";

/** Bytes of a protobuf varint. */
export function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  for (; rest >= 0x8000_0000; rest = Math.floor(rest / 0x80)) size++;
  for (; rest >= 0x80; rest >>>= 7) size++;
  return size;
}

/**
 * Bytes of the protobuf encoding of `entry`: term and index always, type only when it is not normal, data only when it
 * is not undefined. Source: raftpb Entry, as etcd 3.7 writes it.
 */
export function entrySize(entry: Entry): number {
  let size = 2 + varintSize(entry.term) + varintSize(entry.index);
  if (entry.type !== 0) size += 2;
  if (entry.data !== undefined) size += 1 + varintSize(entry.data.length) + entry.data.length;
  return size;
}

/** Sum of `entrySize`. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += entrySize(entry);
  return size;
}

/** Bytes of data, without the encoding's overhead. */
export function payloadSize(entry: Entry): number {
  return entry.data === undefined ? 0 : entry.data.length;
}

/** Sum of `payloadSize`. */
export function payloadsSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += payloadSize(entry);
  return size;
}

/** How many entries from the front fit into `maxSize` encoded bytes; at least one if there is any. */
export function countWithinSize(entries: readonly Entry[], maxSize: number): number {
  let size = 0;
  for (let count = 0; count < entries.length; count++) {
    size += entrySize(entries[count] as Entry);
    if (size > maxSize && count > 0) return count;
  }
  return entries.length;
}
