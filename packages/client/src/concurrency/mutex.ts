/**
 * A lock shared by all clients of the cluster, granted in the order it was asked for.
 *
 * The lock belongs to the session's lease: when the session is lost, so is the lock, and work that goes on must be fenced
 * by `isOwner` or by the lock's revision. Source: etcd client/v3/concurrency/mutex.go.
 */

import type { ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import type { CallOptions } from "../caller.js";
import type { Bytes } from "../keys.js";
import { type Compare, compare, op } from "../ops.js";
import { ConcurrencyError } from "./errors.js";
import { queueKey, queuePrefix, readPairs, waitDeletes } from "./queue-key.js";
import type { LeaseHolder } from "./session.js";

interface Place {
  readonly header: ResponseHeader;
  /** Create revision of this session's key. */
  readonly revision: number;
  readonly isFirst: boolean;
}

export class Mutex {
  /** The key that stands for this session in the queue. */
  readonly key: Uint8Array;
  readonly #session: LeaseHolder;
  readonly #prefix: Uint8Array;
  #revision: number | undefined;

  /** Sessions that use the same name exclude each other. */
  constructor(session: LeaseHolder, name: Bytes) {
    this.#session = session;
    this.#prefix = queuePrefix(name);
    this.key = queueKey(this.#prefix, session.leaseId);
  }

  /** Create revision of the key while the lock is held or waited for: grows with every owner, a fencing token. */
  get revision(): number | undefined {
    return this.#revision;
  }

  /**
   * Waits until the lock is held; answers with the header of the answer that showed it. When the wait is given up, the
   * place in the queue is given up too. A session that holds the lock may lock it again.
   */
  async lock(options: CallOptions = {}): Promise<ResponseHeader> {
    const { client } = this.#session;
    try {
      const { header, revision, isFirst } = await this.#takePlace(options);
      if (isFirst) return header;
      await waitDeletes(client, this.#prefix, revision - 1, options);
      // The lease may have ended while others held the lock.
      const own = await client.kv.get(this.key, options);
      if (own.kvs.length === 0) throw new ConcurrencyError("sessionExpired");
      return own.header;
    } catch (error) {
      await this.#leave();
      throw error;
    }
  }

  /** Takes the lock when it is free. Rejects with the reason `locked` when it is not. */
  async tryLock(options: CallOptions = {}): Promise<ResponseHeader> {
    const { header, isFirst } = await this.#takePlace(options);
    if (isFirst) return header;
    await this.#session.client.kv.delete(this.key, options);
    this.#revision = undefined;
    throw new ConcurrencyError("locked");
  }

  /** Rejects with the reason `lockReleased` when the lock is not held. */
  async unlock(options: CallOptions = {}): Promise<void> {
    if (this.#revision === undefined) throw new ConcurrencyError("lockReleased");
    await this.#session.client.kv.delete(this.key, options);
    this.#revision = undefined;
  }

  /** A condition for transactions that must only happen while the lock is held. */
  isOwner(): Compare {
    return compare.createRevision(this.key, "=", this.#revision ?? -1);
  }

  async #takePlace(options: CallOptions): Promise<Place> {
    const { client, leaseId } = this.#session;
    const first = op.get(this.#prefix, { prefix: true, sort: { by: "CREATE", order: "ASCEND" }, limit: 1 });
    const answer = await client.kv.txn(
      {
        compare: [compare.createRevision(this.key, "=", 0)],
        success: [op.put(this.key, "", { lease: leaseId }), first],
        failure: [op.get(this.key), first],
      },
      options,
    );
    const { header, succeeded } = answer;
    const revision = succeeded ? header.revision : (readPairs(answer, 0)[0]?.createRevision ?? header.revision);
    this.#revision = revision;
    const owner = readPairs(answer, 1)[0];
    return { header, revision, isFirst: owner === undefined || owner.createRevision === revision };
  }

  /** Whatever the reason, with time of its own: the caller's may be over. */
  async #leave(): Promise<void> {
    this.#revision = undefined;
    try {
      await this.#session.client.kv.delete(this.key);
    } catch {
      // The lease will delete the key: the error that ended the wait is the one to report.
    }
  }
}
