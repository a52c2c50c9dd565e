/**
 * The protobuf encoding of configuration changes, the only entry data that Raft itself reads. Kept here so that this
 * package depends on nothing. Source: raftpb ConfChange, ConfChangeSingle, ConfChangeV2.
 */

import {
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV2,
  isConfChangeV2,
} from "./conf-change.js";
import { type Entry, EntryType } from "./types.js";

/** Encodes a change of one node; fields that are 0 or undefined are left out. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const bytes: number[] = [];
  putVarintField(bytes, 1, change.id);
  putVarintField(bytes, 2, BigInt(change.type));
  putVarintField(bytes, 3, change.nodeId);
  if (change.context !== undefined) putBytesField(bytes, 4, change.context);
  return Uint8Array.from(bytes);
}

/** Encodes a change of any number of nodes; fields that are 0 or undefined are left out. */
export function encodeConfChangeV2(change: ConfChangeV2): Uint8Array {
  const bytes: number[] = [];
  putVarintField(bytes, 1, BigInt(change.transition));
  for (const single of change.changes) {
    const inner: number[] = [];
    putVarintField(inner, 1, BigInt(single.type));
    putVarintField(inner, 2, single.nodeId);
    putBytesField(bytes, 2, inner);
  }
  if (change.context !== undefined) putBytesField(bytes, 3, change.context);
  return Uint8Array.from(bytes);
}

/** Decodes what `encodeConfChange` wrote; undefined data is an empty change. Returns undefined when malformed. */
export function decodeConfChange(data: Uint8Array | undefined): ConfChange | undefined {
  let id = 0n;
  let type: ConfChangeType = 0;
  let nodeId = 0n;
  let context: Uint8Array | undefined;
  const valid = readFields(data, (field, value) => {
    if (field === 1 && typeof value === "bigint") id = value;
    else if (field === 2 && typeof value === "bigint") type = Number(value) as ConfChangeType;
    else if (field === 3 && typeof value === "bigint") nodeId = value;
    else if (field === 4 && typeof value === "object") context = value;
  });
  return valid && type <= 3 ? { id, type, nodeId, context } : undefined;
}

/** Decodes what `encodeConfChangeV2` wrote; undefined data is an empty change. Returns undefined when malformed. */
export function decodeConfChangeV2(data: Uint8Array | undefined): ConfChangeV2 | undefined {
  let transition: ConfChangeTransition = 0;
  const changes: (ConfChangeSingle | undefined)[] = [];
  let context: Uint8Array | undefined;
  const valid = readFields(data, (field, value) => {
    if (field === 1 && typeof value === "bigint") transition = Number(value) as ConfChangeTransition;
    else if (field === 2 && typeof value === "object") changes.push(decodeSingle(value));
    else if (field === 3 && typeof value === "object") context = value;
  });
  if (!valid || transition > 2) return undefined;
  const known = changes.filter((change) => change !== undefined);
  return known.length === changes.length ? { transition, changes: known, context } : undefined;
}

function decodeSingle(data: Uint8Array): ConfChangeSingle | undefined {
  let type: ConfChangeType = 0;
  let nodeId = 0n;
  const valid = readFields(data, (field, value) => {
    if (field === 1 && typeof value === "bigint") type = Number(value) as ConfChangeType;
    else if (field === 2 && typeof value === "bigint") nodeId = value;
  });
  return valid && type <= 3 ? { type, nodeId } : undefined;
}

/** The entry type and data that carry `change` in the log. */
export function confChangeEntry(change: ConfChange | ConfChangeV2): Pick<Entry, "type" | "data"> {
  return isConfChangeV2(change)
    ? { type: EntryType.confChangeV2, data: encodeConfChangeV2(change) }
    : { type: EntryType.confChange, data: encodeConfChange(change) };
}

/** The change that a configuration entry carries; undefined for other entries and malformed data. */
export function entryConfChange(entry: Entry): ConfChange | ConfChangeV2 | undefined {
  if (entry.type === EntryType.confChange) return decodeConfChange(entry.data);
  if (entry.type === EntryType.confChangeV2) return decodeConfChangeV2(entry.data);
  return undefined;
}

function putVarint(bytes: number[], value: bigint): void {
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
}

function putVarintField(bytes: number[], field: number, value: bigint): void {
  if (value === 0n) return;
  bytes.push(field << 3);
  putVarint(bytes, value);
}

function putBytesField(bytes: number[], field: number, value: ArrayLike<number>): void {
  bytes.push((field << 3) | 2);
  putVarint(bytes, BigInt(value.length));
  for (let i = 0; i < value.length; i++) bytes.push(value[i] as number);
}

/**
 * Hands every field of an encoded message to `take`: varints as numbers of 64 bits, length-delimited fields as views.
 * Fields of fixed size are skipped. Returns whether the message is well formed.
 */
function readFields(
  data: Uint8Array | undefined,
  take: (field: number, value: bigint | Uint8Array | undefined) => void,
): boolean {
  if (data === undefined) return true;
  let position = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[position++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value <= 0xffff_ffff_ffff_ffffn ? value : undefined;
    }
    return undefined;
  };
  while (position < data.length) {
    const tag = varint();
    if (tag === undefined || tag > 0xffff_ffffn) return false;
    const field = Number(tag >> 3n);
    if (field === 0) return false;
    let value: bigint | Uint8Array | undefined;
    switch (Number(tag & 7n)) {
      case 0:
        value = varint();
        if (value === undefined) return false;
        break;
      case 1:
        position += 8;
        break;
      case 2: {
        const length = varint();
        if (length === undefined || length > BigInt(data.length - position)) return false;
        value = data.subarray(position, position + Number(length));
        position += Number(length);
        break;
      }
      case 5:
        position += 4;
        break;
      default:
        return false;
    }
    if (position > data.length) return false;
    take(field, value);
  }
  return true;
}
