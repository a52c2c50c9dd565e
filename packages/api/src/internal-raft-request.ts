/**
 * What a member proposes, around a request's own bytes: an InternalRaftRequest is written and read here without
 * decoding or encoding the request in it.
 *
 * The bytes are those a Go member would write: fields in the order of their numbers, that is the header (number 100),
 * which carries the request id and, with authentication on, the user, behind the requests of keys and leases and before
 * those of authentication and membership.
 */

import {
  encodeRequestHeader,
  type RequestHeaderInit,
  readRequestHeader,
  sizeRequestHeader,
} from "./gen/etcdserverpb.js";
import { beginMessage, cursor, noteNotCanonical, readLength, readTag, readUint64, skipField } from "./wire-reader.js";
import { sizeLengthPrefixed, sizeVarint32, writeVarint32 } from "./wire-writer.js";

/** Field numbers of the requests in an InternalRaftRequest. */
export const InternalField = {
  range: 3,
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  authEnable: 1000,
  authDisable: 1011,
  authenticate: 1012,
  authStatus: 1013,
  authUserAdd: 1100,
  authUserDelete: 1101,
  authUserGet: 1102,
  authUserChangePassword: 1103,
  authUserGrantRole: 1104,
  authUserRevokeRole: 1105,
  authUserList: 1106,
  authRoleList: 1107,
  authRoleAdd: 1200,
  authRoleDelete: 1201,
  authRoleGet: 1202,
  authRoleGrantPermission: 1203,
  authRoleRevokePermission: 1204,
  clusterVersionSet: 1300,
  clusterMemberAttrSet: 1301,
  downgradeInfoSet: 1302,
  downgradeVersionTest: 9900,
} as const;
export type InternalField = (typeof InternalField)[keyof typeof InternalField];

const idTag = 1 * 8;
const headerNumber = 100;
const lengthPrefixed = 2;
const knownNumbers: ReadonlySet<number> = new Set(Object.values(InternalField));

/** Bytes of an InternalRaftRequest around a request of `requestSize` bytes. */
export function sizeInternalRequest(field: InternalField, requestSize: number, header: RequestHeaderInit): number {
  return (
    sizeTag(field) +
    sizeLengthPrefixed(requestSize) +
    sizeTag(headerNumber) +
    sizeLengthPrefixed(sizeRequestHeader(header))
  );
}

/**
 * Writes all of it but the request itself, for which it leaves room: returns the offset where the caller must write
 * exactly `requestSize` bytes.
 */
export function encodeInternalRequest(
  field: InternalField,
  requestSize: number,
  header: RequestHeaderInit,
  target: Uint8Array,
  offset: number,
): number {
  if (field > headerNumber) {
    const headerEnd = writeHeader(header, target, offset);
    return writeVarint32(target, writeTag(target, headerEnd, field), requestSize);
  }
  const requestAt = writeVarint32(target, writeTag(target, offset, field), requestSize);
  writeHeader(header, target, requestAt + requestSize);
  return requestAt;
}

function writeHeader(header: RequestHeaderInit, target: Uint8Array, offset: number): number {
  const at = writeVarint32(target, writeTag(target, offset, headerNumber), sizeRequestHeader(header));
  return encodeRequestHeader(header, target, at);
}

function sizeTag(number: number): number {
  return sizeVarint32(number * 8 + lengthPrefixed);
}

function writeTag(target: Uint8Array, offset: number, number: number): number {
  return writeVarint32(target, offset, number * 8 + lengthPrefixed);
}

/** Where the request in an InternalRaftRequest lies, and who asked. Filled by `scanInternalRequest`. */
export class InternalRequestSpan {
  /** The request's id: that of the message or, when it is zero, that of the header. */
  id = 0n;
  username = "";
  authRevision = 0;
  /** Which request; undefined when there is none that this version knows. */
  field: InternalField | undefined = undefined;
  /** The request's bytes, to be decoded by its type's decoder. */
  start = 0;
  end = 0;
}

/**
 * Reads the frame of an InternalRaftRequest into `into`. Of several requests, which no member writes, the one with the
 * lowest number counts, and of one that occurs twice the last. Throws DecodeError.
 */
export function scanInternalRequest(bytes: Uint8Array, start: number, end: number, into: InternalRequestSpan): void {
  beginMessage(bytes, start, end);
  into.id = 0n;
  into.username = "";
  into.authRevision = 0;
  into.field = undefined;
  into.start = 0;
  into.end = 0;
  let id = 0n;
  let pos = start;
  while (pos < end) {
    const tag = readTag(bytes, pos, end);
    pos = cursor;
    const number = tag >>> 3;
    if (tag === idTag) {
      id = readUint64(bytes, pos, end);
      pos = cursor;
    } else if ((tag & 7) === lengthPrefixed && (number === headerNumber || knownNumbers.has(number))) {
      const length = readLength(bytes, pos, end);
      pos = cursor;
      if (number === headerNumber) readHeader(bytes, pos, pos + length, into);
      else {
        if (into.field !== undefined) noteNotCanonical();
        if (into.field === undefined || number <= into.field) {
          into.field = number as InternalField;
          into.start = pos;
          into.end = pos + length;
        }
      }
      pos += length;
    } else pos = skipField(bytes, tag, pos, end);
  }
  if (id !== 0n) into.id = id;
}

function readHeader(bytes: Uint8Array, start: number, end: number, into: InternalRequestSpan): void {
  const header = readRequestHeader(bytes, start, end);
  into.id = header.id;
  into.username = header.username;
  into.authRevision = header.authRevision;
}
