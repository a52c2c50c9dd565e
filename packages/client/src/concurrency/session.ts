/** A lease that is renewed while its owner lives. Source: etcd client/v3/concurrency/session.go. */

import type { CallOptions } from "../caller.js";
import type { EtcdClient } from "../client.js";
import type { KeepAlive } from "../keep-alive.js";

/** What a lock or a candidacy needs: a client and the lease that its key hangs on. */
export interface LeaseHolder {
  readonly client: EtcdClient;
  readonly leaseId: bigint;
}

/** Seconds. Source: defaultSessionTTL. */
export const defaultSessionTtl = 60;

export class Session implements LeaseHolder {
  readonly client: EtcdClient;
  readonly leaseId: bigint;
  readonly #keepAlive: KeepAlive;

  private constructor(client: EtcdClient, leaseId: bigint, keepAlive: KeepAlive) {
    this.client = client;
    this.leaseId = leaseId;
    this.#keepAlive = keepAlive;
  }

  /** Grants a lease, or takes one that was granted, and renews it. `ttl` in seconds. */
  static async create(
    client: EtcdClient,
    options: CallOptions & { readonly ttl?: number; readonly leaseId?: bigint } = {},
  ): Promise<Session> {
    if (options.leaseId !== undefined) {
      return new Session(client, options.leaseId, client.lease.keepAlive(options.leaseId));
    }
    const { id, ttl } = await client.lease.grant(options.ttl ?? defaultSessionTtl, options);
    return new Session(client, id, client.lease.keepAlive(id, { ttl }));
  }

  /**
   * Aborted when the lease is lost: whatever is held under the session belongs to somebody else by then. Pass it on to
   * the work that the session protects.
   */
  get lost(): AbortSignal {
    return this.#keepAlive.lost;
  }

  /** Renews no more; the lease and its keys live on until the lease runs out. */
  orphan(): void {
    this.#keepAlive.stop();
  }

  /** Ends the lease, and with it all locks and candidacies of the session. */
  async close(options: CallOptions = {}): Promise<void> {
    this.orphan();
    await this.client.lease.revoke(this.leaseId, options);
  }
}
