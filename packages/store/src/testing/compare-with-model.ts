/**
 * Runs random requests on a store and on the naive model and throws at the first difference. Restarts, crashes with
 * replay of the log, compactions in slices and hashes are among them.
 */

import { crc32c, kv, messageBytes } from "@etcd-ts/api";
import { type CompareInit, decodeTxnRequest, type RequestOpInit, type TxnRequestInit } from "@etcd-ts/api/etcdserverpb";
import type { Outcome } from "../apply/outcome.js";
import type { Pieces } from "../mvcc/pieces.js";
import { decodeRecord } from "../mvcc/record.js";
import { encodeRevisionKey } from "../mvcc/revision-key.js";
import { checkTxn } from "../txn/check-request.js";
import type { OpResult } from "../txn/outcome.js";
import { answer, describe, Model, type ModelOp, type ModelRange, type ModelTxn, type Row } from "./model.js";
import { RandomRequests } from "./random-requests.js";
import { bytes, encodeEntry, StoreFixture, text, whole } from "./store-fixture.js";

export interface ComparisonOptions {
  readonly seed: number;
  readonly commands: number;
  readonly keys: readonly string[];
  /** Commands between two looks at every row and hash. */
  readonly auditEvery: number;
}

/** Counts of what was done, so that a test can see that it tested something. */
export type Tally = Map<string, number>;

export function compareWithModel(options: ComparisonOptions): Tally {
  const run = new Run(options);
  for (let at = 0; at < options.commands; at++) run.command(at);
  run.audit();
  return run.tally;
}

class Run {
  readonly tally: Tally = new Map();
  readonly #options: ComparisonOptions;
  readonly #random: RandomRequests;
  readonly #store: StoreFixture;
  readonly #model = new Model();
  /** Every entry, by index. */
  readonly #log: Uint8Array[] = [new Uint8Array(0)];
  #at = 0;

