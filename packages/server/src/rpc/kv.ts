/** etcdserverpb.KV. Source: etcd server/etcdserver/api/v3rpc/key.go, server/etcdserver/v3_server.go. */

import { InternalField, kv, messageBytes, wasCanonical } from "@etcd-ts/api";
import { PutRequestSpans, scanPutRequest } from "@etcd-ts/api/etcdserverpb";
import type { ServerCall, ServiceTable } from "@etcd-ts/grpc";
import {
  checkDeleteRange,
  checkPutSizes,
  checkTxn,
  costOfKeyValue,
  costOfTxn,
  encodeDeleteRangeResponse,
  encodeHeaderResponse,
  encodePutResponse,
  encodeTxnResponse,
  isReadOnlyTxn,
  isSerializableTxn,
  sizeDeleteRangeResponse,
  sizeHeaderResponse,
  sizePutResponse,
  sizeTxnResponse,
  startReadTxn,
  type TxnResult,
} from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import type { ProposalOutcome } from "../node/proposals.js";
import { unary } from "./method.js";
import { refuseProposal } from "./proposal.js";
import { range } from "./range.js";
import { rangeStream } from "./range-stream.js";
import { respondResult } from "./respond-result.js";
import { malformed, refuse } from "./status.js";

export interface KvServiceOptions {
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
}

export function kvServices(member: Member, options: KvServiceOptions): ServiceTable {
  return new Map([
    [kv.range.path, { kind: "request", handle: (call, bytes) => range(member, call, bytes) }],
    rangeStream(member, options),
    [kv.put.path, { kind: "request", handle: (call, bytes) => put(member, call, bytes) }],
    unary(kv.deleteRange, (call, request, _respond, bytes) => {
      const isCanonical = wasCanonical();
      const reason = checkDeleteRange(request);
      if (reason !== undefined) return refuse(call, reason);
      const proposed = isCanonical ? bytes : messageBytes(kv.deleteRange.request, request);
      member.propose(InternalField.deleteRange, proposed, (outcome) => {
        if (outcome.kind !== "deleteRange") return refuseProposal(call, outcome);
        const header = member.headerParts;
        respondResult(call, outcome, sizeDeleteRangeResponse(header, outcome), (target, offset, splices) => {
          encodeDeleteRangeResponse(header, outcome, target, offset, splices);
        });
      });
    }),
    unary(kv.txn, (call, request, _respond, bytes) => {
      const isCanonical = wasCanonical();
      if (!member.quota.allows(member.backend, costOfTxn(request))) return refuseForSpace(member, call);
      const reason = checkTxn(request, options.maxTxnOps);
      if (reason !== undefined) return refuse(call, reason);
      if (isReadOnlyTxn(request)) return readOnlyTxn(member, call, bytes.slice());
      const proposed = isCanonical ? bytes : messageBytes(kv.txn.request, request);
      member.propose(InternalField.txn, proposed, (outcome) => answerTxn(member, call, outcome));
    }),
    unary(kv.compact, (call, request) => {
      const proposed = messageBytes(kv.compact.request, request);
      member.propose(InternalField.compaction, proposed, (outcome) => answerCompaction(member, call, outcome));
    }),
  ]);
}

/** What `put` reads a request into; used up before it returns. */
const putSpans = new PutRequestSpans();

/** The most frequent write: its key and value are not looked at here, so that no views are made of them. */
function put(member: Member, call: ServerCall, bytes: Uint8Array): void {
  try {
    scanPutRequest(bytes, 0, bytes.length, putSpans);
  } catch (error) {
    return call.end(malformed(error));
  }
  const isCanonical = wasCanonical();
  const keySize = putSpans.keyEnd - putSpans.keyStart;
  const valueSize = putSpans.valueEnd - putSpans.valueStart;
  if (!member.quota.allows(member.backend, costOfKeyValue(keySize, valueSize))) return refuseForSpace(member, call);
  const reason = checkPutSizes({ keySize, valueSize }, putSpans);
  if (reason !== undefined) return refuse(call, reason);
  const proposed = isCanonical ? bytes : messageBytes(kv.put.request, kv.put.request.decode(bytes));
  member.propose(InternalField.put, proposed, (outcome) => answerPut(member, call, outcome));
}

function answerPut(member: Member, call: ServerCall, outcome: ProposalOutcome): void {
  if (outcome.kind !== "put") return refuseProposal(call, outcome);
  const header = member.headerParts;
  call.respond(sizePutResponse(header, outcome), (target, offset) => {
    encodePutResponse(header, outcome, target, offset);
  });
}

function refuseForSpace(member: Member, call: ServerCall): void {
  member.raiseNoSpace(() => refuse(call, "noSpace"));
}

/** `bytes` are owned: the request may wait for a confirmation. */
function readOnlyTxn(member: Member, call: ServerCall, bytes: Uint8Array): void {
  const request = kv.txn.request.decode(bytes);
  const read = (): void => {
    const cancel = member.runSliced(startReadTxn(member.mvcc, request), (result) => {
      if (result.kind === "refused") refuse(call, result.reason);
      else respondTxn(member, call, result);
    });
    call.onCancel(cancel);
  };
  if (isSerializableTxn(request)) return read();
  member.linearizableRead((refusal) => {
    if (refusal !== undefined) refuse(call, refusal);
    else if (!call.ended) read();
  });
}

function answerTxn(member: Member, call: ServerCall, outcome: ProposalOutcome): void {
  if (outcome.kind === "txn") respondTxn(member, call, outcome);
  else refuseProposal(call, outcome);
}

function respondTxn(member: Member, call: ServerCall, result: TxnResult): void {
  const header = member.headerParts;
  respondResult(call, result, sizeTxnResponse(header, result), (target, offset, splices) => {
    encodeTxnResponse(header, result, target, offset, splices);
  });
}

/** A physical compaction is answered when its work is done and committed; a refused one waits for those before it. */
function answerCompaction(member: Member, call: ServerCall, outcome: ProposalOutcome): void {
  if (outcome.kind === "refused") {
    const { completion } = outcome;
    if (completion === undefined) return refuse(call, outcome.reason);
    return completion.onDone(() => refuse(call, outcome.reason));
  }
  if (outcome.kind !== "compaction") return refuseProposal(call, outcome);
  const respond = (): void => {
    const header = member.headerParts;
    const revision = member.mvcc.currentRevision();
    call.respond(sizeHeaderResponse(header, revision), (target, offset) => {
      encodeHeaderResponse(header, revision, target, offset);
    });
  };
  if (!outcome.physical) return respond();
  outcome.completion.onDone(() => {
    member.backend.flush().then(respond, () => refuse(call, "stopped"));
  });
}
