/**
 * What applying an entry results in. `revision` is the revision of the response header: the store's after the entry.
 */

import type { AlarmMember } from "@etcd-ts/api/etcdserverpb";
import type { Completion } from "../mvcc/compactor.js";
import type { RangeResult } from "../mvcc/range.js";
import type { DeleteResult } from "../mvcc/write-txn.js";
import type { PutResult, Refused, TxnResult } from "../txn/outcome.js";

/** The no-op of a new leader's term. */
export interface EmptyOutcome {
  readonly kind: "empty";
}

/** Nothing was done: the entry was applied before, or it only reads and nobody waits for it. */
export interface SkippedOutcome {
  readonly kind: "skipped";
}

/** A refusal by apply. Only one of a compaction has something to wait for. */
export interface RefusedOutcome extends Refused {
  readonly revision: number;
  /** The compactions accepted before, for which a physical request waits before it is answered. */
  readonly completion: Completion | undefined;
}

export interface CompactionOutcome {
  readonly kind: "compaction";
  readonly revision: number;
  readonly physical: boolean;
  /** The physical work; a physical request waits for it and then for a commit. */
  readonly completion: Completion;
}

export interface LeaseGrantOutcome {
  readonly kind: "leaseGrant";
  readonly revision: number;
  readonly id: bigint;
  /** Seconds, after a raise to the minimum. */
  readonly ttl: number;
}

/** A lease was revoked, checkpoints were stored, or the membership's attributes or the cluster version were. */
export interface DoneOutcome {
  readonly kind:
    | "leaseRevoke"
    | "leaseCheckpoint"
    | "clusterVersionSet"
    | "clusterMemberAttrSet"
    | "downgradeInfoSet"
    | "downgradeVersionTest";
  readonly revision: number;
}

export interface AlarmOutcome {
  readonly kind: "alarm";
  readonly revision: number;
  readonly alarms: readonly AlarmMember[];
}

/** What an auth entry results in; `response` is the encoded response message without its header. */
export interface AuthOutcome {
  readonly kind: "auth";
  readonly revision: number;
  readonly response: Uint8Array;
}

export type Outcome =
  | EmptyOutcome
  | SkippedOutcome
  | RefusedOutcome
  | RangeResult
  | PutResult
  | DeleteResult
  | TxnResult
  | CompactionOutcome
  | LeaseGrantOutcome
  | DoneOutcome
  | AlarmOutcome
  | AuthOutcome;
