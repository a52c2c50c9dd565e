/**
 * Encoding the answers of the KV service. Record chunks are copied as they were stored; nothing is decoded.
 *
 * For each message there is a size and an encode function, which the caller uses to write the message into its own
 * buffer: `encode…` writes exactly `size…` bytes at `offset` and returns the offset after them. A nested transaction's
 * sizes are computed anew for each level above it, of which there are few.
 *
 * Messages: RangeResponse {1 header, 2 kvs, 3 more, 4 count}, PutResponse {1 header, 2 prev_kv}, DeleteRangeResponse
 * {1 header, 2 deleted, 3 prev_kvs}, TxnResponse {1 header, 2 succeeded, 3 responses}, CompactionResponse {1 header},
 * ResponseOp {1 range, 2 put, 3 delete_range, 4 txn}.
 */

import { assert } from "../assert.js";
import type { OpResult, PutResult, TxnResult } from "../txn/outcome.js";
import { copyBytes } from "./copy-bytes.js";
import { type Pieces, type Splices, sizePieces, writePieces } from "./pieces.js";
import type { RangeResult } from "./range.js";
import { sizeVarint, writeVarint } from "./record.js";
import type { DeleteResult } from "./write-txn.js";

/**
 * The parts of ResponseHeader that answers share, encoded: cluster_id and member_id (fields 1 and 2), and raft_term
 * (field 4). The revision goes between them.
 */
export interface HeaderParts {
  readonly beforeRevision: Uint8Array;
  readonly afterRevision: Uint8Array;
}

const noBytes = new Uint8Array(0);
/** The header of an operation inside a transaction: only the revision. */
const innerHeader: HeaderParts = { beforeRevision: noBytes, afterRevision: noBytes };

function sizeHeader(parts: HeaderParts, revision: number): number {
  return parts.beforeRevision.length + (revision === 0 ? 0 : 1 + sizeVarint(revision)) + parts.afterRevision.length;
}

/** Bytes of field 1, the header, with its tag and length. */
function sizeHeaderField(parts: HeaderParts, revision: number): number {
  return sizeMessageField(sizeHeader(parts, revision));
}

function writeHeaderField(parts: HeaderParts, revision: number, target: Uint8Array, offset: number): number {
  target[offset] = 0x0a;
  let at = writeVarint(sizeHeader(parts, revision), target, offset + 1);
  at = copyBytes(parts.beforeRevision, 0, parts.beforeRevision.length, target, at);
  if (revision !== 0) {
    target[at] = 0x18;
    at = writeVarint(revision, target, at + 1);
  }
  return copyBytes(parts.afterRevision, 0, parts.afterRevision.length, target, at);
}

function sizeMessageField(length: number): number {
  return 1 + sizeVarint(length) + length;
}

function sizeNumberField(value: number): number {
  return value === 0 ? 0 : 1 + sizeVarint(value);
}

function writeNumberField(tag: number, value: number, target: Uint8Array, offset: number): number {
  if (value === 0) return offset;
  target[offset] = tag;
  return writeVarint(value, target, offset + 1);
}

function placePieces(pieces: Pieces, target: Uint8Array, offset: number, splices: Splices | undefined): number {
  if (splices === undefined || pieces instanceof Uint8Array) return writePieces(pieces, target, offset);
  splices.add(pieces, offset);
  return offset;
}

/** Bytes of an answer that are in several pieces. */
export function sizeInPieces(result: OpResult): number {
  switch (result.kind) {
    case "range":
      return result.kvs instanceof Uint8Array ? 0 : sizePieces(result.kvs);
    case "put":
      return 0;
    case "deleteRange":
      return result.prevKvs instanceof Uint8Array ? 0 : sizePieces(result.prevKvs);
    case "txn":
      return result.responses.reduce((sum, response) => sum + sizeInPieces(response), 0);
  }
}

export function sizeRangeResponse(header: HeaderParts, result: RangeResult): number {
  return (
    sizeHeaderField(header, result.revision) +
    sizePieces(result.kvs) +
    (result.more ? 2 : 0) +
    sizeNumberField(result.count)
  );
}

