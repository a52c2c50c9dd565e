/**
 * Keys of the `key` table, etcd's: main and sub revision, 8 bytes big-endian each, with `_` between, and `t` behind if
 * the row is a tombstone.
 */

import { readUint64, writeUint64 } from "../uint64.js";

export const revisionKeyBytes = 17;
export const tombstoneKeyBytes = 18;

const underscore = 0x5f;
const letterT = 0x74;

/** Writes the key into `target`, which has 18 bytes; returns its length. */
export function writeRevisionKey(target: Uint8Array, main: number, sub: number, tombstone: boolean): number {
  writeUint64(target, 0, main);
  target[8] = underscore;
  writeUint64(target, 9, sub);
  if (!tombstone) return revisionKeyBytes;
  target[17] = letterT;
  return tombstoneKeyBytes;
}

export function readMain(key: Uint8Array): number {
  return readUint64(key, 0);
}

export function readSub(key: Uint8Array): number {
  return readUint64(key, 9);
}

export function isTombstoneKey(key: Uint8Array): boolean {
  return key.length === tombstoneKeyBytes && key[17] === letterT;
}
