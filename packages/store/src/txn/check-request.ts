/**
 * What the API layer refuses before a request is proposed or read. Source: server/etcdserver/api/v3rpc/key.go.
 */

import type { Reason } from "@etcd-ts/api";
import { latin1FromBytes } from "@etcd-ts/api";
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from "@etcd-ts/api/etcdserverpb";
import type { PutOptions } from "./execute-put.js";

/** Greatest known number of sort_order and of sort_target. */
const sortOrderMax = 2;
const sortTargetMax = 4;

export function checkRange(request: RangeRequest): Reason | undefined {
  return checkRangeSizes({ keySize: request.key.length }, request);
}

/** The same of a request that is not decoded. */
export function checkRangeSizes(
  { keySize }: { readonly keySize: number },
  options: Pick<RangeRequest, "sortOrder" | "sortTarget">,
): Reason | undefined {
  if (keySize === 0) return "emptyKey";
  if (!isEnumValue(options.sortOrder, sortOrderMax)) return "invalidSortOption";
  if (!isEnumValue(options.sortTarget, sortTargetMax)) return "invalidSortOption";
  return undefined;
}

function isEnumValue(value: number, max: number): boolean {
  return value >= 0 && value <= max;
}

export function checkPut(request: PutRequest): Reason | undefined {
  return checkPutSizes({ keySize: request.key.length, valueSize: request.value.length }, request);
}

/** The same of a request that is not decoded. */
export function checkPutSizes(
  { keySize, valueSize }: { readonly keySize: number; readonly valueSize: number },
  options: PutOptions,
): Reason | undefined {
  if (keySize === 0) return "emptyKey";
  if (options.ignoreValue && valueSize > 0) return "valueProvided";
  if (options.ignoreLease && options.lease !== 0n) return "leaseProvided";
  return undefined;
}

export function checkDeleteRange(request: DeleteRangeRequest): Reason | undefined {
  return request.key.length === 0 ? "emptyKey" : undefined;
}

/** `opsMax` is `--max-txn-ops`; a nested transaction has what its parents leave of it. */
export function checkTxn(request: TxnRequest, opsMax: number): Reason | undefined {
  return checkOps(request, opsMax) ?? checkOverlaps(request.success) ?? checkOverlaps(request.failure);
}

function checkOps(request: TxnRequest, opsMax: number): Reason | undefined {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (count > opsMax) return "tooManyOps";
  for (const compare of request.compare) if (compare.key.length === 0) return "emptyKey";
  for (const ops of [request.success, request.failure]) {
    for (const op of ops) {
      const reason = checkOp(op, opsMax - count);
      if (reason !== undefined) return reason;
    }
  }
  return undefined;
}

function checkOp(op: RequestOp, nestedOpsMax: number): Reason | undefined {
  switch (op.request?.kind) {
    case "requestRange":
      return checkRange(op.request.value);
    case "requestPut":
      return checkPut(op.request.value);
    case "requestDeleteRange":
      return checkDeleteRange(op.request.value);
    case "requestTxn":
      return checkOps(op.request.value, nestedOpsMax);
    case undefined:
      return "keyNotFound";
  }
}

/**
 * A deleted interval as etcd compares it: `hi` undefined = only `lo`. A range_end of one zero byte is taken literally.
 */
interface Interval {
  readonly lo: string;
  readonly hi: string | undefined;
}

interface Touched {
  readonly puts: ReadonlySet<string>;
  readonly deletes: readonly Interval[];
}

function checkOverlaps(ops: readonly RequestOp[]): Reason | undefined {
  // What most transactions do: a single operation has nothing to overlap with.
  if (ops.length === 0 || (ops.length === 1 && ops[0]?.request?.kind !== "requestTxn")) return undefined;
  return touchedBy(ops) === undefined ? "duplicateKey" : undefined;
}

/**
 * What the ops put and delete; undefined when a key is put twice or put and deleted. The rules depend on the order of
 * nested transactions and are etcd's to the letter, since members must agree on what is a valid entry.
 */
function touchedBy(ops: readonly RequestOp[]): Touched | undefined {
  const deletes: Interval[] = [];
  for (const { request } of ops) {
    if (request?.kind !== "requestDeleteRange") continue;
    const { key, rangeEnd } = request.value;
    deletes.push({ lo: latin1FromBytes(key), hi: rangeEnd.length === 0 ? undefined : latin1FromBytes(rangeEnd) });
  }
  const puts = new Set<string>();
  for (const { request } of ops) {
    if (request?.kind !== "requestTxn") continue;
    const success = touchedBy(request.value.success);
    const failure = touchedBy(request.value.failure);
    if (success === undefined || failure === undefined) return undefined;
    for (const key of success.puts) {
      if (puts.has(key) || covers(deletes, key)) return undefined;
      puts.add(key);
    }
    for (const key of failure.puts) {
      // Only one branch runs, so both may put the same key.
      if ((puts.has(key) && !success.puts.has(key)) || covers(deletes, key)) return undefined;
      puts.add(key);
    }
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const { request } of ops) {
    if (request?.kind !== "requestPut") continue;
    const key = latin1FromBytes(request.value.key);
    if (puts.has(key) || covers(deletes, key)) return undefined;
    puts.add(key);
  }
  return { puts, deletes };
}

function covers(intervals: readonly Interval[], key: string): boolean {
  return intervals.some(({ lo, hi }) => (hi === undefined ? key === lo : lo <= key && key < hi));
}
