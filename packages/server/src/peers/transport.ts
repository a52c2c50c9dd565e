/**
 * All other members, as this one reaches them, and the requests they make of it: `/raft`, `/raft/stream/…`,
 * `/raft/snapshot`, `/raft/probing`.
 *
 * Raft tolerates loss, so nothing here is retried: a message that cannot be queued is dropped and reported.
 *
 * Source: etcd server/etcdserver/api/rafthttp/transport.go, http.go, probing_status.go.
 */

import { type Message, MessageType } from "@etcd-ts/raft";
import type { ServedRequest } from "../env.js";
import { createPeerMetrics, type PeerMetrics } from "../metrics/member-metrics.js";
import { serverVersion } from "../version.js";
import { readBody } from "./body.js";
import { hexId, incompatibility, parseHexId } from "./identity.js";
import { Peer, type PeerEnvironment, type StreamKind } from "./peer.js";
import { PeerStatus } from "./peer-status.js";
import { Pipeline } from "./pipeline.js";
import { decodeRaftMessage } from "./raft-message.js";
import { UrlPicker } from "./url-picker.js";

/** A message over the pipeline is one append or smaller: the streams' own frame limit is the limit here too. */
const pipelineBodyBytesMax = 512 * 1024 * 1024;

export interface TransportOptions extends PeerEnvironment {
  isRemoved(id: bigint): boolean;
  /** Sends a snapshot message together with the database; see the snapshot sender. */
  sendSnapshot(message: Message, picker: UrlPicker, status: PeerStatus): void;
  /** The body of `/raft/snapshot`. */
  receiveSnapshot(request: ServedRequest): void;
}

/** Whoever knows the cluster's id can become a remote by naming itself. */
const remotesMax = 64;

