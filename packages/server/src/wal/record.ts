/**
 * The framing of a write-ahead log: etcd's, byte for byte.
 *
 *     8 bytes LE  length field: payload size in the low 56 bits; if padded, top byte 0x80 | padding
 *     payload     walpb.Record { 1 type, 2 crc, 3 data }, fields in order, minimal varints
 *     padding     zeros up to a multiple of 8
 *
 * A length field of 0 is the end of the log: preallocated files are zeros. A record's crc continues the crc of the one
 * before over its `data` alone; neither type nor framing is covered, so a reader has to be strict about both. Source:
 * etcd server/storage/wal/{encoder,decoder}.go.
 */

export const RecordType = { metadata: 1, entry: 2, state: 3, checksum: 4, snapshot: 5 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Bytes of the length field; every record starts at a multiple of it. */
export const frameAlignment = 8;

/** Disks write whole sectors: what a power cut loses of a write is lost in units of these. */
export const sectorSizeBytes = 512;

/** A record that was found in a segment. `data` is a view of the bytes that were parsed. */
export interface ParsedRecord {
  readonly type: RecordType;
  readonly crc: number;
  readonly data: Uint8Array | undefined;
  /** Where the payload ends, without padding. */
  readonly end: number;
}

/** `offset` rounded up to where the next record may start. */
export function alignFrame(offset: number): number {
  return Math.ceil(offset / frameAlignment) * frameAlignment;
}

/** Bytes of a varint. `value` is an integer below 2^53. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes a varint and returns the offset behind it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x8000_0000) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Writes the length field of a payload and the zeros behind the payload; returns where the next record starts. */
export function writeFrame(target: Uint8Array, offset: number, payloadSize: number): number {
  let rest = payloadSize;
  for (let i = 0; i < frameAlignment - 1; i++) {
    target[offset + i] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  const end = offset + frameAlignment + payloadSize;
  const next = alignFrame(end);
  target[offset + frameAlignment - 1] = next === end ? 0 : 0x80 | (next - end);
  target.fill(0, end, next);
  return next;
}

/** Whether the length field at `offset` is the end of the log. */
export function isZeroFrame(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < frameAlignment; i++) if (bytes[offset + i] !== 0) return false;
  return true;
}

/**
 * The payload size a length field announces; undefined when no writer writes such a field: a padding that does not fit
 * the size, or bits that are never set.
 */
export function readFrame(bytes: Uint8Array, offset: number): number | undefined {
  let size = 0;
  for (let i = frameAlignment - 2; i >= 0; i--) size = size * 256 + (bytes[offset + i] ?? 0);
  if (size > Number.MAX_SAFE_INTEGER) return undefined;
  const padding = alignFrame(size) - size;
  const top = bytes[offset + frameAlignment - 1];
  return top === (padding === 0 ? 0 : 0x80 | padding) ? size : undefined;
}

/**
 * Parses the payload at `offset`, which tells its own length, without a look at its frame; undefined when there is none
 * that ends at or before `limit`.
 */
export function parseRecord(bytes: Uint8Array, offset: number, limit: number): ParsedRecord | undefined {
  if (offset + 4 > limit || bytes[offset] !== 0x08 || bytes[offset + 2] !== 0x10) return undefined;
  const type = bytes[offset + 1];
  if (!isRecordType(type)) return undefined;
  const crc = readVarint32(bytes, offset + 3, limit);
  if (crc === undefined) return undefined;
  if (type === RecordType.checksum) return { type, crc: crc.value, data: undefined, end: crc.end };
  if (crc.end >= limit || bytes[crc.end] !== 0x1a) return undefined;
  const length = readVarint32(bytes, crc.end + 1, limit);
  if (length === undefined || length.end + length.value > limit) return undefined;
  const end = length.end + length.value;
  return { type, crc: crc.value, data: bytes.subarray(length.end, end), end };
}

function isRecordType(type: number | undefined): type is RecordType {
  return type !== undefined && type >= RecordType.metadata && type <= RecordType.snapshot;
}

/** A minimal varint below 2^32. */
function readVarint32(
  bytes: Uint8Array,
  offset: number,
  limit: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let at = offset; at < limit && at < offset + 5; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) {
      const isMinimal = byte !== 0 || at === offset;
      return isMinimal && value <= 0xffff_ffff ? { value, end: at + 1 } : undefined;
    }
  }
  return undefined;
}
