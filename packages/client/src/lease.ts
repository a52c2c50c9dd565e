/** Leases. Source: etcd client/v3/lease.go. */

import { EtcdError, errorSpecs, lease } from "@etcd-ts/api";
import type {
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
} from "@etcd-ts/api/etcdserverpb";
import { type Answer, type Caller, type CallOptions, withHeader } from "./caller.js";
import { canceledError, deadlineError } from "./errors.js";
import { type KeepAlive, type KeepAliveOptions, KeepAliveStream } from "./keep-alive.js";
import { isHalt } from "./retry.js";

const repeatable = { repeatable: true };

export class LeaseClient {
  readonly #caller: Caller;
  readonly #keepAlives: KeepAliveStream;

  constructor(caller: Caller, dialTimeoutMs: number) {
    this.#caller = caller;
    this.#keepAlives = new KeepAliveStream(caller, dialTimeoutMs);
  }

  /** Grants a lease of `ttl` seconds; the server may grant more. `id` 0 = the server chooses. */
  grant(ttl: number, options: CallOptions & { readonly id?: bigint } = {}): Promise<Answer<LeaseGrantResponse>> {
    return this.#caller.unary(lease.leaseGrant, { ttl, id: options.id }, repeatable, options);
  }

  /** Ends a lease and deletes its keys. */
  revoke(id: bigint, options: CallOptions = {}): Promise<Answer<LeaseRevokeResponse>> {
    return this.#caller.unary(lease.leaseRevoke, { id }, repeatable, options);
  }

  /** Seconds left; `ttl` −1 = there is no such lease. */
  timeToLive(
    id: bigint,
    options: CallOptions & { readonly keys?: boolean } = {},
  ): Promise<Answer<LeaseTimeToLiveResponse>> {
    return this.#caller.unary(lease.leaseTimeToLive, { id, keys: options.keys }, repeatable, options);
  }

  /** All leases. */
  list(options: CallOptions = {}): Promise<Answer<LeaseLeasesResponse>> {
    return this.#caller.unary(lease.leaseLeases, {}, repeatable, options);
  }

  /** Renews a lease once. Rejects with `leaseNotFound` when it is gone. */
  async keepAliveOnce(id: bigint, options: CallOptions = {}): Promise<Answer<LeaseKeepAliveResponse>> {
    const { signal, timeoutMs } = options;
    const deadline = timeoutMs === undefined ? undefined : this.#caller.clock.now() + timeoutMs;
    for (;;) {
      const remainingMs = deadline === undefined ? undefined : deadline - this.#caller.clock.now();
      if (remainingMs !== undefined && remainingMs <= 0) throw deadlineError();
      try {
        return await this.#renewOnce(id, { ...options, timeoutMs: remainingMs });
      } catch (error) {
        if (!(error instanceof EtcdError) || isHalt(error) || this.#caller.closing.aborted) throw error;
        await this.#caller.sleep(25, signal);
        if (signal?.aborted === true) throw canceledError(error);
      }
    }
  }

  /** Renews a lease for as long as it is wanted; all leases of the client share one stream. */
  keepAlive(id: bigint, options: KeepAliveOptions = {}): KeepAlive {
    return this.#keepAlives.start(id, options);
  }

  /** Stops all keepalives; the leases run out by themselves. */
  close(): void {
    this.#keepAlives.close(canceledError(new Error("the client is closed")));
  }

  async #renewOnce(id: bigint, options: CallOptions): Promise<Answer<LeaseKeepAliveResponse>> {
    for await (const answer of this.#caller.serverStream(lease.leaseKeepAlive, { id }, options)) {
      if (answer.ttl <= 0) throw new EtcdError(errorSpecs.leaseNotFound);
      return withHeader(answer);
    }
    throw new EtcdError({ code: 14, message: "the keepalive stream ended without an answer" });
  }
}
