/**
 * The lessor: every lease of the cluster, the keys attached to each, and, on the leader (the *primary* lessor), when
 * each expires.
 *
 * What is replicated (`grant`, `remove`, `attach`, `detach`, `checkpoint`) is called by apply and has the same result
 * on every member, whatever the clock says; the time it takes only sets the local expiry. Expiry itself deletes
 * nothing: `takeExpired` tells the leader which revokes to propose, and the applied revoke removes the lease. Time is
 * always an argument, monotonic milliseconds.
 *
 * A promotion gives every lease a new expiry. With a million leases that is a second's work, so a promotion only begins
 * it: each lease is *refreshed* when somebody asks for it, or in its turn, `promotionStep` by `promotionStep`.
 *
 * The attachments are not stored: the keys carry their lease's id, and the store attaches them again at boot.
 *
 * Left to others: who is the leader and whether that is still true, proposals, waiting, authorisation.
 *
 * Source: server/lease/lessor.go, server/lease/lease_queue.go.
 */

import { limits, type Reason } from "@etcd-ts/api";
import { assert } from "../assert.js";
import type { Backend } from "../backend.js";
import { DeadlineHeap } from "../deadline-heap.js";
import { type Budget, sortTask, type Task } from "../mvcc/budget.js";
import { ShardedMap, shardOfId, shardOfKey } from "../sharded-map.js";
import { ExpirySpread } from "./expiry-spread.js";
import {
  addKey,
  type CheckpointTimer,
  deleteKey,
  fullTermMs,
  keysOf,
  keysTask,
  type Lease,
  newLease,
  type Promotion,
} from "./lease.js";
import { decodeLeaseRow, encodeLeaseRow, leaseRowAfter, leaseRowKey } from "./lease-record.js";
import {
  leaseCheckpointBatchMax,
  leaseCheckpointIntervalMs,
  leaseExpiredBatchMax,
  leaseExpiredRetryMs,
  leaseSpreadCountMin,
  leaseSpreadPerSecond,
  promotionStepCount,
} from "./limits.js";

export interface LessorOptions {
  /** Smallest TTL, seconds: shorter grants are raised to it. See `minLeaseTtlSeconds`. */
  readonly ttlSecondsMin: number;
  /** Feature gate `LeaseCheckpoint`; default false. */
  readonly checkpoints?: boolean;
  /** When a lease that was taken as expired and still exists is handed out again; default 7 s. */
  readonly expiredRetryMs?: number;
  /** For tests. */
  readonly checkpointIntervalMs?: number;
  readonly spreadCountMin?: number;
  readonly spreadPerSecond?: number;
}

export type GrantResult =
  | { readonly kind: "granted"; readonly id: bigint; readonly ttl: number }
  | { readonly kind: "refused"; readonly reason: Reason };

export type RenewResult =
  /** Done; `ttl` is the granted one. */
  | { readonly kind: "renewed"; readonly ttl: number }
  /** Unknown here. */
  | { readonly kind: "leaseNotFound" }
  /** This member is not the primary lessor: forward to the leader. */
  | { readonly kind: "notPrimary" }
  /** Expired and not yet revoked: use `onSettled`, then ask again. */
  | { readonly kind: "expired" }
  /** Propose a checkpoint with remaining TTL 0, then renew with `afterCheckpoint`. */
  | { readonly kind: "checkpointFirst" };

export type TimeToLiveResult =
  | {
      readonly kind: "found";
      /** Whole seconds left, truncated towards zero; ≤ 0 shortly before the revoke. */
      readonly ttl: number;
      readonly grantedTtl: number;
    }
  | { readonly kind: "leaseNotFound" }
  | { readonly kind: "notPrimary" };

export interface LeaseCheckpoint {
  readonly id: bigint;
  /** Seconds, > 0. */
  readonly remainingTtl: number;
}

/** What ended the wait for an expired lease. */
export type Settled = "revoked" | "demoted";

/**
 * Smallest TTL of a cluster: one and a half election timeouts, counted in whole ticks, rounded up to a second.
 * Source: server/etcdserver/server.go (minTTL).
 */
export function minLeaseTtlSeconds(options: { electionTicks: number; heartbeatMs: number }): number {
  return Math.ceil((Math.floor((3 * options.electionTicks) / 2) * options.heartbeatMs) / 1000);
}

export class Lessor {
  #backend: Backend;
  readonly #ttlSecondsMin: number;
  readonly #checkpoints: boolean;
  readonly #expiredRetryMs: number;
  readonly #checkpointIntervalMs: number;
  readonly #spreadCountMin: number;
  readonly #spreadPerSecond: number;

