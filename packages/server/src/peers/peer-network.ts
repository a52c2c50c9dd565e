/**
 * All that goes between this member and the others: the transport of raft messages, the requests it makes of the leader
 * and those the others make of it. Assembled before the member exists, so the member is attached afterwards.
 */

import type { Message } from "@etcd-ts/raft";
import type { Member as ClusterMember, MembershipEffect } from "@etcd-ts/store";
import type { Env, Listener, ServedRequest } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import type { LeaseForwarding } from "../node/leases.js";
import type { Member } from "../node/member.js";
import type { PeerTransport } from "../node/member-parts.js";
import type { Refusal } from "../node/refusal.js";
import { serverVersion } from "../version.js";
import { hexId } from "./identity.js";
import type { LeaderLookup } from "./leader-requests.js";
import { forwardLeases } from "./lease-forwarding.js";
import { type EndpointPorts, PeerEndpoints } from "./peer-endpoints.js";
import { forwardPromotion } from "./promotion-forwarding.js";
import { receiveSnapshot } from "./snapshot-receiver.js";
import { SnapshotSender } from "./snapshot-sender.js";
import { Transport } from "./transport.js";

export interface PeerNetworkOptions {
  readonly env: Env;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly advertisedUrls: readonly string[];
  readonly electionMs: number;
  readonly requestTimeoutMs: number;
  readonly endpoints: EndpointPorts;
  readonly metrics: MemberMetrics;
  /** This member was removed from the cluster: it must stop. */
  removed(): void;
}

/** Source: etcd server.go, stopWithDelay of a member that applied its own removal. */
const removedDelayMs = 1000;
const versionTimeoutMs = 7000;
const versionBytesMax = 64 * 1024;

export class PeerNetwork implements PeerTransport {
  readonly leases: LeaseForwarding;
  readonly #options: PeerNetworkOptions;
  readonly #transport: Transport;
  readonly #lookup: LeaderLookup;
  readonly #listeners: Listener[] = [];
  #member: Member | undefined;
  #endpoints: PeerEndpoints | undefined;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    // The member itself counts among those known.
    options.metrics.peer(hexId(options.memberId));
    const { clock, network, logger } = options.env;
    const local = {
      memberId: options.memberId,
      clusterId: options.clusterId,
      peerUrls: () => options.advertisedUrls,
    };
    const sender = new SnapshotSender({ clock, logger, network, local, removed: () => options.removed() });
    this.#transport = new Transport({
      clock,
      network,
      logger,
      local,
      // Source: etcd config.go peerDialTimeout.
      dialTimeoutMs: 1000 + options.electionMs,
      metrics: options.metrics,
      received: (message) => this.#member?.receive(message),
      reportUnreachable: (id) => this.#member?.reportUnreachable(id),
      reportSnapshot: (id, outcome) => this.#member?.reportSnapshot(id, outcome),
      removed: () => options.removed(),
      isRemoved: (id) => this.#member?.membership.isRemoved(id) ?? false,
      sendSnapshot: (message, picker, status) => {
        if (this.#member !== undefined) sender.send(this.#member, message, picker, status);
      },
      receiveSnapshot: (request) => {
        if (this.#member !== undefined)
          receiveSnapshot(this.#member, { clock, logger, metricsOf: (id) => this.#transport.metricsOf(id) }, request);
        else request.respond(500, { connection: "close" }, "server is not ready\n");
      },
    });
    this.#lookup = {
      clock,
      network,
      requestTimeoutMs: options.requestTimeoutMs,
      electionTimeoutMs: options.electionMs,
      leaderUrls: () => {
        const member = this.#member;
        return member?.membership.member(member.leader)?.peerUrls ?? [];
      },
    };
    this.leases = forwardLeases(this.#lookup);
  }

  /** Connects to the first peers known, by id, and serves the peer port. */
  async start(
    member: Member,
    firstPeers: ReadonlyMap<bigint, readonly string[]>,
    listenUrls: readonly string[],
  ): Promise<void> {
    this.#member = member;
    this.#endpoints = new PeerEndpoints(member, this.#options.endpoints);
    for (const [id, peerUrls] of firstPeers) this.#transport.addPeer(id, peerUrls);
    for (const url of listenUrls) {
      this.#listeners.push(await this.#options.env.network.serve(url, (request) => this.#serve(request)));
      this.#options.env.logger.log("info", "serving peer traffic", { address: url });
    }
  }

  send(messages: readonly Message[]): void {
    this.#transport.send(messages);
  }

  membershipChanged(effect: MembershipEffect): void {
    switch (effect.kind) {
      case "memberAdded":
        return this.#transport.addPeer(effect.member.id, effect.member.peerUrls);
      case "memberUpdated":
        return this.#transport.updatePeer(effect.member.id, effect.member.peerUrls);
      case "memberRemoved":
        // The others must still learn that the removal is committed, which a leader that leaves is the only one to
        // know.
        if (effect.id === this.#options.memberId) {
          this.#options.env.clock.setTimer(removedDelayMs, () => this.#options.removed());
        }
        return this.#transport.removePeer(effect.id);
      case "learnerPromoted":
        return;
    }
  }

  membershipReplaced(members: readonly ClusterMember[]): void {
    const others = members.filter(({ id }) => id !== this.#options.memberId);
    this.#transport.setPeers(new Map(others.map(({ id, peerUrls }) => [id, peerUrls])));
  }

  promote(id: bigint, done: (refusal: Refusal | undefined) => void): void {
    forwardPromotion(this.#lookup, id).then(done, () => done("timeout"));
  }

  activeSince(id: bigint): number | undefined {
    return this.#transport.activeSince(id);
  }

  /** Server versions of all members, this one included; undefined for one that cannot be asked. */
  versions(): Promise<readonly (string | undefined)[]> {
    const members = this.#member?.membership.members() ?? [];
    return Promise.all(members.map(({ id, peerUrls }) => this.#versionOf(id, peerUrls)));
  }

  stop(): void {
    this.#transport.stop();
    for (const listener of this.#listeners.splice(0)) {
      listener.close().catch((error: unknown) => {
        this.#options.env.logger.log("warn", "failed to close a peer listener", { error: String(error) });
      });
    }
  }

  #serve(request: ServedRequest): void {
    if (this.#transport.handle(request)) return;
    if (this.#endpoints?.handle(request) === true) return;
    request.respond(404, { "content-type": "text/plain; charset=utf-8" }, "404 page not found\n");
  }

  async #versionOf(id: bigint, urls: readonly string[]): Promise<string | undefined> {
    if (id === this.#options.memberId) return serverVersion;
    for (const url of urls) {
      const response = await this.#options.env.network
        .post({
          url: `${url}/version`,
          method: "GET",
          headers: {},
          timeoutMs: versionTimeoutMs,
          responseBytesMax: versionBytesMax,
        })
        .catch(() => undefined);
      const version = response?.status === 200 ? versionIn(response.body) : undefined;
      if (version !== undefined) return version;
    }
    return undefined;
  }
}

function versionIn(body: Uint8Array): string | undefined {
  const match = /"etcdserver"\s*:\s*"(\d+\.\d+\.\d+[^"]*)"/.exec(String.fromCharCode(...body.subarray(0, 1024)));
  return match?.[1];
}
