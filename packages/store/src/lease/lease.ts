/**
 * One lease in memory. A cluster may hold a million of them, nearly all with no key or one, so the record is flat and a
 * set of keys is made only for the second key.
 */

import type { HeapEntry } from "../deadline-heap.js";
import type { ExpirySpread } from "./expiry-spread.js";

export interface Lease extends HeapEntry {
  readonly id: bigint;
  /** Granted seconds, after the raise to the minimum. */
  readonly ttl: number;
  /** Seconds left at the last checkpoint; 0 means never checkpointed. */
  remainingTtl: number;
  /** Under which promotion the expiry and the places in the heaps were set: they are void under any other, or none. */
  promotion: Promotion | undefined;
  /** Monotonic ms. */
  expiryMs: number;
  /** The attached keys (latin1 strings): none, one, or many. */
  keys: undefined | string | Set<string>;
  /** Set while the lease waits for its next checkpoint. */
  checkpoint: CheckpointTimer | undefined;
}

/** One time at which this member became the primary lessor. */
export interface Promotion {
  readonly nowMs: number;
  /** What every term is extended by. */
  readonly extendMs: number;
  /** Undefined while there are too few leases to pile up. */
  readonly spread: ExpirySpread | undefined;
  /** Leases that were not looked at in their turn. */
  readonly rest: Iterator<Lease, unknown>;
}

/** Place of a lease in the checkpoint heap. */
export interface CheckpointTimer extends HeapEntry {
  readonly lease: Lease;
}

export function newLease(id: bigint, ttl: number, remainingTtl: number): Lease {
  return {
    id,
    ttl,
    remainingTtl,
    promotion: undefined,
    expiryMs: 0,
    keys: undefined,
    checkpoint: undefined,
    dueMs: 0,
    position: -1,
  };
}

/** Milliseconds a renewal gives: what the last checkpoint left, or else the granted TTL. */
export function fullTermMs(lease: Lease): number {
  return (lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttl) * 1000;
}

export function addKey(lease: Lease, key: string): void {
  if (lease.keys === undefined) lease.keys = key;
  else if (typeof lease.keys !== "string") lease.keys.add(key);
  else if (lease.keys !== key) lease.keys = new Set([lease.keys, key]);
}

export function deleteKey(lease: Lease, key: string): void {
  if (lease.keys === key) lease.keys = undefined;
  else if (lease.keys instanceof Set) {
    lease.keys.delete(key);
    if (lease.keys.size === 0) lease.keys = undefined;
  }
}

/** The attached keys in byte order. */
export function sortedKeys(lease: Lease): readonly string[] {
  if (lease.keys === undefined) return [];
  if (typeof lease.keys === "string") return [lease.keys];
  // The default order compares UTF-16 units, which for latin1 strings are the bytes.
  return [...lease.keys].sort();
}
