/**
 * Software transactional memory: a function that reads and writes keys as if it were alone, run again until nothing it
 * read was changed meanwhile. Source: etcd client/v3/concurrency/stm.go.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { TxnResponse } from "@etcd-ts/api/etcdserverpb";
import type { KeyValue } from "@etcd-ts/api/mvccpb";
import type { Answer, CallOptions } from "../caller.js";
import type { EtcdClient } from "../client.js";
import { type Bytes, toBytes, toText } from "../keys.js";
import { type Compare, compare, type Op, op, type PutOptions } from "../ops.js";
import { ConcurrencyError } from "./errors.js";
import { readPairs } from "./queue-key.js";

/**
 * - `serializableSnapshot`: all reads are of one revision, and nothing read or written was changed since (default);
 * - `serializable`: all reads are of one revision, and nothing read was changed since;
 * - `repeatableReads`: a key read twice is the same, and nothing read was changed since;
 * - `readCommitted`: reads only what was committed; nothing is checked.
 */
export type Isolation = "serializableSnapshot" | "serializable" | "repeatableReads" | "readCommitted";

export interface StmOptions extends CallOptions {
  readonly isolation?: Isolation | undefined;
  /** Keys that will be read: they are fetched at once. */
  readonly prefetch?: readonly Bytes[] | undefined;
  /** Rejects with the reason `stmConflict` after so many runs. Default 1000. */
  readonly attemptsMax?: number | undefined;
}

/** What the function reads and writes with. Writes happen when it has returned. */
export interface Transaction {
  /** The value, its own write included; undefined when there is none. Several keys: the first that has a value. */
  get(...keys: readonly Bytes[]): Promise<Uint8Array | undefined>;
  getText(...keys: readonly Bytes[]): Promise<string | undefined>;
  put(key: Bytes, value: Bytes, options?: Pick<PutOptions, "lease">): void;
  delete(key: Bytes): void;
  /** Revision at which the key was last written, as read; 0 = it does not exist. */
  modRevision(key: Bytes): Promise<number>;
}

const defaultAttemptsMax = 1000;

/** Runs `apply` until it commits; answers with what it returned, and the header of the transaction. */
export async function stm<T>(
  client: EtcdClient,
  apply: (transaction: Transaction) => Promise<T> | T,
  options: StmOptions = {},
): Promise<{ readonly result: T; readonly txn: Answer<TxnResponse> }> {
  const attempts = options.attemptsMax ?? defaultAttemptsMax;
  let prefetched: Prefetched = { revision: 0, reads: new Map() };
  for (let attempt = 0; attempt < attempts; attempt++) {
    const run = new Run(client, options, prefetched);
    if (attempt === 0) await run.fetch(options.prefetch ?? []);
    const result = await apply(run);
    const { txn, again } = await run.commit();
    if (txn.succeeded) return { result, txn };
    prefetched = again;
  }
  throw new ConcurrencyError("stmConflict");
}

interface Read {
  readonly key: Uint8Array;
  readonly kv: KeyValue | undefined;
}

/** What a failed attempt read in its place, all at `revision`; it counts once it is asked for. */
interface Prefetched {
  readonly revision: number;
  /** By the key as latin1. */
  readonly reads: ReadonlyMap<string, Read>;
}

interface Write {
  readonly key: Uint8Array;
  /** undefined: deleted. */
  readonly value: Uint8Array | undefined;
  readonly op: Op;
}

class Run implements Transaction {
  readonly #client: EtcdClient;
  readonly #options: StmOptions;
  readonly #isolation: Isolation;
  /** Both by the key as latin1. */
  readonly #reads: Map<string, Read>;
  readonly #writes: Map<string, Write> = new Map();
  readonly #prefetched: Prefetched;
  /** Revision of all reads; 0 = nothing read yet. */
  #revision = 0;

  constructor(client: EtcdClient, options: StmOptions, prefetched: Prefetched) {
    this.#client = client;
    this.#options = options;
    this.#isolation = options.isolation ?? "serializableSnapshot";
    this.#reads = new Map();
    this.#prefetched = prefetched;
  }

  async get(...keys: readonly Bytes[]): Promise<Uint8Array | undefined> {
    for (const key of keys) {
      const write = this.#writes.get(nameOf(key));
      if (write !== undefined) {
        if (write.value !== undefined) return write.value;
        continue;
      }
      const { kv } = await this.#read(key);
      if (kv !== undefined) return kv.value;
    }
    return undefined;
  }

