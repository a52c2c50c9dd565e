/**
 * The data of log records: entries, hard states and snapshot marks. They are written as etcd 3.7 does. The type of a
 * record is not covered by its checksum, so the readers accept only what a writer of that type can have written: every
 * field that is always written, none that is unknown. Entries of ≤ 3.6, which carry their type even if it is 0, are
 * accepted.
 */

import { isDecodeError, messageBytes } from "@etcd-ts/api";
import { decodeEntry, decodeHardState, encodeHardState, sizeEntry, sizeHardState } from "@etcd-ts/api/raftpb";
import { decodeSnapshot, encodeSnapshot, sizeSnapshot } from "@etcd-ts/api/walpb";
import type { ConfState, Entry, HardState } from "@etcd-ts/raft";

/** "The state machine at `index`, `term` is in the backend": where a log may be opened. Index 0 is the empty one. */
export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
  /** Required when index > 0; missing in logs of 3.4 and older. */
  readonly confState: ConfState | undefined;
}

const typeTag = 0x08;
/** Bytes of a type field that is 0. */
const zeroTypeBytes = 2;

/** `data` of the result is a view of `bytes`. Undefined when `bytes` is no entry. */
export function readEntry(bytes: Uint8Array): Entry | undefined {
  const entry = decoded(() => decodeEntry(bytes));
  if (entry === undefined || entry.term === 0 || entry.index === 0) return undefined;
  const { type, data } = entry;
  const hasZeroType = type === 0 && bytes[0] === typeTag;
  if (bytes.length !== sizeEntry(entry) + (hasZeroType ? zeroTypeBytes : 0)) return undefined;
  // A ConfChange is never empty; a ConfChangeV2 that leaves a joint configuration is.
  if (type === 1 && data === undefined) return undefined;
  return type === 0 || type === 1 || type === 2 ? { ...entry, type } : undefined;
}

export function hardStateBytes(state: HardState): Uint8Array {
  return messageBytes({ size: sizeHardState, encode: encodeHardState }, state);
}

/** Undefined when `bytes` is no hard state. */
export function readHardState(bytes: Uint8Array): HardState | undefined {
  const state = decoded(() => decodeHardState(bytes));
  return state !== undefined && sizeHardState(state) === bytes.length ? state : undefined;
}

export function snapshotMarkBytes(mark: SnapshotMark): Uint8Array {
  return messageBytes({ size: sizeSnapshot, encode: encodeSnapshot }, mark);
}

/** Undefined when `bytes` is no mark. */
export function readSnapshotMark(bytes: Uint8Array): SnapshotMark | undefined {
  return decoded(() => decodeSnapshot(bytes));
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (isDecodeError(error)) return undefined;
    throw error;
  }
}
