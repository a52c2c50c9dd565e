/**
 * Requests of the key-value service as users write them, for calls of their own and within transactions.
 * Source: etcd client/v3/op.go, compare.go.
 */

import type {
  CompareInit,
  DeleteRangeRequestInit,
  PutRequestInit,
  RangeRequestInit,
  RequestOpInit,
  TxnRequestInit,
  Compare as WireCompare,
} from "@etcd-ts/api/etcdserverpb";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
} from "@etcd-ts/api/etcdserverpb";
import { type Bytes, type RangeOptions, toBytes, wireRange } from "./keys.js";

export type SortTarget = keyof typeof RangeRequest_SortTarget;
export type SortOrder = keyof typeof RangeRequest_SortOrder;

export interface GetOptions extends RangeOptions {
  /** At most so many pairs; 0 = all. */
  readonly limit?: number | undefined;
  /** As of this revision; 0 = now. */
  readonly revision?: number | undefined;
  readonly sort?: { readonly by: SortTarget; readonly order: SortOrder } | undefined;
  /** Answers from what the asked member has, without asking the others: faster, and possibly old. */
  readonly serializable?: boolean | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly countOnly?: boolean | undefined;
  /** Bounds of the pairs' revisions, both inclusive; 0 = none. */
  readonly minModRevision?: number | undefined;
  readonly maxModRevision?: number | undefined;
  readonly minCreateRevision?: number | undefined;
  readonly maxCreateRevision?: number | undefined;
}

export interface PutOptions {
  /** The key is deleted with this lease; 0 = never. */
  readonly lease?: bigint | undefined;
  /** Answers with the pair that is overwritten. */
  readonly prevKv?: boolean | undefined;
  /** Keeps the value or the lease that the key has; it must exist. */
  readonly ignoreValue?: boolean | undefined;
  readonly ignoreLease?: boolean | undefined;
}

export interface DeleteOptions extends RangeOptions {
  /** Answers with the pairs that are deleted. */
  readonly prevKv?: boolean | undefined;
}

/** One operation of a transaction. */
export type Op = RequestOpInit;
/** One condition of a transaction. */
export type Compare = CompareInit;

export interface Txn {
  /** All must hold for `success` to be done. */
  readonly compare?: readonly Compare[] | undefined;
  readonly success?: readonly Op[] | undefined;
  /** Done when one of the conditions does not hold. */
  readonly failure?: readonly Op[] | undefined;
}

export function rangeRequest(key: Bytes, options: GetOptions = {}): RangeRequestInit {
  const { sort } = options;
  // Keys come in ascending order anyway, and a server can do without a sort.
  const sorted = sort !== undefined && !(sort.by === "KEY" && sort.order === "ASCEND");
  return {
    ...wireRange(key, options),
    limit: options.limit,
    revision: options.revision,
    sortOrder: sorted ? RangeRequest_SortOrder[sort.order] : undefined,
    sortTarget: sorted ? RangeRequest_SortTarget[sort.by] : undefined,
    serializable: options.serializable,
    keysOnly: options.keysOnly,
    countOnly: options.countOnly,
    minModRevision: options.minModRevision,
    maxModRevision: options.maxModRevision,
    minCreateRevision: options.minCreateRevision,
    maxCreateRevision: options.maxCreateRevision,
  };
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions = {}): PutRequestInit {
  return {
    key: toBytes(key),
    value: toBytes(value),
    lease: options.lease,
    prevKv: options.prevKv,
    ignoreValue: options.ignoreValue,
    ignoreLease: options.ignoreLease,
  };
}

export function deleteRequest(key: Bytes, options: DeleteOptions = {}): DeleteRangeRequestInit {
  return { ...wireRange(key, options), prevKv: options.prevKv };
}

export function txnRequest({ compare, success, failure }: Txn): TxnRequestInit {
  return { compare, success, failure };
}

/** Operations of transactions. */
export const op: {
  readonly get: (key: Bytes, options?: GetOptions) => Op;
  readonly put: (key: Bytes, value: Bytes, options?: PutOptions) => Op;
  readonly delete: (key: Bytes, options?: DeleteOptions) => Op;
  readonly txn: (txn: Txn) => Op;
} = {
  get: (key, options) => ({ request: { kind: "requestRange", value: rangeRequest(key, options) } }),
  put: (key, value, options) => ({ request: { kind: "requestPut", value: putRequest(key, value, options) } }),
  delete: (key, options) => ({ request: { kind: "requestDeleteRange", value: deleteRequest(key, options) } }),
  txn: (txn) => ({ request: { kind: "requestTxn", value: txnRequest(txn) } }),
};

export type CompareOperator = "=" | "!=" | ">" | "<";

const results: Readonly<Record<CompareOperator, WireCompare["result"]>> = {
  "=": Compare_CompareResult.EQUAL,
  "!=": Compare_CompareResult.NOT_EQUAL,
  ">": Compare_CompareResult.GREATER,
  "<": Compare_CompareResult.LESS,
};

/** With a range, the condition must hold for every key of it. A key that does not exist has zeros everywhere. */
type Compares<Value> = (key: Bytes, operator: CompareOperator, value: Value, range?: RangeOptions) => Compare;

/** Conditions of transactions. */
export const compare: {
  readonly value: Compares<Bytes>;
  /** How often the key was put since it was created. */
  readonly version: Compares<number>;
  readonly createRevision: Compares<number>;
  readonly modRevision: Compares<number>;
  readonly lease: Compares<bigint>;
} = {
  value: (key, operator, value, range) => ({
    ...base(key, operator, "VALUE", range),
    targetUnion: { kind: "value", value: toBytes(value) },
  }),
  version: (key, operator, value, range) => ({
    ...base(key, operator, "VERSION", range),
    targetUnion: { kind: "version", value },
  }),
  createRevision: (key, operator, value, range) => ({
    ...base(key, operator, "CREATE", range),
    targetUnion: { kind: "createRevision", value },
  }),
  modRevision: (key, operator, value, range) => ({
    ...base(key, operator, "MOD", range),
    targetUnion: { kind: "modRevision", value },
  }),
  lease: (key, operator, value, range) => ({
    ...base(key, operator, "LEASE", range),
    targetUnion: { kind: "lease", value },
  }),
};

function base(key: Bytes, operator: CompareOperator, target: keyof typeof Compare_CompareTarget, range?: RangeOptions) {
  return { ...wireRange(key, range), result: results[operator], target: Compare_CompareTarget[target] };
}
