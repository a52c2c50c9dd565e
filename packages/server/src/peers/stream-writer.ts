/**
 * The sending end of a stream: the body of the answer to a peer that dialled us. It holds at most one connection; a
 * newer one replaces it. Messages of one loop turn leave in one write, and at most `queueMax` wait while the peer is
 * slow.
 *
 * Source: etcd server/etcdserver/api/rafthttp/stream.go (streamWriter).
 */

import { concatBytes } from "@etcd-ts/api";
import type { Message } from "@etcd-ts/raft";
import type { Clock, ServedBody, Timer } from "../env.js";
import type { PeerStatus } from "./peer-status.js";
import type { StreamEncoder } from "./stream-codec.js";

/** Source: rafthttp streamBufSize. */
const queueMax = 4096;
/** A third of the read timeout of 5 s. */
const heartbeatIntervalMs = 1667;

export interface StreamWriterPorts {
  readonly clock: Clock;
  readonly status: PeerStatus;
  reportUnreachable(): void;
}

interface Attached {
  readonly body: ServedBody;
  readonly encoder: StreamEncoder;
  blocked: boolean;
}

export class StreamWriter {
  readonly #ports: StreamWriterPorts;
  readonly #makeEncoder: () => StreamEncoder;
  #attached: Attached | undefined;
  #queue: Message[] = [];
  #flushPending = false;
  #heartbeat: Timer | undefined;

  constructor(ports: StreamWriterPorts, makeEncoder: () => StreamEncoder) {
    this.#ports = ports;
    this.#makeEncoder = makeEncoder;
  }

  get isAttached(): boolean {
    return this.#attached !== undefined;
  }

  attach(body: ServedBody): void {
    this.#detach();
    const attached: Attached = { body, encoder: this.#makeEncoder(), blocked: false };
    this.#attached = attached;
    this.#ports.status.activate();
    body.onDrain(() => {
      attached.blocked = false;
      this.#flush();
    });
    body.onClose(() => {
      if (this.#attached === attached) this.#detach();
    });
    this.#armHeartbeat(attached);
  }

  /** False when the message could not be queued. */
  send(message: Message): boolean {
    if (this.#attached === undefined || this.#queue.length >= queueMax) return false;
    this.#queue.push(message);
    if (!this.#flushPending) {
      this.#flushPending = true;
      this.#ports.clock.defer(() => {
        this.#flushPending = false;
        this.#flush();
      });
    }
    return true;
  }

  close(): void {
    this.#detach();
  }

  #flush(): void {
    const attached = this.#attached;
    if (attached === undefined || attached.blocked || this.#queue.length === 0) return;
    const parts = this.#queue.map((message) => attached.encoder.encode(message));
    this.#queue = [];
    const [first] = parts;
    const bytes = parts.length === 1 && first !== undefined ? first : concatBytes(parts);
    this.#write(attached, bytes);
  }

  #write(attached: Attached, bytes: Uint8Array): void {
    attached.blocked = !attached.body.write(bytes);
    this.#ports.status.metrics.sentBytes += bytes.length;
  }

  #detach(): void {
    const attached = this.#attached;
    if (attached === undefined) return;
    this.#attached = undefined;
    this.#heartbeat?.cancel();
    attached.body.end();
    if (this.#queue.length > 0) {
      this.#ports.status.metrics.sentFailures += this.#queue.length;
      this.#ports.reportUnreachable();
    }
    this.#queue = [];
  }

  #armHeartbeat(attached: Attached): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#ports.clock.setTimer(heartbeatIntervalMs, () => {
      if (this.#attached !== attached) return;
      if (!attached.blocked) this.#write(attached, attached.encoder.encodeHeartbeat());
      this.#armHeartbeat(attached);
    });
  }
}
