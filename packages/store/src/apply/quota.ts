/**
 * The quota on the database's size. Source: server/storage/quota.go.
 *
 * A member measures twice: before it proposes, and right before it applies. The second measure is local, so it only
 * decides the answer; the write takes effect on every member alike.
 */

import { limits } from "@etcd-ts/api";
import type { LeaseGrantRequest, PutRequest, RequestOp, TxnRequest } from "@etcd-ts/api/etcdserverpb";
import type { Backend } from "../backend.js";

/** What a KeyValue costs besides key and value, at most. */
const keyValueOverheadBytes = 256;
/** What a lease costs. */
const leaseOverheadBytes = 64;

export function costOfPut(request: PutRequest): number {
  return costOfKeyValue(request.key.length, request.value.length);
}

export function costOfKeyValue(keySize: number, valueSize: number): number {
  return keyValueOverheadBytes + keySize + valueSize;
}

export function costOfTxn(request: TxnRequest): number {
  return Math.max(costOfOps(request.success), costOfOps(request.failure));
}

function costOfOps(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops) {
    if (request?.kind === "requestPut") cost += costOfPut(request.value);
    else if (request?.kind === "requestTxn") cost += costOfTxn(request.value);
  }
  return cost;
}

export function costOfLeaseGrant(_request: LeaseGrantRequest): number {
  return leaseOverheadBytes;
}

export class Quota {
  readonly #limitBytes: number;

  /** `quotaBytes` as `--quota-backend-bytes`: 0 = 2 GiB, negative = none. */
  constructor(quotaBytes: number) {
    if (quotaBytes < 0) this.#limitBytes = Number.POSITIVE_INFINITY;
    else this.#limitBytes = quotaBytes === 0 ? limits.defaultQuotaBytes : quotaBytes;
  }

  /** Whether a request of this cost still fits. One that costs nothing always does. */
  allows(backend: Backend, cost: number): boolean {
    return cost === 0 || backend.sizeBytes() + cost < this.#limitBytes;
  }
}
