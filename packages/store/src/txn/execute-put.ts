/**
 * A put, alone or in a transaction: its checks and its execution. Source: server/etcdserver/txn/put.go.
 */

import type { Reason } from "@etcd-ts/api";
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

/** What a put asks for besides key and value. */
export type PutOptions = Pick<PutRequest, "lease" | "prevKv" | "ignoreValue" | "ignoreLease">;

/** Whether `refusePut` can refuse a put. */
export function mayBeRefused({ lease, ignoreValue, ignoreLease }: PutOptions): boolean {
  return lease !== 0n || ignoreValue || ignoreLease;
}

/** Why a put cannot be done on the store as `view` shows it. */
export function refusePut(view: ReadView, leases: LeaseLookup, key: string, options: PutOptions): Reason | undefined {
  if (options.lease !== 0n && !leases.exists(options.lease)) return "leaseNotFound";
  if ((options.ignoreValue || options.ignoreLease) && !view.has(key)) return "keyNotFound";
  return undefined;
}

/** Executes a put that `refusePut` let through. `newValue` is copied. */
export function executePut(txn: WriteTxn, key: string, newValue: Uint8Array, options: PutOptions): PutResult {
  let value = newValue;
  let lease = options.lease;
  let prevKv: Uint8Array | undefined;
  if (options.ignoreValue || options.ignoreLease || options.prevKv) {
    const previous = txn.view().get(key);
    if (options.ignoreValue || options.ignoreLease) {
      assert(previous !== undefined, "a put that keeps value or lease has a previous record");
      const record = decodeRecord(recordOfChunk(previous));
      if (options.ignoreValue) value = record.value;
      if (options.ignoreLease) lease = record.lease;
    }
    if (options.prevKv) prevKv = previous;
  }
  txn.put(key, value, lease);
  return { kind: "put", revision: txn.currentRevision, prevKv };
}
