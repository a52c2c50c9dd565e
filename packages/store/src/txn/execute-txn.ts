/**
 * Transactions: comparisons, checks, execution, in slices. All comparisons and checks, of nested transactions too, see
 * the store as it was before the transaction; nothing is written unless all checks pass.
 * Source: server/etcdserver/txn/txn.go.
 */

import type { Reason } from "@etcd-ts/api";
import { isSingleKey, latin1FromBytes } from "@etcd-ts/api";
import type { DeleteRangeRequest, RangeRequest, RequestOp, TxnRequest } from "@etcd-ts/api/etcdserverpb";
import { assert } from "../assert.js";
import type { Budget, Task } from "../mvcc/budget.js";
import { intervalOf, isPlainGet, type KeyInterval } from "../mvcc/range.js";
import type { ReadView } from "../mvcc/read-view.js";
import type { DeleteResult, WriteTxn } from "../mvcc/write-txn.js";
import { compareKey, compareTask } from "./compare.js";
import { executePut, type LeaseLookup, mayBeRefused, refusePut } from "./execute-put.js";
import type { OpResult, Refused, TxnResult } from "./outcome.js";

const noBytes = new Uint8Array(0);

export interface TxnPorts {
  /** The store before the transaction. */
  readonly before: ReadView;
  readonly leases: LeaseLookup;
  /** Opens the write transaction once all checks have passed; undefined when the request only reads. */
  readonly begin: (() => WriteTxn) | undefined;
  /** False when nobody waits for the answer: ranges are then checked but not read. */
  readonly wantsResult: boolean;
  readonly budget: Budget;
}

/** Whether a transaction only reads, so that it need not be proposed: all its operations are ranges. */
export function isReadOnlyTxn(request: TxnRequest): boolean {
  return allOps(request, (op) => op.request?.kind === "requestRange");
}

/** Whether a read-only transaction may be answered from this member's own state. */
export function isSerializableTxn(request: TxnRequest): boolean {
  return allOps(request, (op) => op.request?.kind === "requestRange" && op.request.value.serializable);
}

function allOps(request: TxnRequest, test: (op: RequestOp) => boolean): boolean {
  return request.success.every(test) && request.failure.every(test);
}

/** Runs a transaction up to, but not including, the publication of its revision. */
export function* txnTask(request: TxnRequest, ports: TxnPorts): Task<TxnResult | Refused> {
  const chosen = yield* chooseTask(request, ports);
  const deleted: KeyInterval[] = [];
  const reason = refuseOps(chosen, ports, deleted);
  if (reason !== undefined) return { kind: "refused", reason };
  const txn = ports.begin?.();
  const responses = yield* executeTask(chosen, txn, ports);
  const revision = txn === undefined ? ports.before.currentRevision : txn.currentRevision;
  return { kind: "txn", revision, succeeded: chosen.succeeded, responses };
}

/** Operations and comparisons of a transaction that is run at once, at most. */
const fewOps = 8;

/**
 * Runs a transaction on few single keys at once, with the result that `txnTask` has; undefined when it is not one, and
 * nothing has been done then. Most are: a comparison, a put or delete, and a get if the comparison fails. The
 * generators of a task would cost as much as all the rest of such a transaction.
 */
export function runSmallTxn(request: TxnRequest, ports: TxnPorts): TxnResult | Refused | undefined {
  if (!isSmall(request)) return undefined;
  let succeeded = true;
  for (const compare of request.compare) {
    succeeded = compareKey(ports.before, compare);
    if (!succeeded) break;
  }
  const ops = succeeded ? request.success : request.failure;
  const reason = refuseOps({ succeeded, ops, nested: noneNested }, ports, []);
  if (reason !== undefined) return { kind: "refused", reason };
  const txn = ports.begin?.();
  const responses: OpResult[] = [];
  for (const { request } of ops) {
    switch (request?.kind) {
      case "requestRange":
        responses.push(executeGet(txn === undefined ? ports.before : txn.view(), request.value, ports));
        break;
      case "requestPut":
        assert(txn !== undefined, "a transaction that puts is no read");
        responses.push(executePut(txn, latin1FromBytes(request.value.key), request.value.value, request.value));
        break;
      case "requestDeleteRange":
        assert(txn !== undefined, "a transaction that deletes is no read");
        responses.push(txn.deletePoint(latin1FromBytes(request.value.key), request.value));
        break;
      default:
        assert(false, "a small transaction has no other operations");
    }
  }
  const revision = txn === undefined ? ports.before.currentRevision : txn.currentRevision;
  return { kind: "txn", revision, succeeded, responses };
}

function isSmall({ compare, success, failure }: TxnRequest): boolean {
  if (compare.length > fewOps || success.length > fewOps || failure.length > fewOps) return false;
  return (
    compare.every(({ rangeEnd }) => isSingleKey(rangeEnd)) && success.every(isOfOneKey) && failure.every(isOfOneKey)
  );
}

