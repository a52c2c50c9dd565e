/**
 * Another member, as this one reaches it: a stream in each direction for appends, one for everything else, and the
 * pipeline while neither is there.
 *
 * Source: etcd server/etcdserver/api/rafthttp/peer.go.
 */

import { type Message, MessageType } from "@etcd-ts/raft";
import type { Clock, Logger, Network, ServedBody } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import { hexId, type LocalIdentity } from "./identity.js";
import { PeerStatus } from "./peer-status.js";
import { Pipeline } from "./pipeline.js";
import { Prober } from "./prober.js";
import {
  AppendStreamDecoder,
  AppendStreamEncoder,
  MessageStreamDecoder,
  MessageStreamEncoder,
} from "./stream-codec.js";
import { StreamReader } from "./stream-reader.js";
import { StreamWriter } from "./stream-writer.js";
import { UrlPicker } from "./url-picker.js";

export interface PeerEnvironment {
  readonly clock: Clock;
  readonly network: Network;
  readonly logger: Logger;
  readonly local: LocalIdentity;
  readonly dialTimeoutMs: number;
  readonly metrics: Pick<MemberMetrics, "peer" | "removePeer">;
  /** A message from any peer. */
  received(message: Message): void;
  reportUnreachable(id: bigint): void;
  reportSnapshot(id: bigint, outcome: "finish" | "failure"): void;
  /** A peer says that this member was removed from the cluster. */
  removed(): void;
}

export type StreamKind = "append" | "message";

export class Peer {
  readonly id: bigint;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly #environment: PeerEnvironment;
  readonly #pipeline: Pipeline;
  readonly #appendWriter: StreamWriter;
  readonly #messageWriter: StreamWriter;
  readonly #readers: readonly StreamReader[];
  readonly #prober: Prober;

  constructor(environment: PeerEnvironment, id: bigint, urls: readonly string[]) {
    const { clock, network, logger, local, dialTimeoutMs } = environment;
    this.id = id;
    this.#environment = environment;
    this.picker = new UrlPicker(urls);
    this.status = new PeerStatus(clock, logger, id, environment.metrics.peer(hexId(id)));
    const reports = {
      reportUnreachable: () => environment.reportUnreachable(id),
      reportSnapshot: (outcome: "finish" | "failure") => environment.reportSnapshot(id, outcome),
      removed: () => environment.removed(),
    };
    const { picker, status } = this;
    this.#pipeline = new Pipeline({ network, local, picker, status, ...reports });
    this.#appendWriter = new StreamWriter({ clock, status, ...reports }, () => new AppendStreamEncoder());
    this.#messageWriter = new StreamWriter({ clock, status, ...reports }, () => new MessageStreamEncoder());
    const readerPorts = { clock, network, logger, local, remoteId: id, picker, status, dialTimeoutMs, ...reports };
    const onMessage = (message: Message): void => environment.received(message);
    this.#readers = [
      new StreamReader(readerPorts, {
        path: "/raft/stream/msgapp/",
        makeDecoder: (deliver) => new AppendStreamDecoder(local.memberId, id, deliver),
        onMessage,
      }),
      new StreamReader(readerPorts, {
        path: "/raft/stream/message/",
        makeDecoder: (deliver) => new MessageStreamDecoder(deliver),
        onMessage,
      }),
    ];
    this.#prober = new Prober({ clock, network, logger, remoteId: id, picker, metrics: status.metrics });
  }

  start(): void {
    for (const reader of this.#readers) reader.start();
    this.#prober.start();
  }

  /** The peer dialled us for a stream of this kind. */
  attach(kind: StreamKind, body: ServedBody): void {
    (kind === "append" ? this.#appendWriter : this.#messageWriter).attach(body);
  }

  send(message: Message): void {
    if (this.#channelFor(message).send(message)) return;
    this.status.metrics.sentFailures++;
    this.#environment.reportUnreachable(this.id);
    if (message.type === MessageType.snap) this.#environment.reportSnapshot(this.id, "failure");
  }

  stop(): void {
    for (const reader of this.#readers) reader.stop();
    this.#prober.stop();
    this.#environment.metrics.removePeer(hexId(this.id));
    this.#appendWriter.close();
    this.#messageWriter.close();
    this.#pipeline.stop();
  }

  #channelFor(message: Message): { send(message: Message): boolean } {
    if (message.type === MessageType.snap) return this.#pipeline;
    if (message.type === MessageType.app && this.#appendWriter.isAttached) return this.#appendWriter;
    return this.#messageWriter.isAttached ? this.#messageWriter : this.#pipeline;
  }
}
