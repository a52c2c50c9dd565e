/**
 * What apply needs of the other parts of the replicated state, declared where it is used. All of them write only
 * through the backend, within the entry that is being applied.
 */

import type { InternalField, Reason } from "@etcd-ts/api";
import type { AlarmMember, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest } from "@etcd-ts/api/etcdserverpb";
import type { Backend } from "../backend.js";
import type { Budget, Task } from "../mvcc/budget.js";
import type { LeaseAttachments } from "../mvcc/write-txn.js";

/** A part whose state lives in the backend. */
export interface Restorable {
  /** Loads everything from `backend`, at boot or after a snapshot has replaced the database. */
  restore(backend: Backend): void;
}

export type LeaseGrant =
  | { readonly kind: "granted"; readonly id: bigint; readonly ttl: number }
  | { readonly kind: "refused"; readonly reason: Reason };

/** The lessor. Keys are latin1 strings; times are monotonic milliseconds and touch only local expiry. */
export interface LeaseTable extends LeaseAttachments {
  /** Loads all leases from `backend` in slices, without keys. */
  restoreTask(backend: Backend, budget: Budget): Task<void>;
  exists(id: bigint): boolean;
  /** The keys attached to a lease in no order; none for an unknown lease. */
  keysOf(id: bigint): readonly string[];
  /** The same, copied in slices. */
  keysTask(id: bigint, budget: Budget): Task<readonly string[]>;
  /** `ttl` in seconds as asked for; the result carries the granted one. */
  grant(id: bigint, ttl: number, nowMs: number): LeaseGrant;
  /** Removes a lease and its row; false when it is unknown. */
  remove(id: bigint): boolean;
  checkpoint(id: bigint, remainingTtl: number, options: { readonly persist: boolean; readonly nowMs: number }): void;
}

export interface AlarmTable extends Restorable {
  /** Whether any member has raised an alarm of this type. */
  has(type: number): boolean;
  /** The alarms of a type; of all types for 0. */
  get(type: number): readonly AlarmMember[];
  /** Raises an alarm and returns it; undefined for type 0. */
  activate(memberId: bigint, type: number): AlarmMember | undefined;
  /** Clears an alarm and returns it; undefined when it was not raised. */
  deactivate(memberId: bigint, type: number): AlarmMember | undefined;
}

export interface MembershipTable extends Restorable {
  /** `3.7.0`; undefined until it is decided. */
  clusterVersion(): string | undefined;
  setClusterVersion(version: string): void;
  /** False when the member is unknown or removed. */
  setAttributes(id: bigint, attributes: { readonly name: string; readonly clientUrls: readonly string[] }): boolean;
  setDowngrade(downgrade: { readonly enabled: boolean; readonly targetVersion: string }): void;
}

/** Who proposed an entry, as its header says. */
export interface Sender {
  /** Empty: nobody. */
  readonly username: string;
  readonly authRevision: number;
}

/** An auth_* or authenticate entry: which one, and where its request lies. */
export interface AuthEntry {
  readonly field: InternalField;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Raft index of the entry. */
  readonly index: number;
  readonly sender: Sender;
}

export type AuthResult =
  | { readonly kind: "done"; readonly response: Uint8Array }
  | { readonly kind: "refused"; readonly reason: Reason };

/** Authentication and authorisation, as far as apply needs them. The `refuse…` methods give the reason, if any. */
export interface AuthPort extends Restorable {
  /** `leases` tells which keys the put's lease is attached to already. */
  refusePut(sender: Sender, request: PutRequest, leases: Pick<LeaseTable, "keysOf">): Reason | undefined;
  refuseRange(sender: Sender, request: RangeRequest): Reason | undefined;
  refuseDeleteRange(sender: Sender, request: DeleteRangeRequest): Reason | undefined;
  refuseTxn(sender: Sender, request: TxnRequest, leases: Pick<LeaseTable, "keysOf">): Reason | undefined;
  /** `keys` are those attached to the lease, which exists. */
  refuseLeaseRevoke(sender: Sender, keys: readonly string[]): Reason | undefined;
  apply(entry: AuthEntry): AuthResult;
}

/** No authentication: everyone may do everything, and nothing can be set up. */
export const noAuth: AuthPort = {
  restore: () => undefined,
  refusePut: () => undefined,
  refuseRange: () => undefined,
  refuseDeleteRange: () => undefined,
  refuseTxn: () => undefined,
  refuseLeaseRevoke: () => undefined,
  apply: () => ({ kind: "refused", reason: "notCapable" }),
};
