/**
 * Keys of the `key` table, etcd's: main and sub revision, 8 bytes big-endian each, with `_` between, and `t` behind if
 * the row is a tombstone.
 */

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

/** Eight bytes, big-endian. */
export function writeUint64(target: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  target[offset] = high >>> 24;
  target[offset + 1] = high >>> 16;
  target[offset + 2] = high >>> 8;
  target[offset + 3] = high;
  target[offset + 4] = low >>> 24;
  target[offset + 5] = low >>> 16;
  target[offset + 6] = low >>> 8;
  target[offset + 7] = low;
}

/** Eight bytes, big-endian; at most 2^53 − 1. */
export function readUint64(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset) * 0x1_0000_0000 + readUint32(bytes, offset + 4);
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] ?? 0) << 24) |
      ((bytes[offset + 1] ?? 0) << 16) |
      ((bytes[offset + 2] ?? 0) << 8) |
      (bytes[offset + 3] ?? 0)) >>>
    0
  );
}