/** Leaves what is in several pieces to `splices`, if given. */
export function encodeRangeResponse(
  header: HeaderParts,
  result: RangeResult,
  target: Uint8Array,
  offset: number,
  splices?: Splices,
): number {
  let at = writeHeaderField(header, result.revision, target, offset);
  at = placePieces(result.kvs, target, at, splices);
  at = writeNumberField(0x18, result.more ? 1 : 0, target, at);
  return writeNumberField(0x20, result.count, target, at);
}

export function sizePutResponse(header: HeaderParts, result: PutResult): number {
  return sizeHeaderField(header, result.revision) + (result.prevKv?.length ?? 0);
}

export function encodePutResponse(header: HeaderParts, result: PutResult, target: Uint8Array, offset: number): number {
  const at = writeHeaderField(header, result.revision, target, offset);
  return result.prevKv === undefined ? at : copyBytes(result.prevKv, 0, result.prevKv.length, target, at);
}

export function sizeDeleteRangeResponse(header: HeaderParts, result: DeleteResult): number {
  return sizeHeaderField(header, result.revision) + sizeNumberField(result.deleted) + sizePieces(result.prevKvs);
}

/** Leaves what is in several pieces to `splices`, if given. */
export function encodeDeleteRangeResponse(
  header: HeaderParts,
  result: DeleteResult,
  target: Uint8Array,
  offset: number,
  splices?: Splices,
): number {
  let at = writeHeaderField(header, result.revision, target, offset);
  at = writeNumberField(0x10, result.deleted, target, at);
  return placePieces(result.prevKvs, target, at, splices);
}

/** CompactionResponse, and every other response that is a header only. */
export function sizeHeaderResponse(header: HeaderParts, revision: number): number {
  return sizeHeaderField(header, revision);
}

export function encodeHeaderResponse(
  header: HeaderParts,
  revision: number,
  target: Uint8Array,
  offset: number,
): number {
  return writeHeaderField(header, revision, target, offset);
}

export function sizeTxnResponse(header: HeaderParts, result: TxnResult): number {
  let size = sizeHeaderField(header, result.revision) + (result.succeeded ? 2 : 0);
  for (const response of result.responses) size += sizeMessageField(sizeResponseOp(response));
  return size;
}

/** Leaves what is in several pieces to `splices`, if given. */
export function encodeTxnResponse(
  header: HeaderParts,
  result: TxnResult,
  target: Uint8Array,
  offset: number,
  splices?: Splices,
): number {
  let at = writeHeaderField(header, result.revision, target, offset);
  at = writeNumberField(0x10, result.succeeded ? 1 : 0, target, at);
  for (const response of result.responses) {
    target[at] = 0x1a;
    at = writeVarint(sizeResponseOp(response), target, at + 1);
    at = writeResponseOp(response, target, at, splices);
  }
  return at;
}

function sizeResponseOp(result: OpResult): number {
  return sizeMessageField(sizeInner(result));
}

function sizeInner(result: OpResult): number {
  switch (result.kind) {
    case "range":
      return sizeRangeResponse(innerHeader, result);
    case "put":
      return sizePutResponse(innerHeader, result);
    case "deleteRange":
      return sizeDeleteRangeResponse(innerHeader, result);
    case "txn":
      return sizeTxnResponse(innerHeader, result);
  }
}

const responseOpTag = { range: 0x0a, put: 0x12, deleteRange: 0x1a, txn: 0x22 } as const;

function writeResponseOp(result: OpResult, target: Uint8Array, offset: number, splices: Splices | undefined): number {
  target[offset] = responseOpTag[result.kind];
  const size = sizeInner(result);
  const start = writeVarint(size, target, offset + 1);
  const splicedBefore = splices?.sizeBytes ?? 0;
  const end = writeInner(result, target, start, splices);
  const spliced = (splices?.sizeBytes ?? 0) - splicedBefore;
  assert(end + spliced === start + size, "an operation's response has the size it was given");
  return end;
}

function writeInner(result: OpResult, target: Uint8Array, offset: number, splices: Splices | undefined): number {
  switch (result.kind) {
    case "range":
      return encodeRangeResponse(innerHeader, result, target, offset, splices);
    case "put":
      return encodePutResponse(innerHeader, result, target, offset);
    case "deleteRange":
      return encodeDeleteRangeResponse(innerHeader, result, target, offset, splices);
    case "txn":
      return encodeTxnResponse(innerHeader, result, target, offset, splices);
  }
}
