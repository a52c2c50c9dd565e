/**
 * KV.Range. A get of one key, the most frequent request, is read without decoding: only its key is taken out of the
 * bytes. Ranges are read in slices: however few keys are asked for, their order and their count may need all. Source:
 * etcd server/etcdserver/v3_server.go Range.
 */

import { kv, latin1FromBytes } from "@etcd-ts/api";
import { type RangeRequest, RangeRequestSpans, scanRangeRequest } from "@etcd-ts/api/etcdserverpb";
import type { ServerCall } from "@etcd-ts/grpc";
import {
  checkRangeSizes,
  encodeRangeResponse,
  type RangeResult,
  type RefusedRange,
  sizeRangeResponse,
  wantsWholeRecords,
} from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { respondResult } from "./respond-result.js";
import { malformed, refuse } from "./status.js";

/** What `range` reads a request into; used up before it returns. */
const spans = new RangeRequestSpans();

/** `bytes` are the transport's: they are valid until this returns. */
export function range(member: Member, call: ServerCall, bytes: Uint8Array): void {
  try {
    scanRangeRequest(bytes, 0, bytes.length, spans);
  } catch (error) {
    return call.end(malformed(error));
  }
  const { keyStart, keyEnd, revision, serializable } = spans;
  const reason = checkRangeSizes({ keySize: keyEnd - keyStart }, spans);
  if (reason !== undefined) return refuse(call, reason);
  if (spans.rangeEndStart === spans.rangeEndEnd && wantsWholeRecords(spans)) {
    const key = latin1FromBytes(bytes, keyStart, keyEnd);
    if (serializable) answerRange(member, call, member.mvcc.get(key, revision));
    else getConfirmed(member, call, key, revision);
    return;
  }
  const request = kv.range.request.decode(bytes.slice());
  if (serializable) readRange(member, call, request);
  else rangeConfirmed(member, call, request);
}

function getConfirmed(member: Member, call: ServerCall, key: string, revision: number): void {
  member.linearizableRead((refusal) => {
    if (refusal !== undefined) refuse(call, refusal);
    else if (!call.ended) answerRange(member, call, member.mvcc.get(key, revision));
  });
}

function rangeConfirmed(member: Member, call: ServerCall, request: RangeRequest): void {
  member.linearizableRead((refusal) => {
    if (refusal !== undefined) refuse(call, refusal);
    else if (!call.ended) readRange(member, call, request);
  });
}

/** The bytes of `request` are owned. */
function readRange(member: Member, call: ServerCall, request: RangeRequest): void {
  if (request.rangeEnd.length === 0) return answerRange(member, call, member.mvcc.range(request));
  const cancel = member.runSliced(member.mvcc.startRange(request), (result) => answerRange(member, call, result));
  call.onCancel(cancel);
}

/** The result is encoded before this returns. */
function answerRange(member: Member, call: ServerCall, result: RangeResult | RefusedRange): void {
  if (result.kind === "refused") return refuse(call, result.reason);
  const header = member.headerParts;
  respondResult(call, result, sizeRangeResponse(header, result), (target, offset, splices) => {
    encodeRangeResponse(header, result, target, offset, splices);
  });
}
