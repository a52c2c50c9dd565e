/**
 * Leadership among clients: candidates queue for it, each with a value that others can read. Source: etcd
 * client/v3/concurrency/election.go.
 */

import { equalBytes } from "@etcd-ts/api";
import type { RangeResponse, ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { Event_EventType, type KeyValue } from "@etcd-ts/api/mvccpb";
import type { Answer, CallOptions } from "../caller.js";
import type { EtcdClient } from "../client.js";
import { type Bytes, toBytes } from "../keys.js";
import { compare, op } from "../ops.js";
import { ConcurrencyError } from "./errors.js";
import { queueKey, queuePrefix, readPairs, settled, waitDeletes } from "./queue-key.js";
import type { LeaseHolder } from "./session.js";

/** A leadership that was won: what a fence compares. */
export interface Leadership {
  readonly key: Uint8Array;
  /** Create revision of the key. */
  readonly revision: number;
}

/** A leader's pair and the header of the answer that showed it; `header.revision` is where a watch may go on from. */
export interface LeaderState {
  readonly header: ResponseHeader;
  readonly kv: KeyValue;
}

interface Candidacy {
  readonly header: ResponseHeader;
  readonly leadership: Leadership;
  /** The value it had before; undefined: the session was no candidate. */
  readonly value: Uint8Array | undefined;
}

export class Election {
  readonly #session: LeaseHolder;
  readonly #prefix: Uint8Array;
  #leadership: Leadership | undefined;
  #header: ResponseHeader | undefined;

  /** `leadership`: takes up one that was won under the session's lease, by another process perhaps. */
  constructor(session: LeaseHolder, name: Bytes, leadership?: Leadership) {
    this.#session = session;
    this.#prefix = queuePrefix(name);
    this.#leadership = leadership;
  }

  /** What was won by `campaign` and not resigned. */
  get leadership(): Leadership | undefined {
    return this.#leadership;
  }

  /** Header of the last answer that changed something. */
  get header(): ResponseHeader | undefined {
    return this.#header;
  }

  /** Waits until elected. When the wait is given up, so is the candidacy, unless the session was a candidate before. */
  async campaign(value: Bytes, options: CallOptions = {}): Promise<void> {
    const place = await settled(this.#stand(value, options), options, (late) => this.#withdraw(late));
    try {
      if (place.value !== undefined && !equalBytes(place.value, toBytes(value))) await this.proclaim(value, options);
      await waitDeletes(this.#session.client, this.#prefix, place.leadership.revision - 1, options);
      this.#header = place.header;
    } catch (error) {
      await this.#withdraw(place);
      throw error;
    }
  }

  /** Changes the value while leading. Rejects with the reason `electionNotLeader` when leadership was lost. */
  async proclaim(value: Bytes, options: CallOptions = {}): Promise<void> {
    const leadership = this.#leadership;
    if (leadership === undefined) throw new ConcurrencyError("electionNotLeader");
    const { client, leaseId } = this.#session;
    const { header, succeeded } = await client.kv.txn(
      {
        compare: [compare.createRevision(leadership.key, "=", leadership.revision)],
        success: [op.put(leadership.key, value, { lease: leaseId })],
      },
      options,
    );
    if (!succeeded) {
      this.#leadership = undefined;
      throw new ConcurrencyError("electionNotLeader");
    }
    this.#header = header;
  }

  /** Gives leadership up; nothing happens when it was lost before. */
  async resign(options: CallOptions = {}): Promise<void> {
    const leadership = this.#leadership;
    this.#leadership = undefined;
    if (leadership === undefined) return;
    const { header } = await deleteOwn(this.#session.client, leadership, options);
    this.#header = header;
  }

  /** The leader's pair. Rejects with the reason `electionNoLeader` when there is none. */
  async leader(options: CallOptions = {}): Promise<LeaderState> {
    const { header, kvs } = await this.#first(options);
    const kv = kvs[0];
    if (kv === undefined) throw new ConcurrencyError("electionNoLeader");
    return { header, kv };
  }

  /** The leader's pair now, and each time it changes; nothing while there is none. Every leader is seen. */
  async *observe(options: CallOptions = {}): AsyncGenerator<LeaderState, void, undefined> {
    for (;;) {
      const { header, kvs } = await this.#first(options);
      const leader = kvs[0] ?? (await this.#firstPut(header.revision + 1, options));
      const start = kvs[0] === undefined ? leader.modRevision : header.revision;
      yield { header: { ...header, revision: start }, kv: leader };
      yield* this.#changes(leader.key, start + 1, options);
    }
  }

  #first(options: CallOptions): Promise<Answer<RangeResponse>> {
    const order = { prefix: true, sort: { by: "CREATE", order: "ASCEND" }, limit: 1 } as const;
    return this.#session.client.kv.get(this.#prefix, { ...options, ...order });
  }

  async #firstPut(startRevision: number, { signal, metadata }: CallOptions): Promise<KeyValue> {
    const watcher = this.#session.client.watch(this.#prefix, {
      prefix: true,
      startRevision,
      signal,
      metadata,
      filter: "noDelete",
    });
    for await (const { kv } of watcher.events()) if (kv !== undefined) return kv;
    throw new ConcurrencyError("electionNoLeader");
  }

  /** Ends when the key is deleted. */
  async *#changes(key: Uint8Array, startRevision: number, { signal, metadata }: CallOptions) {
    const watcher = this.#session.client.watch(key, { startRevision, signal, metadata });
    for await (const { header, events } of watcher) {
      for (const { type, kv } of events) {
        if (type === Event_EventType.DELETE) return;
        if (kv !== undefined) yield { header, kv };
      }
    }
  }

  /** Runs to its end also when the caller gives up, so that what became of it is known. */
  async #stand(value: Bytes, { timeoutMs, metadata }: CallOptions): Promise<Candidacy> {
    const { client, leaseId } = this.#session;
    const key = queueKey(this.#prefix, leaseId);
    const answer = await client.kv.txn(
      {
        compare: [compare.createRevision(key, "=", 0)],
        success: [op.put(key, value, { lease: leaseId })],
        failure: [op.get(key)],
      },
      { timeoutMs, metadata },
    );
    const own = readPairs(answer, 0)[0];
    const leadership = { key, revision: own?.createRevision ?? answer.header.revision };
    this.#leadership = leadership;
    return { header: answer.header, leadership, value: own?.value };
  }

  /** With time of its own: the caller's may be over. */
  async #withdraw({ leadership, value }: Candidacy): Promise<void> {
    if (value !== undefined) return;
    this.#leadership = undefined;
    try {
      await deleteOwn(this.#session.client, leadership, {});
    } catch {
      // The lease will delete the key; what ended the wait is the error to report.
    }
  }
}

function deleteOwn(client: EtcdClient, { key, revision }: Leadership, options: CallOptions) {
  const txn = { compare: [compare.createRevision(key, "=", revision)], success: [op.delete(key)] };
  return client.kv.txn(txn, options);
}