  async getText(...keys: readonly Bytes[]): Promise<string | undefined> {
    const value = await this.get(...keys);
    return value === undefined ? undefined : toText(value);
  }

  put(key: Bytes, value: Bytes, options: Pick<PutOptions, "lease"> = {}): void {
    const bytes = { key: toBytes(key), value: toBytes(value) };
    this.#writes.set(nameOf(key), { ...bytes, op: op.put(bytes.key, bytes.value, options) });
  }

  delete(key: Bytes): void {
    this.#writes.set(nameOf(key), { key: toBytes(key), value: undefined, op: op.delete(key) });
  }

  async modRevision(key: Bytes): Promise<number> {
    const { kv } = await this.#read(key);
    return kv?.modRevision ?? 0;
  }

  async fetch(keys: readonly Bytes[]): Promise<void> {
    if (keys.length === 0) return;
    const { serializable, revision } = this.#readOptions();
    const answer = await this.#client.kv.txn(
      { success: keys.map((key) => op.get(key, { serializable, revision })) },
      this.#options,
    );
    this.#fixRevision(answer.header.revision);
    for (const [i, key] of keys.entries()) this.#keep(key, readPairs(answer, i)[0]);
  }

  async commit(): Promise<{ readonly txn: Answer<TxnResponse>; readonly again: Prefetched }> {
    const reads = [...this.#reads.entries()];
    const readBack = this.#isolation === "serializableSnapshot" || this.#isolation === "serializable";
    const txn = await this.#client.kv.txn(
      {
        compare: this.#conditions(),
        success: [...this.#writes.values()].map((write) => write.op),
        // What a conflicting transaction wrote is what the next attempt reads.
        failure: readBack ? reads.map(([, { key }]) => op.get(key)) : [],
      },
      this.#options,
    );
    const again: Map<string, Read> = new Map();
    if (!txn.succeeded && readBack) {
      for (const [i, [name, { key }]] of reads.entries()) again.set(name, { key, kv: readPairs(txn, i)[0] });
    }
    return { txn, again: { revision: txn.header.revision, reads: again } };
  }

  #conditions(): Compare[] {
    if (this.#isolation === "readCommitted") return [];
    const unchanged = [...this.#reads.values()].map(({ key, kv }) =>
      compare.modRevision(key, "=", kv?.modRevision ?? 0),
    );
    if (this.#isolation !== "serializableSnapshot") return unchanged;
    // All reads are of one revision. Who has read nothing cannot conflict.
    if (this.#revision === 0) return unchanged;
    const unwritten = [...this.#writes.values()].map(({ key }) => compare.modRevision(key, "<", this.#revision + 1));
    return [...unchanged, ...unwritten];
  }

  async #read(key: Bytes): Promise<Read> {
    const name = nameOf(key);
    const known = this.#reads.get(name);
    if (known !== undefined && this.#isolation !== "readCommitted") return known;
    const prefetched = this.#prefetched.reads.get(name);
    if (prefetched !== undefined && (this.#revision === 0 || this.#revision === this.#prefetched.revision)) {
      this.#fixRevision(this.#prefetched.revision);
      this.#reads.set(name, prefetched);
      return prefetched;
    }
    const { header, kvs } = await this.#client.kv.get(key, { ...this.#options, ...this.#readOptions() });
    this.#fixRevision(header.revision);
    return this.#keep(key, kvs[0]);
  }

  #readOptions(): { serializable?: boolean; revision?: number } {
    switch (this.#isolation) {
      case "serializableSnapshot":
      case "serializable":
        return this.#revision === 0 ? {} : { revision: this.#revision, serializable: true };
      case "repeatableReads":
      case "readCommitted":
        return { serializable: true };
    }
  }

  #fixRevision(revision: number): void {
    if (this.#revision === 0) this.#revision = revision;
  }

  #keep(key: Bytes, kv: KeyValue | undefined): Read {
    const read = { key: toBytes(key), kv };
    this.#reads.set(nameOf(key), read);
    return read;
  }
}

function nameOf(key: Bytes): string {
  return latin1FromBytes(toBytes(key));
}
