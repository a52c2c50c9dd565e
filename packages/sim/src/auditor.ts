/**
 * Judges what clients saw by the committed log, while it happens:
 *
 * - strict serializability: the order is that of revisions; each answer is what the model holds at its revision, and a
 *   call that began after another had returned has a revision at least as high, or higher if it writes;
 * - nothing is answered before it is committed, and what was definitely refused is never done;
 * - the properties of watches: see watch-auditor.ts;
 * - leases: nobody but its owner revokes a lease before its time, and none is renewed once clients could see that it is
 *   gone.
 */

import type { Answer, Fact, Request, SeenKey } from "./history.js";
import { StateModel, type Version } from "./model.js";
import { WatchAuditor } from "./watch-auditor.js";

/** A property does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface OpenCall {
  readonly request: Request;
  readonly invokedAt: number;
  /** Highest revision that any answer had shown when the call began. */
  readonly floor: number;
  /** What clients had been told is compacted. */
  readonly compacted: number;
}

interface LeaseRecord {
  ttlMs: number;
  /** Until when it must live, in the world's time. */
  until: number;
  isRevokedByClient: boolean;
  /** When a client was told that it is gone. */
  goneAt: number;
  /** Whoever has seen this revision has seen that it is gone. */
  goneRevision: number;
}

export interface AuditorOptions {
  /** A member's clock may run this much faster than the world's: 1 = not at all. */
  readonly clockRateMax: number;
  violation(reason: string): void;
}

export class Auditor {
  readonly model: StateModel;
  readonly #options: AuditorOptions;
  readonly #calls = new Map<number, OpenCall>();
  readonly #watches = new Map<number, WatchAuditor>();
  readonly #leases = new Map<bigint, LeaseRecord>();
  readonly #refusedValues = new Map<string, string>();
  /** Values that the log has put. */
  readonly #doneValues = new Set<string>();
  /** Revisions that answers said to have made. */
  readonly #claimed = new Set<number>();
  #revisionSeen = 0;
  #compactedSeen = 0;
  #now = 0;
  answers = 0;

  constructor(options: AuditorOptions) {
    this.#options = options;
    this.model = new StateModel({
      leaseRevoked: (id, revision) => this.#leaseRevoked(id, revision),
      violation: (reason) => options.violation(reason),
    });
  }

  /** Highest revision that any answer has shown. */
  get revisionSeen(): number {
    return this.#revisionSeen;
  }

  observe(fact: Fact): void {
    switch (fact.kind) {
      case "commit":
        this.#now = fact.at;
        return this.#commit(fact.data);
      case "invoke":
        this.#now = fact.at;
        return this.#invoke(fact.id, fact.request);
      case "return":
        this.#now = fact.at;
        return this.#return(fact.id, fact.answer);
      case "watch":
        this.#watches.set(
          fact.id,
          new WatchAuditor(this.model, fact.spec, (reason) => this.#fail(`watch ${fact.id}: ${reason}`)),
        );
        return;
      case "watched":
        this.#watches.get(fact.id)?.observe(fact.fact);
    }
  }

  watch(id: number): WatchAuditor | undefined {
    return this.#watches.get(id);
  }

