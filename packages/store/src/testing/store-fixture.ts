/**
 * A whole store over a memory backend, driven by entries as a member would be. Answers are encoded and decoded again,
 * so every test also checks the response encoding.
 */

import { bytesFromLatin1, crc32c, latin1FromBytes, messageBytes } from "@etcd-ts/api";
import {
  createRangeRequest,
  createTxnRequest,
  type DeleteRangeRequestInit,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeInternalRaftRequest,
  type InternalRaftRequestInit,
  type PutRequestInit,
  type RangeRequestInit,
  type RangeResponse,
  sizeInternalRaftRequest,
  type TxnRequest,
  type TxnRequestInit,
  type TxnResponse,
} from "@etcd-ts/api/etcdserverpb";
import { AlarmStore } from "../alarm/alarm-store.js";
import type { Outcome } from "../apply/outcome.js";
import { noAuth } from "../apply/ports.js";
import { Quota } from "../apply/quota.js";
import { StateMachine } from "../apply/state-machine.js";
import { bucketNames } from "../backend.js";
import { Lessor } from "../lease/lessor.js";
import { Membership } from "../membership/membership.js";
import { MemoryBackend, type MemoryBackendOptions } from "../memory-backend.js";
import { Budget, runToEnd } from "../mvcc/budget.js";
import { Mvcc } from "../mvcc/mvcc.js";
import { type Pieces, sizePieces, writePieces } from "../mvcc/pieces.js";
import {
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type HeaderParts,
  sizeDeleteRangeResponse,
  sizePutResponse,
  sizeRangeResponse,
  sizeTxnResponse,
} from "../mvcc/response.js";

import { isReadOnlyTxn } from "../txn/execute-txn.js";
import type { TxnResult } from "../txn/outcome.js";
import { startReadTxn } from "../txn/read-txn.js";

export const bytes: (text: string) => Uint8Array = bytesFromLatin1;
export const text: (value: Uint8Array) => string = latin1FromBytes;

/** The pieces in one. */
export function whole(pieces: Pieces): Uint8Array {
  const joined = new Uint8Array(sizePieces(pieces));
  writePieces(pieces, joined, 0);
  return joined;
}

/** Rows of `meta`. */
const appliedKeys: ReadonlySet<string> = new Set(["consistent_index", "term"]);

/** cluster_id 1, member_id 2, raft_term 3. */
export const headerParts: HeaderParts = {
  beforeRevision: Uint8Array.of(0x08, 1, 0x10, 2),
  afterRevision: Uint8Array.of(0x20, 3),
};

export interface StoreFixtureOptions {
  readonly backend?: MemoryBackendOptions;
  readonly ringSizeBytes?: number;
  readonly ringBufferBytes?: number;
  readonly quotaBytes?: number;
  readonly indexChunkKeys?: number;
  /** Called between two steps of an entry. */
  readonly betweenSteps?: () => void;
  /** Keys touched in one step. Default unlimited. */
  readonly budget?: number;
}

export class StoreFixture {
  readonly backend: MemoryBackend;
  readonly options: StoreFixtureOptions;
  leases: Lessor;
  alarms: AlarmStore;
  membership: Membership;
  mvcc: Mvcc;
  machine: StateMachine;
  /** Steps the last entry took. */
  steps = 0;
  #index = 0;

  constructor(options: StoreFixtureOptions = {}) {
    this.options = options;
    this.backend = new MemoryBackend(options.backend);
    ({
      leases: this.leases,
      alarms: this.alarms,
      membership: this.membership,
      mvcc: this.mvcc,
      machine: this.machine,
    } = this.#build());
  }

  #build(): { leases: Lessor; alarms: AlarmStore; membership: Membership; mvcc: Mvcc; machine: StateMachine } {
    const { backend, options } = this;
    const leases = new Lessor(backend, { ttlSecondsMin: 2 });
    const alarms = new AlarmStore(backend);
    const membership = new Membership(backend);
    const mvcc = new Mvcc({
      backend,
      leases,
      crc32c,
      ringSizeBytes: options.ringSizeBytes ?? 1 << 20,
      ringBufferBytes: options.ringBufferBytes ?? 1 << 18,
      ...(options.indexChunkKeys === undefined ? {} : { indexChunkKeys: options.indexChunkKeys }),
    });
    const machine = new StateMachine({
      backend,
      mvcc,
      leases,
      alarms,
      membership,
      auth: noAuth,
      quota: new Quota(options.quotaBytes ?? 0),
    });
    runToEnd(machine.restoreTask(backend, new Budget(Number.POSITIVE_INFINITY)));
    this.#index = machine.applied.index;
    return { leases, alarms, membership, mvcc, machine };
  }

