/**
 * The replicated state machine: applies raft entries, strictly in order, to the store. Source:
 * server/etcdserver/apply/{uber_apply,apply,apply_auth}.go.
 *
 * Most entries finish in one call. One that touches much goes on in budgeted steps (`apply`, then `resume` until there
 * is an outcome); no other entry starts meanwhile. Its revision, its events and its applied index are published in the
 * last step, so readers and a crash see all of it or nothing.
 *
 * etcd's wrappers around the applier are checks in their order: CORRUPT alarm, NOSPACE alarm, authorisation, quota.
 */

import { InternalField, InternalRequestSpan, latin1FromBytes, type Reason, scanInternalRequest } from "@etcd-ts/api";
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  decodeAlarmRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseCheckpointRequest,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  PutRequestSpans,
  scanPutRequest,
  type TxnRequest,
} from "@etcd-ts/api/etcdserverpb";
import {
  decodeClusterMemberAttrSetRequest,
  decodeClusterVersionSetRequest,
  decodeDowngradeInfoSetRequest,
} from "@etcd-ts/api/membershippb";
import { assert } from "../assert.js";
import type { Backend } from "../backend.js";
import { Budget, compareKeys, sortTask, type Task } from "../mvcc/budget.js";
import type { Mvcc } from "../mvcc/mvcc.js";
import { intervalOf } from "../mvcc/range.js";
import type { RestoringIndex } from "../mvcc/restore.js";
import type { WriteTxn } from "../mvcc/write-txn.js";
import { executePut, mayBeRefused, refusePut } from "../txn/execute-put.js";
import { runSmallTxn, type TxnPorts, txnTask } from "../txn/execute-txn.js";
import type { Refused, TxnResult } from "../txn/outcome.js";
import { type Applied, readApplied } from "./applied.js";
import type { DoneOutcome, Outcome } from "./outcome.js";
import { type AlarmTable, type AuthPort, type LeaseTable, type MembershipTable, noAuth } from "./ports.js";
import { costOfKeyValue, costOfLeaseGrant, costOfTxn, type Quota } from "./quota.js";

/**
 * A normal entry of the raft log. `data` is an InternalRaftRequest; empty or undefined it is a new leader's. It is read
 * until there is an outcome.
 */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array | undefined;
}

export interface ApplyOptions {
  /** False when the entry's effects are in the backend already: its index is not above the backend's. */
  readonly shouldApply: boolean;
  /** Whether someone here waits for the result of the request with this id. */
  readonly wantsResult: (id: bigint) => boolean;
  /** Monotonic milliseconds; only local lease expiry sees it. */
  readonly nowMs: number;
}

export interface StateMachineOptions {
  readonly backend: Backend;
  readonly mvcc: Mvcc;
  readonly leases: LeaseTable;
  readonly alarms: AlarmTable;
  readonly membership: MembershipTable;
  readonly auth: AuthPort;
  readonly quota: Quota;
  /** Feature gate `LeaseCheckpointPersist`; a cluster version of 3.6 or more persists checkpoints anyway. */
  readonly persistsCheckpoints?: boolean;
}

/** An entry under way. */
interface Running {
  readonly index: number;
  readonly term: number;
  readonly task: Task<Outcome>;
}

/** What deleting one of a lease's keys costs: finding it in the index and in the lessor, and its tombstone. */
const revokeUnits = 4;

const noBytes = new Uint8Array(0);
const empty: Outcome = { kind: "empty" };
const skipped: Outcome = { kind: "skipped" };

export class StateMachine {
  readonly #mvcc: Mvcc;
  readonly #leases: LeaseTable;
  readonly #alarms: AlarmTable;
  readonly #membership: MembershipTable;
  readonly #auth: AuthPort;
  readonly #quota: Quota;
  readonly #persistsCheckpoints: boolean;
  readonly #budget = new Budget(0);
  readonly #span = new InternalRequestSpan();
  readonly #putSpans = new PutRequestSpans();
  #backend: Backend;
  #applied: Applied;
  #running: Running | undefined;
  /** The transaction of the entry under way, once it has written. */
  #txn: WriteTxn | undefined;

  constructor(options: StateMachineOptions) {
    this.#backend = options.backend;
    this.#mvcc = options.mvcc;
    this.#leases = options.leases;
    this.#alarms = options.alarms;
    this.#membership = options.membership;
    this.#auth = options.auth;
    this.#quota = options.quota;
    this.#persistsCheckpoints = options.persistsCheckpoints ?? false;
    this.#applied = readApplied(options.backend);
  }

  /** Index and term of the last entry whose effects are in the backend. */
  get applied(): Applied {
    return this.#applied;
  }

  /** Whether an entry is under way. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Id of the request applied last or under way; 0n when it had none. */
  get requestId(): bigint {
    return this.#span.id;
  }

