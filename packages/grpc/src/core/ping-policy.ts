/** How often a client may ping a gRPC server. Source: grpc-go http2_server handlePing; gRFC A8. */
import type { KeepaliveLimits } from "./limits.js";

/** Without streams a client has no reason to ping more often than this. Source: grpc-go defaultPingTimeout. */
const intervalWithoutStreamMs = 7_200_000;
const strikesMax = 2;

export class PingPolicy {
  readonly #limits: KeepaliveLimits;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;

  constructor(limits: KeepaliveLimits) {
    this.#limits = limits;
  }

  /**
   * Judges a PING: false when the client has pinged too often. `wrote`: something was sent since the last one; clients
   * measure the path by a PING for what they receive, which is no strike.
   */
  allows(nowMs: number, { wrote, streams }: { readonly wrote: boolean; readonly streams: number }): boolean {
    const sinceMs = nowMs - this.#lastPingMs;
    this.#lastPingMs = nowMs;
    if (wrote) {
      this.#strikes = 0;
      return true;
    }
    const idle = streams === 0 && !this.#limits.permitWithoutStream;
    if (sinceMs < (idle ? intervalWithoutStreamMs : this.#limits.minClientIntervalMs)) this.#strikes++;
    return this.#strikes <= strikesMax;
  }
}