  /** A new process over the same database. */
  restart(): void {
    this.mvcc.close();
    Object.assign(this, this.#build());
  }

  /** A power loss, and a new process over what was durable. Returns the index from which entries must be replayed. */
  crash(): number {
    this.backend.crash();
    this.restart();
    return this.#index + 1;
  }

  /** What a received snapshot does: the state of another database replaces this one's. */
  replace(backend: MemoryBackend): void {
    runToEnd(this.machine.restoreTask(backend, new Budget(Number.POSITIVE_INFINITY)));
    this.#index = this.machine.applied.index;
  }

  get index(): number {
    return this.#index;
  }

  /** Applies an entry with the given request; the id is added. */
  apply(request: InternalRaftRequestInit, options: { readonly wantsResult?: boolean } = {}): Outcome {
    return this.applyData(encodeEntry({ header: { id: 7n }, ...request }), options);
  }

  applyData(data: Uint8Array, options: { readonly wantsResult?: boolean } = {}): Outcome {
    const budget = this.options.budget ?? Number.POSITIVE_INFINITY;
    const entry = { index: ++this.#index, term: 1, data };
    const wantsResult = (): boolean => options.wantsResult ?? true;
    this.steps = 1;
    let outcome = this.machine.apply(entry, { shouldApply: true, wantsResult, nowMs: 0 }, budget);
    while (outcome === undefined) {
      this.steps++;
      this.options.betweenSteps?.();
      outcome = this.machine.resume(budget);
    }
    return outcome;
  }

  /** The text of a refusal, or the header revision. */
  put(key: string, value: string, more: PutRequestInit = {}): number | string {
    const outcome = this.apply({ put: { key: bytes(key), value: bytes(value), ...more } });
    return outcome.kind === "put" ? outcome.revision : reasonOf(outcome);
  }

  deleteRange(
    key: string,
    rangeEnd = "",
    more: DeleteRangeRequestInit = {},
  ): { revision: number; deleted: number; prev: string[] } {
    const outcome = this.apply({ deleteRange: { key: bytes(key), rangeEnd: bytes(rangeEnd), ...more } });
    if (outcome.kind !== "deleteRange") throw new Error(reasonOf(outcome));
    const target = new Uint8Array(sizeDeleteRangeResponse(headerParts, outcome));
    checkEnd(encodeDeleteRangeResponse(headerParts, outcome, target, 0), target);
    const response = decodeDeleteRangeResponse(target);
    const prev = response.prevKvs.map((kv) => `${text(kv.key)}=${text(kv.value)}`);
    return { revision: response.header?.revision ?? 0, deleted: response.deleted, prev };
  }

  /** The decoded response, or the reason of a refusal. */
  range(key: string, rangeEnd = "", more: RangeRequestInit = {}): RangeResponse | string {
    const request = createRangeRequest({ key: bytes(key), rangeEnd: bytes(rangeEnd), ...more });
    const result = this.mvcc.range(request);
    const read = this.mvcc.startRange(request);
    let sliced = read.step(1);
    while (sliced === undefined) sliced = read.step(1);
    if (result.kind === "refused") return result.reason;
    if (sliced.kind === "refused") return sliced.reason;
    const target = new Uint8Array(sizeRangeResponse(headerParts, result));
    checkEnd(encodeRangeResponse(headerParts, result, target, 0), target);
    const again = new Uint8Array(sizeRangeResponse(headerParts, sliced));
    encodeRangeResponse(headerParts, sliced, again, 0);
    if (text(target) !== text(again)) throw new Error("a read in slices differs from a read at once");
    return decodeRangeResponse(target);
  }

  /** Keys, count and more of a range, e.g. `c,b count 5 more`; or the reason of a refusal. */
  keys(key: string, rangeEnd = "", more: RangeRequestInit = {}): string {
    const response = this.range(key, rangeEnd, more);
    if (typeof response === "string") return response;
    return `${response.kvs.map((kv) => text(kv.key)).join(",")} count ${response.count}${response.more ? " more" : ""}`;
  }

  /** The decoded response, or the reason of a refusal. */
  txn(request: TxnRequestInit): TxnResponse | string {
    const decoded = createTxnRequest(request);
    if (isReadOnlyTxn(decoded)) return this.#readTxn(decoded);
    const outcome = this.apply({ txn: request });
    if (outcome.kind !== "txn") return reasonOf(outcome);
    return decodedTxn(outcome);
  }

  /** Executes it both ways, by proposing and by reading; they must agree. */
  #readTxn(request: TxnRequest): TxnResponse | string {
    const read = startReadTxn(this.mvcc, request);
    let result = read.step(1);
    while (result === undefined) result = read.step(1);
    const applied = this.apply({ txn: request });
    if (result.kind === "refused") {
      if (result.reason !== reasonOf(applied)) throw new Error(`read ${result.reason}, applied ${reasonOf(applied)}`);
      return result.reason;
    }
    if (applied.kind !== "txn") return reasonOf(applied);
    const response = decodedTxn(result);
    if (JSON.stringify(response, jsonBigint) !== JSON.stringify(decodedTxn(applied), jsonBigint)) {
      throw new Error("a transaction read here differs from the same one applied");
    }
    return response;
  }

  /** undefined when accepted, else the reason. All work is done before it returns, unless `work` is false. */
  compact(revision: number, options: { readonly work?: boolean } = {}): string | undefined {
    const outcome = this.apply({ compaction: { revision, physical: true } });
    if (options.work ?? true) this.compactAll();
    return outcome.kind === "compaction" ? undefined : reasonOf(outcome);
  }

  compactAll(): void {
    while (this.machine.compactionStep(3));
  }

  /** Of every row, except those that say which entry was applied last. */
  hash(): number {
    let crc = 0;
    for (const bucket of bucketNames) {
      crc = crc32c(crc, bytes(bucket));
      this.backend.scan(bucket, new Uint8Array(0), undefined, (key, value) => {
        if (bucket !== "meta" || !appliedKeys.has(text(key))) crc = crc32c(crc32c(crc, key), value);
        return true;
      });
    }
    return crc;
  }

  /** `hash compact_revision hash_revision`, or the reason of a refusal. */
  hashKv(revision: number): string {
    const read = this.mvcc.startHash(revision);
    let result = read.step(1);
    while (result === undefined) result = read.step(1);
    return typeof result === "string" ? result : `${result.hash} ${result.compactRevision} ${result.hashRevision}`;
  }
}

export function encodeEntry(request: InternalRaftRequestInit): Uint8Array {
  return messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, request);
}

/** The previous record in a put's answer, as `key=value`. */
export function prevKvOf(outcome: Outcome): string | undefined {
  if (outcome.kind !== "put") throw new Error(reasonOf(outcome));
  const target = new Uint8Array(sizePutResponse(headerParts, outcome));
  checkEnd(encodePutResponse(headerParts, outcome, target, 0), target);
  const { prevKv } = decodePutResponse(target);
  return prevKv === undefined ? undefined : `${text(prevKv.key)}=${text(prevKv.value)}`;
}

export function reasonOf(outcome: Outcome): string {
  return outcome.kind === "refused" ? outcome.reason : `unexpected outcome ${outcome.kind}`;
}

function decodedTxn(result: TxnResult): TxnResponse {
  const target = new Uint8Array(sizeTxnResponse(headerParts, result));
  checkEnd(encodeTxnResponse(headerParts, result, target, 0), target);
  return decodeTxnResponse(target);
}

function jsonBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function checkEnd(end: number, target: Uint8Array): void {
  if (end !== target.length) throw new Error(`encoded ${end} bytes into ${target.length}`);
}
