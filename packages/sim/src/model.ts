/**
 * What a correct store holds, computed from the committed log alone and in the most obvious way: every version of every
 * key is kept for ever. It shares no code with the store, so that a mistake in one of them shows as a difference.
 */

import { InternalField, InternalRequestSpan, scanInternalRequest } from "@etcd-ts/api";
import {
  type Compare,
  type DeleteRangeRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeTxnRequest,
  type PutRequest,
  type TxnRequest,
} from "@etcd-ts/api/etcdserverpb";
import { textOf } from "./text.js";

/** A version of a key; `version` 0 is its deletion. */
export interface Version {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

interface ModelLease {
  readonly keys: Set<string>;
}

/** Told of what a revision cannot tell. */
export interface ModelEvents {
  /** `revision`: the one that deletes its keys; undefined when it has none. */
  leaseRevoked(id: bigint, revision: number | undefined): void;
  violation(reason: string): void;
}

/** Key range as in requests: `rangeEnd` "" is the key alone, "\0" all from the key on. */
export interface KeyRange {
  readonly key: string;
  readonly rangeEnd: string;
}

export function isInRange(key: string, range: KeyRange): boolean {
  if (range.rangeEnd === "") return key === range.key;
  return key >= range.key && (range.rangeEnd === "\0" || key < range.rangeEnd);
}

export class StateModel {
  readonly #events: ModelEvents;
  readonly #keys = new Map<string, Version[]>();
  readonly #leases = new Map<bigint, ModelLease>();
  /** Changes by revision. */
  readonly #changes: (readonly Version[])[] = [[], []];
  /** Revision after each entry, by index. */
  readonly #revisions: number[] = [1];
  readonly #requestIds = new Set<bigint>();
  readonly #span = new InternalRequestSpan();
  #compactRevision = -1;
  #pending: Version[] = [];

  constructor(events: ModelEvents) {
    this.#events = events;
  }

  get revision(): number {
    return this.#changes.length - 1;
  }

  get compactRevision(): number {
    return this.#compactRevision;
  }

  /** Index of the last entry. */
  get index(): number {
    return this.#revisions.length - 1;
  }

  revisionAt(index: number): number | undefined {
    return this.#revisions[index];
  }

  hasLease(id: bigint): boolean {
    return this.#leases.has(id);
  }

  leaseIds(): readonly bigint[] {
    return [...this.#leases.keys()];
  }

  /** The next entry; `data` undefined when it is not a request. */
  apply(data: Uint8Array | undefined): void {
    if (data !== undefined && data.length > 0) this.#applyRequest(data);
    if (this.#pending.length > 0) {
      this.#changes.push(this.#pending);
      this.#pending = [];
    }
    this.#revisions.push(this.revision);
  }

  /** What a revision changed, in order. */
  changes(revision: number): readonly Version[] {
    return this.#changes[revision] ?? [];
  }

  changesIn(revision: number, range: KeyRange): readonly Version[] {
    return this.changes(revision).filter((change) => isInRange(change.key, range));
  }

  /** The key as of a revision; undefined when it does not exist then. */
  get(key: string, revision: number): Version | undefined {
    const versions = this.#keys.get(key) ?? [];
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version;
      if (version.modRevision <= revision) return version.version === 0 ? undefined : version;
    }
    return undefined;
  }

  /** All keys of a range as of a revision, in order. */
  range(range: KeyRange, revision: number): readonly Version[] {
    if (range.rangeEnd === "") {
      const only = this.get(range.key, revision);
      return only === undefined ? [] : [only];
    }
    const found: Version[] = [];
    for (const key of this.#keys.keys()) {
      const version = isInRange(key, range) ? this.get(key, revision) : undefined;
      if (version !== undefined) found.push(version);
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #applyRequest(data: Uint8Array): void {
    const span = this.#span;
    scanInternalRequest(data, 0, data.length, span);
    if (this.#requestIds.has(span.id)) this.#events.violation(`request ${span.id} is in the log twice`);
    this.#requestIds.add(span.id);
    const { start, end } = span;
    switch (span.field) {
      case InternalField.put:
        return this.#put(decodePutRequest(data, start, end));
      case InternalField.deleteRange:
        return this.#delete(decodeDeleteRangeRequest(data, start, end));
      case InternalField.txn:
        return this.#txn(decodeTxnRequest(data, start, end));
      case InternalField.compaction: {
        const { revision } = decodeCompactionRequest(data, start, end);
        if (revision > this.#compactRevision && revision <= this.revision) this.#compactRevision = revision;
        return;
      }
      case InternalField.leaseGrant: {
        const { id } = decodeLeaseGrantRequest(data, start, end);
        if (!this.#leases.has(id)) this.#leases.set(id, { keys: new Set() });
        return;
      }
      case InternalField.leaseRevoke:
        return this.#revoke(decodeLeaseRevokeRequest(data, start, end).id);
      default:
        return;
    }
  }

  /** The revision that the entry under way makes. */
  get #nextRevision(): number {
    return this.#changes.length;
  }

  #current(key: string): Version | undefined {
    return this.get(key, this.#nextRevision);
  }

  #put(request: PutRequest): void {
    if (request.lease !== 0n && !this.#leases.has(request.lease)) return;
    const key = textOf(request.key);
    const before = this.#current(key);
    if (before !== undefined) this.#leases.get(before.lease)?.keys.delete(key);
    this.#leases.get(request.lease)?.keys.add(key);
    this.#add({
      key,
      value: textOf(request.value),
      createRevision: before?.createRevision ?? this.#nextRevision,
      modRevision: this.#nextRevision,
      version: (before?.version ?? 0) + 1,
      lease: request.lease,
    });
  }

  #delete(request: Pick<DeleteRangeRequest, "key" | "rangeEnd">): void {
    const range = { key: textOf(request.key), rangeEnd: textOf(request.rangeEnd) };
    for (const { key } of this.range(range, this.#nextRevision)) this.#deleteKey(key);
  }

  #deleteKey(key: string): void {
    const before = this.#current(key);
    if (before === undefined) return;
    this.#leases.get(before.lease)?.keys.delete(key);
    this.#add({ key, value: "", createRevision: 0, modRevision: this.#nextRevision, version: 0, lease: 0n });
  }

  #txn(request: TxnRequest): void {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    const operations = succeeded ? request.success : request.failure;
    // A transaction that puts under a lease that does not exist changes nothing.
    for (const { request: operation } of operations) {
      if (operation?.kind !== "requestPut") continue;
      const { lease } = operation.value;
      if (lease !== 0n && !this.#leases.has(lease)) return;
    }
    for (const { request: operation } of operations) {
      if (operation?.kind === "requestPut") this.#put(operation.value);
      else if (operation?.kind === "requestDeleteRange") this.#delete(operation.value);
    }
  }

  /** The workload compares with modification revisions for equality only. */
  #holds(compare: Compare): boolean {
    const expected = compare.targetUnion?.kind === "modRevision" ? compare.targetUnion.value : 0;
    return (this.#current(textOf(compare.key))?.modRevision ?? 0) === expected;
  }

  #revoke(id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#events.leaseRevoked(id, lease.keys.size > 0 ? this.#nextRevision : undefined);
    for (const key of [...lease.keys].sort()) this.#deleteKey(key);
    this.#leases.delete(id);
  }

  #add(version: Version): void {
    const versions = this.#keys.get(version.key);
    if (versions === undefined) this.#keys.set(version.key, [version]);
    else versions.push(version);
    this.#pending.push(version);
  }
}
