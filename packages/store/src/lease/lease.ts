/**
 * One lease in memory. A cluster may hold a million of them, nearly all with no key or one, so the record is flat and a
 * set of keys is made only for the second key.
 */

import type { HeapEntry } from "../deadline-heap.js";
import type { Budget, Task } from "../mvcc/budget.js";
import { ShardedMap, shardOfKey } from "../sharded-map.js";
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
  /** The attached keys (latin1 strings): none, one, many, or very many. */
  keys: undefined | string | Set<string> | ShardedMap<string, true>;
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

/** A set of more keys would take long to grow. */
const setKeysMax = 4096;

export function addKey(lease: Lease, key: string): void {
  const { keys } = lease;
  if (keys === undefined) lease.keys = key;
  else if (typeof keys === "string") {
    if (keys !== key) lease.keys = new Set([keys, key]);
  } else if (keys instanceof ShardedMap) keys.set(key, true);
  else if (keys.add(key).size > setKeysMax) {
    const many = new ShardedMap<string, true>(shardOfKey);
    for (const each of keys) many.set(each, true);
    lease.keys = many;
  }
}

export function deleteKey(lease: Lease, key: string): void {
  if (lease.keys === key) lease.keys = undefined;
  else if (typeof lease.keys === "object") {
    lease.keys.delete(key);
    if (lease.keys.size === 0) lease.keys = undefined;
  }
}

/** The attached keys in no order. */
export function keysOf(lease: Lease): Iterable<string> {
  if (lease.keys === undefined) return [];
  if (typeof lease.keys === "string") return [lease.keys];
  return lease.keys instanceof ShardedMap ? lease.keys.keyList() : lease.keys;
}

/** A copy of them, in slices; those attached or detached between two may be in it or not. */
export function* keysTask(lease: Lease, budget: Budget): Task<string[]> {
  return lease.keys instanceof ShardedMap ? yield* lease.keys.keyListTask(budget) : [...keysOf(lease)];
}