/** A member that is not in the configuration yet: it can be answered, and no more. */
interface Remote {
  readonly pipeline: Pipeline;
  readonly picker: UrlPicker;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #peers = new Map<bigint, Peer>();
  readonly #remotes = new Map<bigint, Remote>();

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  addPeer(id: bigint, urls: readonly string[]): void {
    if (this.#peers.has(id) || id === this.#options.local.memberId) return;
    const peer = new Peer(this.#options, id, urls);
    this.#peers.set(id, peer);
    peer.start();
    this.#options.logger.log("info", "started remote peer", { "remote-peer-id": hexId(id) });
  }

  updatePeer(id: bigint, urls: readonly string[]): void {
    this.#peers.get(id)?.picker.update(urls);
  }

  removePeer(id: bigint): void {
    this.#peers.get(id)?.stop();
    this.#peers.delete(id);
  }

  /** Replaces all peers, as after a snapshot. */
  setPeers(peers: ReadonlyMap<bigint, readonly string[]>): void {
    for (const id of [...this.#peers.keys()]) if (!peers.has(id)) this.removePeer(id);
    for (const [id, urls] of peers) {
      if (this.#peers.has(id)) this.updatePeer(id, urls);
      else this.addPeer(id, urls);
    }
  }

  addRemote(id: bigint, urls: readonly string[]): void {
    if (this.#peers.has(id) || this.#remotes.has(id) || id === this.#options.local.memberId) return;
    if (this.#remotes.size >= remotesMax) return;
    const { clock, logger, network, local } = this.#options;
    const picker = new UrlPicker(urls);
    const pipeline = new Pipeline({
      network,
      local,
      picker,
      status: new PeerStatus(clock, logger, id, createPeerMetrics()),
      reportUnreachable: () => this.#options.reportUnreachable(id),
      reportSnapshot: (outcome) => this.#options.reportSnapshot(id, outcome),
      removed: () => this.#options.removed(),
    });
    this.#remotes.set(id, { pipeline, picker });
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.to === 0n || this.#options.isRemoved(message.to)) continue;
      const peer = this.#peers.get(message.to);
      if (peer === undefined) this.#remotes.get(message.to)?.pipeline.send(message);
      else if (message.type === MessageType.snap) this.#options.sendSnapshot(message, peer.picker, peer.status);
      else peer.send(message);
    }
  }

  /** Monotonic milliseconds since when a peer is reachable; undefined while it is not. */
  activeSince(id: bigint): number | undefined {
    return this.#peers.get(id)?.status.activeSince;
  }

  /** What is counted of the traffic with a peer; of others nothing is kept. */
  metricsOf(id: bigint): PeerMetrics {
    return this.#peers.get(id)?.status.metrics ?? createPeerMetrics();
  }

  activeCount(): number {
    let count = 0;
    for (const peer of this.#peers.values()) if (peer.status.activeSince !== undefined) count++;
    return count;
  }

  peerIds(): readonly bigint[] {
    return [...this.#peers.keys()];
  }

  stop(): void {
    for (const peer of this.#peers.values()) peer.stop();
    for (const remote of this.#remotes.values()) remote.pipeline.stop();
    this.#peers.clear();
    this.#remotes.clear();
  }

  /** Answers a request if its path is the transport's; false when it is not. */
  handle(request: ServedRequest): boolean {
    const path = request.target.split("?")[0] ?? "";
    if (path === "/raft/probing") {
      const now = new Date(this.#options.clock.wallTime()).toISOString();
      request.respond(200, { "content-type": "application/json" }, `{"OK":true,"Now":"${now}"}`);
    } else if (path === "/raft") this.#handlePipeline(request);
    else if (path === "/raft/snapshot") this.#handleSnapshot(request);
    else if (path.startsWith("/raft/stream/")) this.#handleStream(request, path);
    else return false;
    return true;
  }

  #refuse(request: ServedRequest, status: number, text: string): void {
    this.#logRefusal(request, status, text);
    request.respond(status, { ...this.#clusterHeader(), "content-type": "text/plain; charset=utf-8" }, `${text}\n`);
  }

  #logRefusal(request: ServedRequest, status: number, error: string): void {
    this.#options.logger.log("warn", "refused a request of a peer", {
      error,
      status,
      path: request.target,
      "remote-address": request.remoteAddress,
      "remote-member-id": request.headers["x-server-from"],
      "remote-server-version": request.headers["x-server-version"],
      "remote-cluster-id": request.headers["x-etcd-cluster-id"],
    });
  }

  #clusterHeader(): Record<string, string> {
    return { "x-etcd-cluster-id": hexId(this.#options.local.clusterId) };
  }

  /** The checks that all three kinds of requests begin with; false when the request was refused. */
  #admit(request: ServedRequest, method: "GET" | "POST"): boolean {
    if (request.method !== method) {
      request.respond(405, { allow: method, "content-type": "text/plain; charset=utf-8" }, "Method Not Allowed\n");
      return false;
    }
    const fault = incompatibility(request.headers, this.#options.local);
    if (fault !== undefined) this.#refuse(request, 412, fault);
    return fault === undefined;
  }

  #addRemoteFrom(request: ServedRequest): void {
    const id = parseHexId(request.headers["x-server-from"]);
    const urls = (request.headers["x-peerurls"] ?? "").split(",").filter((url) => url !== "");
    if (id !== undefined && urls.length > 0) this.addRemote(id, urls);
  }

  /** Why a message is not this member's to process; undefined when it is. */
  #misdirected(message: Message): string | undefined {
    if (this.#options.isRemoved(message.from)) return "cannot process message from removed member";
    if (message.to !== this.#options.local.memberId) return "cannot process message to mismatch member";
    return undefined;
  }

  #handlePipeline(request: ServedRequest): void {
    if (!this.#admit(request, "POST")) return;
    this.#addRemoteFrom(request);
    readBody(request, pipelineBodyBytesMax).then(
      (body) => {
        let message: Message;
        try {
          message = decodeRaftMessage(body);
        } catch {
          return this.#refuse(request, 400, "error unmarshalling raft message");
        }
        const fault = this.#misdirected(message);
        if (fault !== undefined) return this.#respondForbidden(request, fault);
        this.metricsOf(message.from).receivedBytes += body.length;
        this.#options.received(message);
        request.respond(204, this.#clusterHeader(), "");
      },
      () => this.#refuse(request, 400, "error reading raft message"),
    );
  }

  #respondForbidden(request: ServedRequest, text: string): void {
    this.#logRefusal(request, 403, text);
    const headers = { ...this.#clusterHeader(), "content-type": "application/json" };
    request.respond(403, headers, JSON.stringify({ message: text }));
  }

  #handleSnapshot(request: ServedRequest): void {
    if (!this.#admit(request, "POST")) return;
    this.#addRemoteFrom(request);
    this.#options.receiveSnapshot(request);
  }

  #handleStream(request: ServedRequest, path: string): void {
    if (!this.#admit(request, "GET")) return;
    const kind = streamKind(path);
    if (kind === undefined) return this.#refuse(request, 404, "invalid path");
    const id = parseHexId(path.slice(path.lastIndexOf("/") + 1));
    if (id === undefined) return this.#refuse(request, 404, "invalid from");
    if (this.#options.isRemoved(id)) return this.#refuse(request, 410, "removed member");
    const peer = this.#peers.get(id);
    if (peer === undefined) {
      this.#addRemoteFrom(request);
      return this.#refuse(request, 404, "error sender not found");
    }
    if (parseHexId(request.headers["x-raft-to"]) !== this.#options.local.memberId) {
      return this.#refuse(request, 412, "to field mismatch");
    }
    peer.attach(kind, request.openBody(200, { ...this.#clusterHeader(), "x-server-version": serverVersion }));
  }
}

function streamKind(path: string): StreamKind | undefined {
  if (/^\/raft\/stream\/msgapp\/[^/]+$/.test(path)) return "append";
  return /^\/raft\/stream\/message\/[^/]+$/.test(path) ? "message" : undefined;
}
