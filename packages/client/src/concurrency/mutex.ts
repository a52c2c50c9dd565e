/**
 * A lock shared by all clients of the cluster, granted in the order it was asked for.
 *
 * The lock belongs to the session's lease: when the session is lost, so is the lock, and work that goes on must be
 * fenced by `isOwner` or by the lock's revision. Source: etcd client/v3/concurrency/mutex.go.
 */

import type { ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import type { CallOptions } from "../caller.js";
import type { Bytes } from "../keys.js";
import { type Compare, compare, op } from "../ops.js";
import { ConcurrencyError } from "./errors.js";
import { queueKey, queuePrefix, readPairs, settled, waitDeletes } from "./queue-key.js";
import type { LeaseHolder } from "./session.js";

interface Place {
  readonly header: ResponseHeader;
  /** Create revision of this session's key. */
  readonly revision: number;
  readonly isFirst: boolean;
  /** The session had no key in the queue before. */
  readonly isNew: boolean;
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
   * place in the queue is given up too, unless the session held or waited for the lock before. A session that holds the
   * lock may lock it again.
   */
  async lock(options: CallOptions = {}): Promise<ResponseHeader> {
    const { client } = this.#session;
    const place = await settled(this.#takePlace(options), options, (late) => this.#leave(late));
    if (place.isFirst) return place.header;
    try {
      await waitDeletes(client, this.#prefix, place.revision - 1, options);
      // The lease may have ended while others held the lock.
      const own = await client.kv.get(this.key, options);
      if (own.kvs.length === 0) throw new ConcurrencyError("sessionExpired");
      return own.header;
    } catch (error) {
      await this.#leave(place);
      throw error;
    }
  }

  /** Takes the lock when it is free. Rejects with the reason `locked` when it is not. */
  async tryLock(options: CallOptions = {}): Promise<ResponseHeader> {
    const place = await settled(this.#takePlace(options), options, (late) => this.#leave(late));
    if (place.isFirst) return place.header;
    await this.#leave(place);
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

  /** Runs to its end also when the caller gives up, so that what became of it is known. */
  async #takePlace({ timeoutMs, metadata }: CallOptions): Promise<Place> {
    const { client, leaseId } = this.#session;
    const first = op.get(this.#prefix, { prefix: true, sort: { by: "CREATE", order: "ASCEND" }, limit: 1 });
    const answer = await client.kv.txn(
      {
        compare: [compare.createRevision(this.key, "=", 0)],
        success: [op.put(this.key, "", { lease: leaseId }), first],
        failure: [op.get(this.key), first],
      },
      { timeoutMs, metadata },
    );
    const { header, succeeded } = answer;
    const revision = succeeded ? header.revision : (readPairs(answer, 0)[0]?.createRevision ?? header.revision);
    this.#revision = revision;
    const owner = readPairs(answer, 1)[0];
    const isFirst = owner === undefined || owner.createRevision === revision;
    return { header, revision, isFirst, isNew: succeeded };
  }

  /** With time of its own: the caller's may be over. */
  async #leave({ isNew }: Place): Promise<void> {
    if (!isNew) return;
    this.#revision = undefined;
    try {
      await this.#session.client.kv.delete(this.key);
    } catch {
      // The lease will delete the key; what ended the wait is the error to report.
    }
  }
}
