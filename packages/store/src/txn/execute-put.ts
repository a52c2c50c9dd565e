/**
 * A put, alone or in a transaction: its checks and its execution. Source: server/etcdserver/txn/put.go.
 */

import type { Reason } from "@etcd-ts/api";
import { latin1FromBytes } from "@etcd-ts/api";
import type { PutRequest } from "@etcd-ts/api/etcdserverpb";
import { assert } from "../assert.js";
import type { ReadView } from "../mvcc/read-view.js";
import { decodeRecord, recordOfChunk } from "../mvcc/record.js";
import type { WriteTxn } from "../mvcc/write-txn.js";
import type { PutResult } from "./outcome.js";

/** Which leases exist. */
export interface LeaseLookup {
  exists(id: bigint): boolean;
}

/** Why a put cannot be done on the store as `view` shows it. */
export function refusePut(view: ReadView, leases: LeaseLookup, request: PutRequest): Reason | undefined {
  if (request.lease !== 0n && !leases.exists(request.lease)) return "leaseNotFound";
  if ((request.ignoreValue || request.ignoreLease) && !view.has(latin1FromBytes(request.key))) return "keyNotFound";
  return undefined;
}

/** Executes a put that `refusePut` let through. */
export function executePut(txn: WriteTxn, request: PutRequest): PutResult {
  const key = latin1FromBytes(request.key);
  let { value, lease } = request;
  let prevKv: Uint8Array | undefined;
  if (request.ignoreValue || request.ignoreLease || request.prevKv) {
    const previous = txn.view().get(key);
    if (request.ignoreValue || request.ignoreLease) {
      assert(previous !== undefined, "a put that keeps value or lease has a previous record");
      const record = decodeRecord(recordOfChunk(previous));
      if (request.ignoreValue) value = record.value;
      if (request.ignoreLease) lease = record.lease;
    }
    if (request.prevKv) prevKv = previous;
  }
  txn.put(key, value, lease);
  return { kind: "put", revision: txn.currentRevision, prevKv };
}