function isOfOneKey({ request }: RequestOp): boolean {
  switch (request?.kind) {
    case "requestPut":
      return true;
    case "requestDeleteRange":
      return isSingleKey(request.value.rangeEnd);
    case "requestRange":
      return isPlainGet(request.value);
    default:
      return false;
  }
}

function executeGet(view: ReadView, request: RangeRequest, ports: TxnPorts): OpResult {
  if (!ports.wantsResult) return unread(view);
  const result = view.getCopy(request);
  assert(result.kind === "range", "the revisions of a transaction's ranges were checked before");
  return result;
}

/** A transaction whose comparisons have been made, with its nested ones in the order of their operations. */
interface Chosen {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: readonly Chosen[];
}

const noneNested: readonly Chosen[] = [];

function* chooseTask(request: TxnRequest, ports: TxnPorts): Task<Chosen> {
  let succeeded = true;
  for (const compare of request.compare) {
    ports.budget.left--;
    if (yield* compareTask(ports.before, compare, ports.budget)) continue;
    succeeded = false;
    break;
  }
  const ops = succeeded ? request.success : request.failure;
  const nested: Chosen[] = [];
  for (const op of ops) {
    if (op.request?.kind === "requestTxn") nested.push(yield* chooseTask(op.request.value, ports));
  }
  return { succeeded, ops, nested };
}

/**
 * The first reason why the chosen operations cannot be executed. `deleted` collects what they delete on the way: a put
 * that keeps the value or lease of a key deleted earlier in the same transaction is refused like one of a missing key.
 * etcd lets it through and then every member aborts.
 */
function refuseOps(chosen: Chosen, ports: TxnPorts, deleted: KeyInterval[]): Reason | undefined {
  let nestedAt = 0;
  for (const { request } of chosen.ops) {
    let reason: Reason | undefined;
    switch (request?.kind) {
      case "requestRange":
        reason = refuseRange(ports.before, request.value);
        break;
      case "requestPut": {
        if (!mayBeRefused(request.value)) break;
        const key = latin1FromBytes(request.value.key);
        reason = refusePut(ports.before, ports.leases, key, request.value);
        const keeps = request.value.ignoreValue || request.value.ignoreLease;
        if (reason === undefined && keeps && isDeleted(deleted, key)) reason = "keyNotFound";
        break;
      }
      case "requestDeleteRange":
        deleted.push(intervalOf(request.value.key, request.value.rangeEnd));
        break;
      case "requestTxn":
        reason = refuseOps(chosen.nested[nestedAt++] as Chosen, ports, deleted);
        break;
      case undefined:
        // The API layer refuses it; in a log of another version it does nothing.
        break;
    }
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function isDeleted(deleted: readonly KeyInterval[], key: string): boolean {
  return deleted.some(({ lo, hi }) => lo <= key && (hi === undefined || key < hi));
}

/** Unlike in a Range request, a negative revision does not mean the current one, unless it is the compact revision. */
function refuseRange(before: ReadView, request: RangeRequest): Reason | undefined {
  if (request.revision === 0) return undefined;
  if (request.revision > before.currentRevision) return "futureRev";
  return request.revision < before.compactRevision ? "compacted" : undefined;
}

function* executeTask(chosen: Chosen, txn: WriteTxn | undefined, ports: TxnPorts): Task<OpResult[]> {
  const responses: OpResult[] = [];
  let nestedAt = 0;
  for (const { request } of chosen.ops) {
    ports.budget.left--;
    switch (request?.kind) {
      case "requestRange": {
        const view = txn === undefined ? ports.before : txn.view();
        responses.push(yield* executeRange(view, request.value, ports));
        break;
      }
      case "requestPut":
        assert(txn !== undefined, "a transaction that puts is no read");
        responses.push(executePut(txn, latin1FromBytes(request.value.key), request.value.value, request.value));
        break;
      case "requestDeleteRange":
        assert(txn !== undefined, "a transaction that deletes is no read");
        responses.push(yield* executeDelete(txn, request.value, ports.budget));
        break;
      case "requestTxn": {
        const nested = chosen.nested[nestedAt++] as Chosen;
        const inner = yield* executeTask(nested, txn, ports);
        responses.push({ kind: "txn", revision: 0, succeeded: nested.succeeded, responses: inner });
        break;
      }
      case undefined:
        break;
    }
  }
  return responses;
}

function* executeRange(view: ReadView, request: RangeRequest, ports: TxnPorts): Task<OpResult> {
  if (!ports.wantsResult) return unread(view);
  const result = yield* view.rangeTask(request, ports.budget);
  assert(result.kind === "range", "the revisions of a transaction's ranges were checked before");
  return result;
}

/** What stands for the result of a range that nobody waits for. */
function unread({ currentRevision: revision }: ReadView): OpResult {
  return { kind: "range", revision, count: 0, more: false, kvs: noBytes, kvCount: 0, lastKey: undefined };
}

/** Deletes a range in a transaction. */
function executeDelete(txn: WriteTxn, request: DeleteRangeRequest, budget: Budget): Task<DeleteResult> {
  return txn.deleteTask(intervalOf(request.key, request.rangeEnd), { prevKv: request.prevKv }, budget);
}