  constructor(options: ComparisonOptions) {
    this.#options = options;
    this.#random = new RandomRequests(options.seed, options.keys);
    this.#store = new StoreFixture({
      backend: { commitOperations: Number.POSITIVE_INFINITY, onCommitRequest: () => undefined },
      // Small, so that most records leave the ring and chunks split.
      ringSizeBytes: 512,
      ringBufferBytes: 128,
      indexChunkKeys: 4,
      budget: 3,
      betweenSteps: () => this.#store.machine.compactionStep(2),
    });
  }

  command(at: number): void {
    this.#at = at;
    const random = this.#random;
    const kind = random.integer(1000);
    if (kind < 350) this.#put();
    else if (kind < 500) this.#range();
    else if (kind < 650) this.#txn();
    else if (kind < 780) this.#delete();
    else if (kind < 830) this.#lease();
    else if (kind < 860) this.#compact();
    else if (kind < 900) this.#hash();
    else if (kind < 950) this.#store.machine.compactionStep(random.integer(5) + 1);
    else if (kind < 980) this.#store.backend.commit();
    else if (kind < 990) this.#restart();
    else this.#crash();
    if (at % this.#options.auditEvery === 0) this.audit();
  }

  /** Compares every row of the database, the hash at every revision and every lease. */
  audit(): void {
    this.#store.compactAll();
    this.#store.mvcc.validate();
    const rows: string[] = [];
    this.#store.mvcc.scanRecords(0, 0, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      const record = decodeRecord(value);
      const row = {
        ...record,
        main: record.modRevision,
        created: record.createRevision,
        key: text(record.key),
        value: text(record.value),
      };
      rows.push(`${main}/${sub} ${tombstone ? "t" : ""} ${describe(row)}`);
      return true;
    });
    const expected = this.#model.rows.map((row) => {
      const shown = row.tombstone ? { ...row, main: 0 } : row;
      return `${row.main}/${row.sub} ${row.tombstone ? "t" : ""} ${describe(shown)}`;
    });
    this.#expect("rows", rows.join("\n"), expected.join("\n"));
    for (const [key, lease] of this.#model.attached) {
      this.#expect(`lease of ${key}`, String(this.#store.leases.leaseOf(key)), String(lease));
    }
    this.#hashAt(0);
  }

  #count(kind: string): void {
    this.tally.set(kind, (this.tally.get(kind) ?? 0) + 1);
  }

  #expect(what: string, actual: string, expected: string): void {
    this.#count(what);
    if (actual === expected) return;
    throw new Error(`seed ${this.#options.seed} command ${this.#at} ${what}:\n  store ${actual}\n  model ${expected}`);
  }

  #apply(request: Parameters<typeof encodeEntry>[0]): Outcome {
    const data = encodeEntry({ header: { id: 1n }, ...request });
    this.#log.push(data);
    return this.#store.applyData(data);
  }

  #put(): void {
    const put = this.#random.put();
    const outcome = this.#apply({ put: { ...put, key: bytes(put.key), value: bytes(put.value) } });
    this.#expect("put", describeOutcome(outcome), this.#model.put(put));
  }

  #delete(): void {
    const request = this.#random.delete();
    const outcome = this.#apply({
      deleteRange: { key: bytes(request.key), rangeEnd: bytes(request.end), prevKv: request.prevKv },
    });
    this.#expect("delete", describeOutcome(outcome), this.#model.delete(request));
  }

  #range(): void {
    const range = this.#random.range(this.#model.current);
    const response = this.#store.range(range.key, range.end, rangeInit(range));
    const actual =
      typeof response === "string"
        ? response
        : answer(
            response.header?.revision ?? 0,
            response.count,
            response.more,
            response.kvs.map((kv) => ({
              key: text(kv.key),
              created: kv.createRevision,
              main: kv.modRevision,
              version: kv.version,
              value: text(kv.value),
              lease: kv.lease,
            })),
          );
    this.#expect("range", actual, this.#model.range(range));
  }

  #txn(): void {
    const txn = this.#random.txn(this.#model.current);
    const init = txnInit(txn);
    const request = decodeTxnRequest(encoded(init));
    if (checkTxn(request, 128) !== undefined) {
      this.#count("txn refused at the border");
      return;
    }
    const outcome = this.#apply({ txn: init });
    this.#expect("txn", describeOutcome(outcome), this.#model.txn(txn));
  }

  #lease(): void {
    const id = BigInt(this.#random.integer(5) + 1);
    if (this.#random.chance(60)) {
      const outcome = this.#apply({ leaseGrant: { id, ttl: 60 } });
      this.#expect(
        "grant",
        outcome.kind === "leaseGrant" ? "granted" : describeOutcome(outcome),
        this.#model.grant(id),
      );
    } else {
      const outcome = this.#apply({ leaseRevoke: { id } });
      this.#expect("revoke", describeOutcome(outcome), this.#model.revoke(id));
    }
  }

  #compact(): void {
    // The model deletes at once, so what is being compacted must end first.
    this.#store.compactAll();
    const span = Math.max(1, this.#model.current - this.#model.compacted);
    const revision = this.#model.compacted + this.#random.integer(span + 3);
    const outcome = this.#apply({ compaction: { revision } });
    const actual = outcome.kind === "compaction" ? "done" : describeOutcome(outcome);
    this.#expect("compact", actual, this.#model.compact(revision));
  }

  #hash(): void {
    this.#store.compactAll();
    this.#hashAt(this.#random.chance(50) ? 0 : this.#random.integer(this.#model.current + 2));
  }

  #hashAt(revision: number): void {
    // Hashes cached by compactions were taken of rows that are gone; those have their own test.
    if (this.#store.mvcc.compactionHashes().some((hash) => hash.hashRevision === revision)) return;
    const rows = this.#model.hashed(revision);
    let expected: string;
    if (typeof rows === "string") expected = rows;
    else {
      let crc = crc32c(0, bytes("key"));
      for (const row of rows) {
        crc = crc32c(crc, encodeRevisionKey(row.main, row.sub, row.tombstone));
        crc = crc32c(crc, storedValue(this.#store, row));
      }
      expected = `${crc} ${this.#model.compacted} ${revision === 0 ? this.#model.current : revision}`;
    }
    this.#expect("hash", this.#store.hashKv(revision), expected);
  }

  #restart(): void {
    this.#store.restart();
    this.#count("restart");
  }

  /** Loses what was not committed, then applies the rest of the log again. */
  #crash(): void {
    this.#store.compactAll();
    const before = this.#store.hash();
    const last = this.#store.index;
    let index = this.#store.crash();
    for (; index <= last; index++) this.#store.applyData(this.#log[index] as Uint8Array);
    this.#store.compactAll();
    this.#expect("replayed hash", String(this.#store.hash()), String(before));
  }
}

