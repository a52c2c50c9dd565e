/**
 * Asks a peer for its time every four seconds, for the round trip and for clocks that drift apart. Nothing depends on
 * the answer: it is there for logs and metrics.
 *
 * Every round trip is observed, where etcd observes a smoothed one every 30 s: a histogram of them should hold them.
 *
 * Source: etcd server/etcdserver/api/rafthttp/probing_status.go, peer.go proberInterval.
 */

import type { Clock, Logger, Network, PostResponse, Timer } from "../env.js";
import type { PeerMetrics } from "../metrics/member-metrics.js";
import { hexId } from "./identity.js";
import type { UrlPicker } from "./url-picker.js";

export const probeIntervalMs = 4000;
const logIntervalMs = 30_000;
const clockDriftMsMax = 1000;
const responseBytesMax = 4096;

export interface ProberPorts {
  readonly clock: Clock;
  readonly network: Network;
  readonly logger: Logger;
  readonly remoteId: bigint;
  readonly picker: UrlPicker;
  readonly metrics: Pick<PeerMetrics, "roundTripSeconds">;
}

/** What was logged last, and when: a lasting fault is told again, but not with every probe. */
type Fault = "unhealthy" | "drift";

export class Prober {
  readonly #ports: ProberPorts;
  readonly #loggedAt = new Map<Fault, number>();
  #timer: Timer | undefined;

  constructor(ports: ProberPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#timer = this.#ports.clock.setTimer(probeIntervalMs, () => {
      this.start();
      void this.#probe();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Never rejects. Its time ends with the next one's beginning. */
  async #probe(): Promise<void> {
    const { clock, network, picker, metrics } = this.#ports;
    const startedAt = clock.now();
    let response: PostResponse;
    try {
      response = await network.post({
        url: `${picker.pick()}/raft/probing`,
        method: "GET",
        headers: {},
        timeoutMs: probeIntervalMs,
        responseBytesMax,
      });
      if (response.status !== 200) throw new Error(`unexpected http status ${response.status}`);
    } catch (error) {
      return this.#log("unhealthy", "prober detected unhealthy status", { error: String(error) });
    }
    this.#loggedAt.delete("unhealthy");
    const roundTripMs = clock.now() - startedAt;
    metrics.roundTripSeconds.observe(roundTripMs / 1000);
    const theirTime = timeIn(response.body);
    if (theirTime === undefined) return;
    const driftMs = clock.wallTime() - theirTime - roundTripMs / 2;
    if (Math.abs(driftMs) <= clockDriftMsMax) return void this.#loggedAt.delete("drift");
    const fields = { "clock-drift": `${driftMs / 1000}s`, rtt: `${roundTripMs / 1000}s` };
    this.#log("drift", "prober found high clock drift", fields);
  }

  #log(fault: Fault, text: string, fields: Readonly<Record<string, string>>): void {
    const { clock, logger, remoteId } = this.#ports;
    const last = this.#loggedAt.get(fault);
    if (last !== undefined && clock.now() - last < logIntervalMs) return;
    this.#loggedAt.set(fault, clock.now());
    logger.log("warn", text, { "remote-peer-id": hexId(remoteId), ...fields });
  }
}

/** Unix milliseconds of the peer's answer; undefined when there are none in it. */
function timeIn(body: Uint8Array): number | undefined {
  const match = /"Now"\s*:\s*"([^"]+)"/.exec(new TextDecoder().decode(body));
  const time = Date.parse(match?.[1] ?? "");
  return Number.isNaN(time) ? undefined : time;
}
