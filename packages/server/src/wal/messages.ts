/**
 * The data of log records: entries, hard states and snapshot marks, as etcd 3.7 writes them. Readers are strict where
 * the checksum does not help: the type of a record is not covered by it, so each decoder accepts only what a writer of
 * that type can have written. Entries of ≤ 3.6, which always carry a type, are accepted. Source: spec of the log's
 * records in etcd server/storage/wal and raftpb.
 */

import type { ConfState, Entry, EntryType, HardState } from "@etcd-ts/raft";
import { varintSize, writeVarint } from "./record.js";

/** "The state machine at `index`, `term` is in the backend": where a log may be opened. Index 0 is the empty one. */
export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
  /** Required when index > 0; missing in logs of 3.4 and older. */
  readonly confState: ConfState | undefined;
}

const maxUint64 = 0xffff_ffff_ffff_ffffn;

export function sizeEntry(entry: Entry): number {
  let size = 2 + varintSize(entry.term) + varintSize(entry.index);
  if (entry.type !== 0) size += 2;
  if (entry.data !== undefined) size += 1 + varintSize(entry.data.length) + entry.data.length;
  return size;
}

/** Writes the entry and returns the offset behind it. */
export function writeEntry(target: Uint8Array, offset: number, entry: Entry): number {
  let at = offset;
  if (entry.type !== 0) {
    target[at++] = 0x08;
    target[at++] = entry.type;
  }
  target[at++] = 0x10;
  at = writeVarint(target, at, entry.term);
  target[at++] = 0x18;
  at = writeVarint(target, at, entry.index);
  if (entry.data !== undefined) {
    target[at++] = 0x22;
    at = writeVarint(target, at, entry.data.length);
    target.set(entry.data, at);
    at += entry.data.length;
  }
  return at;
}

/** `data` of the result is a view of `bytes`. Undefined when `bytes` is no entry. */
export function readEntry(bytes: Uint8Array): Entry | undefined {
  const fields = new FieldReader(bytes);
  const type = fields.number(1) ?? 0;
  const term = fields.number(2);
  const index = fields.number(3);
  const data = fields.bytes(4);
  if (!fields.isAtEnd || term === undefined || index === undefined || !isEntryType(type)) return undefined;
  if (term === 0 || index === 0) return undefined;
  // A ConfChange is never empty; a ConfChangeV2 that leaves a joint configuration is.
  if (type === 1 && data === undefined) return undefined;
  return { type, term, index, data };
}

function isEntryType(value: number): value is EntryType {
  return value <= 2;
}

export function encodeHardState(state: HardState): Uint8Array {
  const writer = new FieldWriter();
  writer.number(1, state.term);
  writer.bigint(2, state.vote);
  writer.number(3, state.commit);
  return writer.finish();
}

export function decodeHardState(bytes: Uint8Array): HardState | undefined {
  const fields = new FieldReader(bytes);
  const term = fields.number(1);
  const vote = fields.bigint(2);
  const commit = fields.number(3);
  if (!fields.isAtEnd || term === undefined || vote === undefined || commit === undefined) return undefined;
  return { term, vote, commit };
}

export function encodeSnapshotMark(mark: SnapshotMark): Uint8Array {
  const writer = new FieldWriter();
  writer.number(1, mark.index);
  writer.number(2, mark.term);
  if (mark.confState !== undefined) writer.bytes(3, encodeConfState(mark.confState));
  return writer.finish();
}

export function decodeSnapshotMark(bytes: Uint8Array): SnapshotMark | undefined {
  const fields = new FieldReader(bytes);
  const index = fields.number(1);
  const term = fields.number(2);
  const state = fields.bytes(3);
  if (!fields.isAtEnd || index === undefined || term === undefined) return undefined;
  if (state === undefined) return { index, term, confState: undefined };
  const confState = decodeConfState(state);
  return confState === undefined ? undefined : { index, term, confState };
}

function encodeConfState(state: ConfState): Uint8Array {
  const writer = new FieldWriter();
  for (const id of state.voters) writer.bigint(1, id);
  for (const id of state.learners) writer.bigint(2, id);
  for (const id of state.votersOutgoing) writer.bigint(3, id);
  for (const id of state.learnersNext) writer.bigint(4, id);
  writer.number(5, state.autoLeave ? 1 : 0);
  return writer.finish();
}

function decodeConfState(bytes: Uint8Array): ConfState | undefined {
  const fields = new FieldReader(bytes);
  const voters = fields.bigints(1);
  const learners = fields.bigints(2);
  const votersOutgoing = fields.bigints(3);
  const learnersNext = fields.bigints(4);
  const autoLeave = (fields.number(5) ?? 0) !== 0;
  return fields.isAtEnd ? { voters, learners, votersOutgoing, learnersNext, autoLeave } : undefined;
}

/** Writes fields one after the other; for small, rare messages. */
class FieldWriter {
  readonly #bytes: number[] = [];

  number(field: number, value: number): void {
    this.bigint(field, BigInt(value));
  }

  bigint(field: number, value: bigint): void {
    this.#bytes.push(field << 3);
    this.#varint(value);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#bytes.push((field << 3) | 2);
    this.#varint(BigInt(value.length));
    for (const byte of value) this.#bytes.push(byte);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #varint(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes.push(Number(rest & 0x7fn) | 0x80);
    this.#bytes.push(Number(rest));
  }
}

/**
 * Reads fields in ascending order, each at most once, and nothing else: whatever is unexpected stays unread, so that
 * `isAtEnd` is false. Numbers above 2^53 − 1 stay unread too.
 */
class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#ok && this.#at === this.#bytes.length;
  }

  number(field: number): number | undefined {
    if (!this.#tag(field, 0)) return undefined;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) this.#ok = false;
        return value;
      }
    }
    this.#ok = false;
    return undefined;
  }

  bigint(field: number): bigint | undefined {
    return this.#tag(field, 0) ? this.#varint() : undefined;
  }

  /** A repeated integer, packed or not. */
  bigints(field: number): readonly bigint[] {
    const values: bigint[] = [];
    for (;;) {
      if (this.#tag(field, 0)) values.push(this.#varint());
      else if (this.#tag(field, 2)) {
        const end = Number(this.#varint()) + this.#at;
        while (this.#ok && this.#at < end) values.push(this.#varint());
        if (this.#at !== end) this.#ok = false;
      } else return values;
      if (!this.#ok) return values;
    }
  }

  bytes(field: number): Uint8Array | undefined {
    if (!this.#tag(field, 2)) return undefined;
    const length = Number(this.#varint());
    const start = this.#at;
    if (length > this.#bytes.length - start) this.#ok = false;
    this.#at = Math.min(start + length, this.#bytes.length);
    return this.#bytes.subarray(start, this.#at);
  }

  #tag(field: number, wireType: number): boolean {
    if (!this.#ok || this.#bytes[this.#at] !== ((field << 3) | wireType)) return false;
    this.#at++;
    return true;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) this.#ok = false;
    return byte ?? 0;
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > maxUint64) this.#ok = false;
        return value;
      }
    }
    this.#ok = false;
    return 0n;
  }
}