/** The row's bytes as the store has them; that they say what the model says is another check. */
function storedValue(store: StoreFixture, row: Row): Uint8Array {
  return store.backend.get("key", encodeRevisionKey(row.main, row.sub, row.tombstone)) ?? new Uint8Array(0);
}

function rangeInit(range: ModelRange) {
  return {
    limit: range.limit,
    revision: range.revision,
    sortOrder: range.order as 0,
    sortTarget: range.target as 0,
    keysOnly: range.keysOnly,
    countOnly: range.countOnly,
    minModRevision: range.minMod,
    maxModRevision: range.maxMod,
    minCreateRevision: range.minCreate,
    maxCreateRevision: range.maxCreate,
  };
}

function txnInit(txn: ModelTxn): TxnRequestInit {
  return {
    compare: txn.compare.map(
      (compare): CompareInit => ({
        key: bytes(compare.key),
        rangeEnd: bytes(compare.end),
        result: compare.result as 0,
        target: compare.target as 0,
        targetUnion: operandOf(compare.target, compare.operand),
      }),
    ),
    success: txn.success.map(opInit),
    failure: txn.failure.map(opInit),
  };
}

function operandOf(target: number, operand: number | string): NonNullable<CompareInit["targetUnion"]> {
  if (typeof operand === "string") return { kind: "value", value: bytes(operand) };
  if (target === 4) return { kind: "lease", value: BigInt(operand) };
  return { kind: target === 0 ? "version" : target === 1 ? "createRevision" : "modRevision", value: operand };
}

function opInit(op: ModelOp): RequestOpInit {
  switch (op.kind) {
    case "range": {
      const { key, end } = op.range;
      return {
        request: { kind: "requestRange", value: { key: bytes(key), rangeEnd: bytes(end), ...rangeInit(op.range) } },
      };
    }
    case "put":
      return {
        request: { kind: "requestPut", value: { ...op.put, key: bytes(op.put.key), value: bytes(op.put.value) } },
      };
    case "delete": {
      const { key, end, prevKv } = op.delete;
      return { request: { kind: "requestDeleteRange", value: { key: bytes(key), rangeEnd: bytes(end), prevKv } } };
    }
    case "txn":
      return { request: { kind: "requestTxn", value: txnInit(op.txn) } };
  }
}

function encoded(init: TxnRequestInit): Uint8Array {
  return messageBytes(kv.txn.request, init);
}

function describeOutcome(outcome: Outcome): string {
  if (outcome.kind === "refused") return outcome.reason;
  if (outcome.kind === "leaseRevoke") return `revoked at ${outcome.revision}`;
  if (outcome.kind === "put" || outcome.kind === "range" || outcome.kind === "deleteRange" || outcome.kind === "txn") {
    return describeResult(outcome);
  }
  return `unexpected ${outcome.kind}`;
}

function describeResult(result: OpResult): string {
  switch (result.kind) {
    case "range":
      return answer(result.revision, result.count, result.more, recordsIn(result.kvs));
    case "put":
      return `put ${result.revision} prev ${result.prevKv === undefined ? "none" : recordsIn(result.prevKv).map(describe).join(";")}`;
    case "deleteRange":
      return `deleted ${result.deleted} at ${result.revision} prev ${recordsIn(result.prevKvs).map(describe).join(";")}`;
    case "txn":
      return `txn ${result.revision} ${result.succeeded} [${result.responses.map(describeResult).join(" | ")}]`;
  }
}

/** The records in a run of record chunks. */
function recordsIn(pieces: Pieces): Parameters<typeof describe>[0][] {
  const chunks = whole(pieces);
  const records: Parameters<typeof describe>[0][] = [];
  let at = 0;
  while (at < chunks.length) {
    let length = 0;
    let shift = 0;
    let byte: number;
    at++;
    do {
      byte = chunks[at++] as number;
      length |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    const record = decodeRecord(chunks.subarray(at, at + length));
    at += length;
    records.push({
      ...record,
      key: text(record.key),
      value: text(record.value),
      main: record.modRevision,
      created: record.createRevision,
    });
  }
  return records;
}