  #leases = new ShardedMap<bigint, Lease>(shardOfId);
  #leaseOfKey = new ShardedMap<string, Lease>(shardOfKey);
  #promotion: Promotion | undefined;
  #expiries = new DeadlineHeap<Lease>();
  #checkpointTimers = new DeadlineHeap<CheckpointTimer>();
  readonly #waiters = new Map<bigint, Set<(settled: Settled) => void>>();

  constructor(backend: Backend, options: LessorOptions) {
    this.#backend = backend;
    this.#ttlSecondsMin = options.ttlSecondsMin;
    this.#checkpoints = options.checkpoints ?? false;
    this.#expiredRetryMs = options.expiredRetryMs ?? leaseExpiredRetryMs;
    this.#checkpointIntervalMs = options.checkpointIntervalMs ?? leaseCheckpointIntervalMs;
    this.#spreadCountMin = options.spreadCountMin ?? leaseSpreadCountMin;
    this.#spreadPerSecond = options.spreadPerSecond ?? leaseSpreadPerSecond;
  }

  /**
   * Loads the leases from a backend in slices (at boot, or the new one after a snapshot); keys are attached afterwards,
   * by the store. Until the last slice the lessor has its old leases. A stored TTL below the minimum is raised in
   * memory. Nothing expires before `promote`.
   */
  *restoreTask(backend: Backend, budget: Budget): Task<void> {
    const leases = new ShardedMap<bigint, Lease>(shardOfId);
    let from: Uint8Array | undefined = new Uint8Array(0);
    while (from !== undefined) {
      const lo: Uint8Array = from;
      from = undefined;
      backend.scan("lease", lo, undefined, (key, value) => {
        const record = decodeLeaseRow(value);
        const ttl = Math.max(record.ttl, this.#ttlSecondsMin);
        leases.set(record.id, newLease(record.id, ttl, record.remainingTtl));
        budget.left--;
        if (!budget.spent) return true;
        from = leaseRowAfter(key);
        return false;
      });
      if (from !== undefined) yield;
    }
    this.demote();
    this.#backend = backend;
    this.#leases = leases;
    this.#leaseOfKey = new ShardedMap(shardOfKey);
  }

  get count(): number {
    return this.#leases.size;
  }

  get isPrimary(): boolean {
    return this.#promotion !== undefined;
  }

  // Replicated: called by apply.

  exists(id: bigint): boolean {
    return this.#leases.has(id);
  }

  /** `ttl` is the one asked for, seconds; the result carries the one granted. */
  grant(id: bigint, ttl: number, nowMs: number): GrantResult {
    if (id === 0n) return { kind: "refused", reason: "leaseNotFound" };
    if (ttl > limits.maxLeaseTtlSeconds) return { kind: "refused", reason: "leaseTTLTooLarge" };
    if (this.#leases.has(id)) return { kind: "refused", reason: "leaseExist" };
    const lease = newLease(id, Math.max(ttl, this.#ttlSecondsMin), 0);
    this.#leases.set(id, lease);
    this.#persist(lease);
    if (this.#promotion !== undefined) {
      this.#enter(lease, this.#promotion);
      this.#expireAt(lease, nowMs + fullTermMs(lease));
      this.#scheduleCheckpoint(lease, nowMs);
    }
    return { kind: "granted", id, ttl: lease.ttl };
  }

  /**
   * Removes a lease and its row; the caller has deleted its keys (what is still attached is detached). Returns false
   * when it is unknown.
   */
  remove(id: bigint): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    for (const key of keysOf(lease)) this.#leaseOfKey.delete(key);
    this.#leases.delete(id);
    if (this.#promotion !== undefined && lease.promotion === this.#promotion) {
      this.#expiries.remove(lease);
      if (lease.checkpoint !== undefined) this.#checkpointTimers.remove(lease.checkpoint);
    }
    this.#backend.delete("lease", leaseRowKey(id));
    this.#settle(id, "revoked");
    return true;
  }

  /** The lease a key is attached to, 0n for none. `key` is a latin1 string. */
  leaseOf(key: string): bigint {
    return this.#leaseOfKey.get(key)?.id ?? 0n;
  }

  /** Attaches a key, which leaves the lease it was attached to. Returns false when the lease is unknown. */
  attach(id: bigint, key: string): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    const previous = this.#leaseOfKey.get(key);
    if (previous === lease) return true;
    if (previous !== undefined) deleteKey(previous, key);
    addKey(lease, key);
    this.#leaseOfKey.set(key, lease);
    return true;
  }

  /** Detaches a key from its lease, if it has one. */
  detach(key: string): void {
    const lease = this.#leaseOfKey.get(key);
    if (lease === undefined) return;
    deleteKey(lease, key);
    this.#leaseOfKey.delete(key);
  }

  /** The keys attached to a lease, in no order; none for an unknown lease. The array is the caller's. */
  keysOf(id: bigint): string[] {
    const lease = this.#leases.get(id);
    return lease === undefined ? [] : [...keysOf(lease)];
  }

  /** The same in slices. What is attached or detached between two may show or not. */
  *keysTask(id: bigint, budget: Budget): Task<string[]> {
    const lease = this.#leases.get(id);
    return lease === undefined ? [] : yield* keysTask(lease, budget);
  }

  /**
   * Applies one checkpoint; an unknown lease is ignored. `persist` is cluster version ≥ 3.6 or the gate
   * `LeaseCheckpointPersist`. The expiry changes only at the next promotion or renewal.
   */
  checkpoint(id: bigint, remainingTtl: number, options: { persist: boolean; nowMs: number }): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#refresh(lease);
    lease.remainingTtl = remainingTtl;
    if (options.persist) this.#persist(lease);
    if (this.#promotion !== undefined) this.#scheduleCheckpoint(lease, options.nowMs);
  }

  // Local to the leader.

  /**
   * Makes this member the primary lessor: every lease gets its term again plus `extendMs` (one election timeout),
   * because nobody knows how much the former leader had renewed. Many leases that would now expire together are spread
   * out. Call `promotionStep` until it returns false, within the shortest term.
   */
  promote(nowMs: number, extendMs: number): void {
    const spread = this.#leases.size < this.#spreadCountMin ? undefined : new ExpirySpread(this.#spreadPerSecond);
    this.#promotion = { nowMs, extendMs, spread, rest: this.#leases.values() };
    this.#expiries = new DeadlineHeap();
    this.#checkpointTimers = new DeadlineHeap();
  }

  /** Goes on with the work of the last promotion, `countMax` leases of it. Returns whether there is more. */
  promotionStep(countMax: number = promotionStepCount): boolean {
    const rest = this.#promotion?.rest;
    if (rest === undefined) return false;
    for (let count = 0; count < countMax; count++) {
      const next = rest.next();
      if (next.done === true) return false;
      this.#refresh(next.value);
    }
    return true;
  }

  /** Makes all expiries forever; waits on expired leases end. */
  demote(): void {
    this.#promotion = undefined;
    this.#expiries = new DeadlineHeap();
    this.#checkpointTimers = new DeadlineHeap();
    for (const id of [...this.#waiters.keys()]) this.#settle(id, "demoted");
  }

  renew(id: bigint, nowMs: number, options?: { afterCheckpoint: boolean }): RenewResult {
    if (this.#promotion === undefined) return { kind: "notPrimary" };
    const lease = this.#leases.get(id);
    if (lease === undefined) return { kind: "leaseNotFound" };
    this.#refresh(lease);
    if (lease.expiryMs <= nowMs) return { kind: "expired" };
    if (this.#checkpoints && lease.remainingTtl > 0 && options?.afterCheckpoint !== true)
      return { kind: "checkpointFirst" };
    this.#expireAt(lease, nowMs + fullTermMs(lease));
    return { kind: "renewed", ttl: lease.ttl };
  }

  timeToLive(id: bigint, nowMs: number): TimeToLiveResult {
    const lease = this.#leases.get(id);
    if (lease === undefined) return { kind: "leaseNotFound" };
    if (this.#promotion === undefined) return { kind: "notPrimary" };
    this.#refresh(lease);
    // Adding 0 turns −0, which would be printed, into 0.
    return { kind: "found", ttl: Math.trunc((lease.expiryMs - nowMs) / 1000) + 0, grantedTtl: lease.ttl };
  }

  /**
   * Ids of all leases, the one that expires first at the front; in no particular order where none expires. What is
   * granted, renewed or revoked between two slices may show or not.
   */
  *listTask(budget: Budget): Task<bigint[]> {
    while (this.promotionStep()) {
      budget.left -= promotionStepCount;
      if (budget.spent) yield;
    }
    const leases = this.#leases.valueList();
    if (this.#promotion === undefined) return leases.map((lease) => lease.id);
    const sorted = yield* sortTask(leases, (left, right) => left.expiryMs - right.expiryMs, budget);
    return sorted.map((lease) => lease.id);
  }

  /**
   * Calls back once when the lease is removed ("revoked"; at once if it is unknown) or this member stops being the
   * primary lessor ("demoted"; at once if it is not). Returns a function that gives up the wait.
   */
  onSettled(id: bigint, callback: (settled: Settled) => void): () => void {
    if (!this.#leases.has(id) || this.#promotion === undefined) {
      callback(this.#leases.has(id) ? "demoted" : "revoked");
      return () => {};
    }
    let waiters = this.#waiters.get(id);
    if (waiters === undefined) {
      waiters = new Set();
      this.#waiters.set(id, waiters);
    }
    // The callback may be registered twice: each wait is its own object.
    const waiter = (settled: Settled): void => callback(settled);
    waiters.add(waiter);
    return () => {
      const current = this.#waiters.get(id);
      current?.delete(waiter);
      if (current?.size === 0) this.#waiters.delete(id);
    };
  }

  /**
   * Ids of leases that are expired, the oldest expiry first, at most `limit`; the leader proposes their revokes. A
   * lease that still exists is handed out again after the retry interval. Call it twice a second, and only while there
   * is room for proposals: what is not taken waits here.
   */
  takeExpired(nowMs: number, limit: number = leaseExpiredBatchMax): bigint[] {
    this.promotionStep();
    const expired: bigint[] = [];
    while (expired.length < limit) {
      const lease = this.#expiries.peek();
      if (lease === undefined || lease.dueMs > nowMs) break;
      assert(lease.expiryMs <= lease.dueMs, "a lease is due when it expires or later");
      this.#expiries.set(lease, nowMs + this.#expiredRetryMs);
      expired.push(lease.id);
    }
    return expired;
  }

  /**
   * Whether the lease is still to be revoked: what was expired once may have been renewed, or extended by a promotion.
   */
  isExpired(id: bigint, nowMs: number): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined || this.#promotion === undefined) return false;
    this.#refresh(lease);
    return lease.expiryMs <= nowMs;
  }

  /**
   * Checkpoints to propose now, at most `limit`. Each lease comes again after the checkpoint interval, also when the
   * proposal is lost.
   */
  takeCheckpoints(nowMs: number, limit: number = leaseCheckpointBatchMax): LeaseCheckpoint[] {
    const checkpoints: LeaseCheckpoint[] = [];
    while (checkpoints.length < limit) {
      const timer = this.#checkpointTimers.peek();
      if (timer === undefined || timer.dueMs > nowMs) break;
      this.#checkpointTimers.remove(timer);
      const lease = timer.lease;
      if (lease.expiryMs <= nowMs) continue;
      this.#scheduleCheckpoint(lease, nowMs);
      const remainingTtl = Math.ceil((lease.expiryMs - nowMs) / 1000);
      if (remainingTtl < lease.ttl) checkpoints.push({ id: lease.id, remainingTtl });
    }
    return checkpoints;
  }

  /** Gives the lease its expiry under the current promotion, if there is one and it has none yet. */
  #refresh(lease: Lease): void {
    const promotion = this.#promotion;
    if (promotion === undefined || lease.promotion === promotion) return;
    this.#enter(lease, promotion);
    const remainingMs = promotion.extendMs + fullTermMs(lease);
    const delayMs = promotion.spread?.delayMs(remainingMs) ?? 0;
    this.#expireAt(lease, promotion.nowMs + remainingMs + delayMs);
    this.#scheduleCheckpoint(lease, promotion.nowMs);
  }

  /** What the lease knows of the heaps of former promotions is void. */
  #enter(lease: Lease, promotion: Promotion): void {
    lease.promotion = promotion;
    lease.position = -1;
    lease.checkpoint = undefined;
  }

  #expireAt(lease: Lease, expiryMs: number): void {
    assert(lease.promotion === this.#promotion, "an expiry belongs to the current promotion");
    lease.expiryMs = expiryMs;
    this.#expiries.set(lease, expiryMs);
  }

  #scheduleCheckpoint(lease: Lease, nowMs: number): void {
    if (!this.#checkpoints || fullTermMs(lease) <= this.#checkpointIntervalMs) return;
    lease.checkpoint ??= { lease, dueMs: 0, position: -1 };
    this.#checkpointTimers.set(lease.checkpoint, nowMs + this.#checkpointIntervalMs);
  }

  #persist(lease: Lease): void {
    this.#backend.put("lease", leaseRowKey(lease.id), encodeLeaseRow(lease));
  }

  #settle(id: bigint, settled: Settled): void {
    const waiters = this.#waiters.get(id);
    if (waiters === undefined) return;
    this.#waiters.delete(id);
    for (const waiter of waiters) waiter(settled);
  }
}