  #fail(reason: string): void {
    this.#options.violation(reason);
  }

  #commit(data: Uint8Array | undefined): void {
    const before = this.model.revision;
    this.model.apply(data);
    if (this.model.revision === before) return;
    for (const { key, value } of this.model.changes(this.model.revision)) {
      if (value === "") continue;
      this.#doneValues.add(value);
      const why = this.#refusedValues.get(value);
      if (why !== undefined) this.#fail(`put of ${value} to ${key} was refused (${why}) and done`);
    }
  }

  #invoke(id: number, request: Request): void {
    this.#calls.set(id, { request, invokedAt: this.#now, floor: this.#revisionSeen, compacted: this.#compactedSeen });
    if (request.kind === "revoke") this.#lease(request.lease).isRevokedByClient = true;
  }

  #return(id: number, answer: Answer): void {
    const call = this.#calls.get(id);
    if (call === undefined) return this.#fail(`call ${id} was answered twice`);
    this.#calls.delete(id);
    if (answer.kind === "lost") return;
    this.answers++;
    if (answer.kind === "refused") return this.#refused(call, answer);
    const fault = this.#faultOf(call, answer) ?? this.#claimFault(call.request, answer);
    if (fault !== undefined) this.#fail(`${describe(call.request)} at revision ${answer.revision}: ${fault}`);
    const { request } = call;
    const isStale = request.kind === "get" && request.serializable;
    if (!isStale && answer.revision > this.#revisionSeen) this.#revisionSeen = answer.revision;
  }

  #refused({ request }: OpenCall, answer: Extract<Answer, { kind: "refused" }>): void {
    if (!answer.isDefinite || !("value" in request)) return;
    const why = `${answer.code} ${answer.message}`;
    this.#refusedValues.set(request.value, why);
    if (this.#doneValues.has(request.value)) this.#fail(`${describe(request)} was done and refused (${why})`);
  }

  /** Why the answer is wrong; undefined when it is right. */
  #faultOf(call: OpenCall, answer: Extract<Answer, { kind: "ok" }>): string | undefined {
    const { request, floor } = call;
    const { revision, keys } = answer;
    if (revision > this.model.revision) return `answered before it was committed (revision ${this.model.revision})`;
    const isWrite = this.#changed(request, answer);
    const isStale = request.kind === "get" && request.serializable;
    const isRead = request.kind === "get" || isWrite !== undefined;
    if (isRead && !isStale && revision < floor) return `stale: revision ${floor} had been seen before the call began`;
    if (isWrite === true && revision <= floor) return `not new: revision ${floor} had been seen before the call began`;
    switch (request.kind) {
      case "get": {
        const at = request.revision > 0 ? request.revision : revision;
        if (!isStale && at < call.compacted) return `revision ${call.compacted} was known to be compacted`;
        return difference(this.model.range(request.range, at), keys);
      }
      case "put":
        return this.#putFault(revision, request.key, request.value, request.lease);
      case "delete":
        if (isWrite !== true) return this.#absenceFault(request.key, revision);
        return this.#deletionFault(revision, request.key);
      case "cas":
        return this.#casFault(request, answer);
      case "move":
        return this.#putFault(revision, request.to, request.value, 0n) ?? this.#absenceFault(request.from, revision);
      case "grant":
        this.#extend(request.lease, call.invokedAt, answer.ttl);
        return undefined;
      case "keep-alive":
        return answer.ttl > 0 ? this.#renewalFault(call, request.lease, answer.ttl) : undefined;
      case "revoke":
        if (this.model.hasLease(request.lease)) return "the lease is still there";
        this.#lease(request.lease).goneAt = this.#now;
        return undefined;
      case "compact":
        if (this.model.compactRevision < request.revision) return "nothing was compacted";
        this.#compactedSeen = Math.max(this.#compactedSeen, request.revision);
        return undefined;
    }
  }

  /** Whether a call changed keys; undefined for one that has nothing to do with keys. */
  #changed(request: Request, answer: Extract<Answer, { kind: "ok" }>): boolean | undefined {
    switch (request.kind) {
      case "put":
      case "move":
        return true;
      case "cas":
        return answer.succeeded;
      case "delete":
        return answer.succeeded;
      default:
        return undefined;
    }
  }

  /** A revision is of one writer. */
  #claimFault(request: Request, answer: Extract<Answer, { kind: "ok" }>): string | undefined {
    if (this.#changed(request, answer) !== true) return undefined;
    if (this.#claimed.has(answer.revision)) return "another call has made that revision";
    this.#claimed.add(answer.revision);
    return undefined;
  }

  #putFault(revision: number, key: string, value: string, lease: bigint): string | undefined {
    const change = this.model.changes(revision).find((one) => one.key === key);
    if (change === undefined) return `revision ${revision} does not change ${key}`;
    if (change.value !== value) return `revision ${revision} puts ${change.value}`;
    return change.lease === lease ? undefined : `revision ${revision} has lease ${change.lease}`;
  }

  #deletionFault(revision: number, key: string): string | undefined {
    const change = this.model.changes(revision).find((one) => one.key === key);
    return change?.version === 0 ? undefined : `revision ${revision} does not delete ${key}`;
  }

  #absenceFault(key: string, revision: number): string | undefined {
    const found = this.model.get(key, revision);
    return found === undefined ? undefined : `${key} is there, from revision ${found.modRevision}`;
  }

  #casFault(request: Extract<Request, { kind: "cas" }>, answer: Extract<Answer, { kind: "ok" }>): string | undefined {
    const { key, value, modRevision } = request;
    if (!answer.succeeded) {
      const found = this.model.get(key, answer.revision);
      if ((found?.modRevision ?? 0) === modRevision) return `refused, though ${key} is as expected`;
      return difference(found === undefined ? [] : [found], answer.keys);
    }
    const before = this.model.get(key, answer.revision - 1)?.modRevision ?? 0;
    if (before !== modRevision) return `succeeded, though ${key} was of revision ${before}`;
    return this.#putFault(answer.revision, key, value, 0n);
  }

  #lease(id: bigint): LeaseRecord {
    let record = this.#leases.get(id);
    if (record === undefined) {
      const never = Number.POSITIVE_INFINITY;
      record = { ttlMs: 0, until: 0, isRevokedByClient: false, goneAt: never, goneRevision: never };
      this.#leases.set(id, record);
    }
    return record;
  }

  #renewalFault(call: OpenCall, id: bigint, ttlSeconds: number): string | undefined {
    const { goneAt, goneRevision } = this.#lease(id);
    if (goneAt < call.invokedAt || goneRevision <= call.floor) return "the lease was known to be gone";
    this.#extend(id, call.invokedAt, ttlSeconds);
    return undefined;
  }

  #extend(id: bigint, from: number, ttlSeconds: number): void {
    const record = this.#lease(id);
    record.ttlMs = ttlSeconds * 1000;
    record.until = Math.max(record.until, from + record.ttlMs / this.#options.clockRateMax);
  }

  #leaseRevoked(id: bigint, revision: number | undefined): void {
    const record = this.#leases.get(id);
    if (record !== undefined && revision !== undefined) record.goneRevision = revision;
    if (record === undefined || record.isRevokedByClient || this.#now >= record.until) return;
    const early = (record.until - this.#now).toFixed(0);
    this.#fail(`lease ${id} was revoked ${early} ms before its time (TTL ${record.ttlMs} ms)`);
  }
}

/** How what was seen differs from what is expected; undefined when it does not. */
export function difference(expected: readonly Version[], seen: readonly SeenKey[]): string | undefined {
  if (expected.length !== seen.length) {
    return `${seen.length} keys instead of ${expected.length} (${names(seen)} instead of ${names(expected)})`;
  }
  for (const [i, version] of expected.entries()) {
    const other = seen[i] as SeenKey;
    if (!equalKeys(version, other)) return `${show(other)} instead of ${show(version)}`;
  }
  return undefined;
}

export function equalKeys(a: SeenKey, b: SeenKey): boolean {
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

export function show(key: SeenKey): string {
  return `${key.key}=${key.value}@${key.modRevision}/${key.createRevision}v${key.version}l${key.lease}`;
}

function names(keys: readonly SeenKey[]): string {
  return keys.map((key) => `${key.key}@${key.modRevision}`).join(" ") || "none";
}

export function describe(request: Request): string {
  return JSON.stringify(request, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
