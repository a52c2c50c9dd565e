/**
 * Whether a peer is reachable, and since when, and what is counted of the traffic with it. All channels to a peer share
 * one status.
 *
 * Source: etcd server/etcdserver/api/rafthttp/peer_status.go.
 */

import type { Clock, Logger } from "../env.js";
import type { PeerMetrics } from "../metrics/member-metrics.js";
import { hexId } from "./identity.js";

export class PeerStatus {
  readonly metrics: PeerMetrics;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #id: bigint;
  #since: number | undefined;

  constructor(clock: Clock, logger: Logger, id: bigint, metrics: PeerMetrics) {
    this.metrics = metrics;
    this.#clock = clock;
    this.#logger = logger;
    this.#id = id;
  }

  /** Monotonic milliseconds when it became active; undefined while it is not. */
  get activeSince(): number | undefined {
    return this.#since;
  }

  activate(): void {
    if (this.#since !== undefined) return;
    this.#since = this.#clock.now();
    this.metrics.active = 1;
    this.#logger.log("info", "peer became active", { "peer-id": hexId(this.#id) });
  }

  deactivate(what: string, cause: string): void {
    if (this.#since !== undefined) {
      this.metrics.active = 0;
      this.metrics.disconnections++;
      this.#logger.log("warn", "peer became inactive (message send to peer failed)", {
        "peer-id": hexId(this.#id),
        error: `failed to ${what} (${cause})`,
      });
    }
    this.#since = undefined;
  }
}