  /**
   * Loads the whole state from `backend` in slices, at boot or after a snapshot has replaced the database. Until the
   * last slice, reads answer from the old state. `rows` is the database's index, if that was made already; see
   * `Mvcc.startRestore`.
   */
  *restoreTask(backend: Backend, budget: Budget, rows?: RestoringIndex): Task<void> {
    assert(!this.busy, "no entry is under way while the database is replaced");
    // Leases come first, because the store attaches its keys to them.
    yield* this.#mvcc.replaceTask(backend, budget, () => this.#leases.restoreTask(backend, budget), rows);
    this.#backend = backend;
    this.#alarms.restore(backend);
    this.#auth.restore(backend);
    this.#membership.restore(backend);
    this.#applied = readApplied(backend);
  }

  /**
   * Applies the next entry. Undefined: it touches much and was begun; call `resume` until there is an outcome, and
   * apply nothing else before. `budget` is in keys touched, about a microsecond each.
   */
  apply(entry: AppliedEntry, options: ApplyOptions, budget: number): Outcome | undefined {
    assert(!this.busy, "one entry is applied at a time");
    this.#span.id = 0n;
    const { data = noBytes } = entry;
    if (!options.shouldApply) return data.length === 0 ? empty : skipped;
    assert(entry.index > this.#applied.index, "entries are applied in order, each once");
    if (data.length === 0) return this.#finish(entry.index, entry.term, empty);
    scanInternalRequest(data, 0, data.length, this.#span);
    assert(this.#span.id !== 0n, "an entry carries the id of its request");
    this.#budget.left = budget;
    const dispatched = this.#dispatch(data, entry.index, options);
    if ("kind" in dispatched) return this.#finish(entry.index, entry.term, dispatched);
    this.#running = { index: entry.index, term: entry.term, task: dispatched };
    return this.resume(budget);
  }

  /** Goes on with the entry under way; undefined when it is not yet done. */
  resume(budget: number): Outcome | undefined {
    const running = this.#running;
    assert(running !== undefined, "an entry is under way");
    this.#budget.left = budget;
    const step = running.task.next();
    if (step.done !== true) return undefined;
    this.#running = undefined;
    return this.#finish(running.index, running.term, step.value);
  }

  /** Records an entry that was applied elsewhere (a configuration change) or has no effect. */
  sealEntry(index: number, term: number): void {
    assert(!this.busy, "no entry is under way");
    assert(index > this.#applied.index, "entries are applied in order, each once");
    this.#finish(index, term, empty);
  }

  /** Does about `rowsMax` rows of compaction work between entries; true when more remains. */
  compactionStep(rowsMax: number): boolean {
    if (!this.#mvcc.compactionPending) return false;
    const more = this.#mvcc.compactionStep(rowsMax);
    // What an unfinished entry has written must not be sealed; the compaction's rows then wait for it.
    if (this.busy) return more;
    if (this.#applied.index > 0) this.#backend.sealEntry(this.#applied.index, this.#applied.term);
    this.#mvcc.completeCompactions();
    return more;
  }

  #finish(index: number, term: number, outcome: Outcome): Outcome {
    const txn = this.#txn;
    this.#txn = undefined;
    this.#applied = { index, term };
    if (txn !== undefined) this.#mvcc.publish(txn);
    this.#backend.sealEntry(index, term);
    this.#mvcc.completeCompactions();
    if (outcome.kind === "compaction") this.#backend.requestCommit();
    return outcome;
  }

  readonly #begin = (): WriteTxn => {
    this.#txn = this.#mvcc.begin();
    return this.#txn;
  };

  #refuse(reason: Reason): Outcome {
    return { kind: "refused", reason, revision: this.#mvcc.currentRevision(), completion: undefined };
  }

  #done(kind: DoneOutcome["kind"]): Outcome {
    return { kind, revision: this.#mvcc.currentRevision() };
  }

  #dispatch(data: Uint8Array, index: number, options: ApplyOptions): Outcome | Task<Outcome> {
    const { field, start, end } = this.#span;
    assert(field !== undefined, "an entry carries a request that this version knows");
    if (corruptRefuses.has(field) && this.#alarms.has(AlarmType.CORRUPT)) return this.#refuse("corrupt");
    switch (field) {
      case InternalField.put:
        return this.#put(data, start, end);
      case InternalField.range:
        if (!options.wantsResult(this.#span.id)) return skipped;
        return this.#rangeTask(data, start, end);
      case InternalField.deleteRange:
        return this.#deleteRange(data, start, end);
      case InternalField.txn:
        return this.#transaction(data, start, end, options.wantsResult(this.#span.id));
      case InternalField.compaction:
        return this.#compaction(data, start, end);
      case InternalField.leaseGrant:
        return this.#leaseGrant(data, start, end, options.nowMs);
      case InternalField.leaseRevoke:
        return this.#leaseRevoke(data, start, end);
      case InternalField.leaseCheckpoint:
        return this.#leaseCheckpoint(data, start, end, options.nowMs);
      case InternalField.alarm:
        return this.#alarm(data, start, end);
      case InternalField.clusterVersionSet:
        this.#membership.setClusterVersion(decodeClusterVersionSetRequest(data, start, end).ver);
        return this.#done("clusterVersionSet");
      case InternalField.clusterMemberAttrSet:
        return this.#memberAttributes(data, start, end);
      case InternalField.downgradeInfoSet: {
        const { enabled, ver } = decodeDowngradeInfoSetRequest(data, start, end);
        this.#membership.setDowngrade({ enabled, targetVersion: ver });
        return this.#done("downgradeInfoSet");
      }
      case InternalField.downgradeVersionTest:
        return this.#done("downgradeVersionTest");
      default:
        if (authReads.has(field) && !options.wantsResult(this.#span.id)) return skipped;
        return this.#authEntry(field, data, index);
    }
  }

  #put(data: Uint8Array, start: number, end: number): Outcome {
    const put = this.#putSpans;
    scanPutRequest(data, start, end, put);
    if (this.#alarms.has(AlarmType.NOSPACE)) return this.#refuse("noSpace");
    // The request as an object is for the authorisation only: without any, a put is not worth two more views.
    const reason =
      this.#auth === noAuth
        ? undefined
        : this.#auth.refusePut(this.#span, decodePutRequest(data, start, end), this.#leases);
    if (reason !== undefined) return this.#refuse(reason);
    const { keyStart, keyEnd, valueStart, valueEnd } = put;
    const allowed = this.#quota.allows(this.#backend, costOfKeyValue(keyEnd - keyStart, valueEnd - valueStart));
    const key = latin1FromBytes(data, keyStart, keyEnd);
    const refused = mayBeRefused(put) ? refusePut(this.#mvcc.view(), this.#leases, key, put) : undefined;
    if (refused !== undefined) return this.#refuse(refused);
    const result = executePut(this.#begin(), key, data.subarray(valueStart, valueEnd), put);
    return allowed ? result : this.#refuse("noSpace");
  }

  *#rangeTask(data: Uint8Array, start: number, end: number): Task<Outcome> {
    const request = decodeRangeRequest(data, start, end);
    const reason = this.#auth.refuseRange(this.#span, request);
    if (reason !== undefined) return this.#refuse(reason);
    const result = yield* this.#mvcc.view().rangeTask(request, this.#budget);
    return result.kind === "range" ? result : this.#refuse(result.reason);
  }

  #deleteRange(data: Uint8Array, start: number, end: number): Outcome | Task<Outcome> {
    const request = decodeDeleteRangeRequest(data, start, end);
    const reason = this.#auth.refuseDeleteRange(this.#span, request);
    if (reason !== undefined) return this.#refuse(reason);
    const interval = intervalOf(request.key, request.rangeEnd);
    if (interval.point) return this.#begin().deletePoint(interval.lo, request);
    return this.#begin().deleteTask(interval, request, this.#budget);
  }

  #transaction(data: Uint8Array, start: number, end: number, wantsResult: boolean): Outcome | Task<Outcome> {
    const request = decodeTxnRequest(data, start, end);
    const cost = costOfTxn(request);
    if (cost > 0 && this.#alarms.has(AlarmType.NOSPACE)) return this.#refuse("noSpace");
    const reason = this.#auth.refuseTxn(this.#span, request, this.#leases);
    if (reason !== undefined) return this.#refuse(reason);
    const allowed = this.#quota.allows(this.#backend, cost);
    const ports = {
      before: this.#mvcc.view(),
      leases: this.#leases,
      begin: this.#begin,
      wantsResult,
      budget: this.#budget,
    };
    const result = runSmallTxn(request, ports);
    return result === undefined ? this.#txnTask(request, ports, allowed) : this.#txnOutcome(result, allowed);
  }

  *#txnTask(request: TxnRequest, ports: TxnPorts, allowed: boolean): Task<Outcome> {
    return this.#txnOutcome(yield* txnTask(request, ports), allowed);
  }

  #txnOutcome(result: TxnResult | Refused, allowed: boolean): Outcome {
    if (result.kind === "refused") return this.#refuse(result.reason);
    return allowed ? result : this.#refuse("noSpace");
  }

  #compaction(data: Uint8Array, start: number, end: number): Outcome {
    const { revision: compactRevision, physical } = decodeCompactionRequest(data, start, end);
    const { reason, completion } = this.#mvcc.compact(compactRevision);
    const revision = this.#mvcc.currentRevision();
    if (reason !== undefined)
      return { kind: "refused", reason, revision, completion: physical ? completion : undefined };
    assert(completion !== undefined, "an accepted compaction has work to be done");
    return { kind: "compaction", revision, physical, completion };
  }

  #leaseGrant(data: Uint8Array, start: number, end: number, nowMs: number): Outcome {
    const request = decodeLeaseGrantRequest(data, start, end);
    if (this.#alarms.has(AlarmType.NOSPACE)) return this.#refuse("noSpace");
    const allowed = this.#quota.allows(this.#backend, costOfLeaseGrant(request));
    const granted = this.#leases.grant(request.id, request.ttl, nowMs);
    if (granted.kind === "refused") return this.#refuse(granted.reason);
    if (!allowed) return this.#refuse("noSpace");
    return { kind: "leaseGrant", revision: this.#mvcc.currentRevision(), id: granted.id, ttl: granted.ttl };
  }

  /** Deletes the lease's keys in byte order, in one revision, and the lease with them. */
  #leaseRevoke(data: Uint8Array, start: number, end: number): Outcome | Task<Outcome> {
    const { id } = decodeLeaseRevokeRequest(data, start, end);
    if (!this.#leases.exists(id)) return this.#refuse("leaseNotFound");
    return this.#revokeTask(id);
  }

  *#revokeTask(id: bigint): Task<Outcome> {
    const keys = yield* this.#leases.keysTask(id, this.#budget);
    const reason = this.#auth.refuseLeaseRevoke(this.#span, keys);
    if (reason !== undefined) return this.#refuse(reason);
    const sorted = yield* sortTask(keys, compareKeys, this.#budget);
    const txn = this.#begin();
    for (const key of sorted) {
      txn.deleteKey(key);
      this.#budget.left -= revokeUnits;
      if (this.#budget.spent) yield;
    }
    this.#leases.remove(id);
    return { kind: "leaseRevoke", revision: txn.currentRevision };
  }

  #leaseCheckpoint(data: Uint8Array, start: number, end: number, nowMs: number): Outcome {
    const persist = this.#persistsCheckpoints || isAtLeast36(this.#membership.clusterVersion());
    for (const { id, remainingTtl } of decodeLeaseCheckpointRequest(data, start, end).checkpoints) {
      this.#leases.checkpoint(id, remainingTtl, { persist, nowMs });
    }
    return this.#done("leaseCheckpoint");
  }

  #alarm(data: Uint8Array, start: number, end: number): Outcome {
    const { action, memberId, alarm } = decodeAlarmRequest(data, start, end);
    const revision = this.#mvcc.currentRevision();
    if (action === AlarmRequest_AlarmAction.GET) return { kind: "alarm", revision, alarms: this.#alarms.get(alarm) };
    let changed: ReturnType<AlarmTable["activate"]>;
    if (action === AlarmRequest_AlarmAction.ACTIVATE) changed = this.#alarms.activate(memberId, alarm);
    if (action === AlarmRequest_AlarmAction.DEACTIVATE) changed = this.#alarms.deactivate(memberId, alarm);
    return { kind: "alarm", revision, alarms: changed === undefined ? [] : [changed] };
  }

  #memberAttributes(data: Uint8Array, start: number, end: number): Outcome {
    const { memberId, memberAttributes } = decodeClusterMemberAttrSetRequest(data, start, end);
    this.#membership.setAttributes(memberId, {
      name: memberAttributes?.name ?? "",
      clientUrls: memberAttributes?.clientUrls ?? [],
    });
    return this.#done("clusterMemberAttrSet");
  }

  #authEntry(field: InternalField, bytes: Uint8Array, index: number): Outcome {
    const { start, end } = this.#span;
    const sender = this.#span;
    const result = this.#auth.apply({ field, bytes, start, end, index, sender });
    if (result.kind === "refused") return this.#refuse(result.reason);
    return { kind: "auth", revision: this.#mvcc.currentRevision(), response: result.response };
  }
}

/** Whether a cluster version is 3.6 or later. */
function isAtLeast36(version: string | undefined): boolean {
  if (version === undefined) return false;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 6);
}

/** Requests that a CORRUPT alarm refuses. */
const corruptRefuses: ReadonlySet<InternalField> = new Set([
  InternalField.put,
  InternalField.range,
  InternalField.deleteRange,
  InternalField.txn,
  InternalField.compaction,
  InternalField.leaseGrant,
  InternalField.leaseRevoke,
]);

/** Auth requests that only read, so that nobody but who waits needs them. */
const authReads: ReadonlySet<InternalField> = new Set([
  InternalField.authUserGet,
  InternalField.authRoleGet,
  InternalField.authStatus,
]);
