/**
 * Rows of the bucket `lease`: key = 8 bytes big endian of the id as an unsigned number, value = `leasepb.Lease`.
 * Source: server/storage/schema/lease.go.
 */

import { messageBytes } from "@etcd-ts/api";
import { decodeLease, encodeLease, type Lease as LeaseRecord, sizeLease } from "@etcd-ts/api/leasepb";
import { assert } from "../assert.js";

export function leaseRowKey(id: bigint): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigInt64(0, id);
  return key;
}

/** Where a scan goes on behind the row of `key`. */
export function leaseRowAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}

export function encodeLeaseRow(record: LeaseRecord): Uint8Array {
  return messageBytes({ size: sizeLease, encode: encodeLease }, record);
}

export function decodeLeaseRow(value: Uint8Array): LeaseRecord {
  const record = decodeLease(value);
  assert(record.id !== 0n, "a stored lease has an id");
  return record;
}
