/**
 * The receiving end of a stream: dials the peer, decodes what it sends, and dials again when the stream ends, at most
 * ten times a second. A stream that is silent for 5 s (the peer sends a sign of life every 1.67 s) is dead.
 *
 * Source: etcd server/etcdserver/api/rafthttp/stream.go (streamReader).
 */

import { DecodeError } from "@etcd-ts/api";
import type { Message } from "@etcd-ts/raft";
import type { Clock, Logger, Network, PeerStream, Timer } from "../env.js";
import { hexId, type LocalIdentity, requestHeaders } from "./identity.js";
import type { PeerStatus } from "./peer-status.js";
import { type StreamDecoder, StreamFormatError } from "./stream-codec.js";
import type { UrlPicker } from "./url-picker.js";

export const dialRetryMs = 100;
const silenceMaxMs = 5000;

export interface StreamReaderPorts {
  readonly clock: Clock;
  readonly network: Network;
  readonly logger: Logger;
  readonly local: LocalIdentity;
  readonly remoteId: bigint;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly dialTimeoutMs: number;
  /** The peer says that this member was removed from the cluster. */
  removed(): void;
}

export class StreamReader {
  readonly #ports: StreamReaderPorts;
  readonly #path: string;
  readonly #makeDecoder: (onMessage: (message: Message) => void) => StreamDecoder;
  readonly #onMessage: (message: Message) => void;
  #stream: PeerStream | undefined;
  #timer: Timer | undefined;
  #lastHeardAt = 0;
  /** Status of the last answer, if it was a refusal: it is logged when it changes, not ten times a second. */
  #refusedWith: number | undefined;
  #stopped = false;

  constructor(
    ports: StreamReaderPorts,
    options: {
      /** `/raft/stream/msgapp/` or `/raft/stream/message/`. */
      readonly path: string;
      readonly makeDecoder: (onMessage: (message: Message) => void) => StreamDecoder;
      readonly onMessage: (message: Message) => void;
    },
  ) {
    this.#ports = ports;
    this.#path = options.path;
    this.#makeDecoder = options.makeDecoder;
    this.#onMessage = options.onMessage;
  }

  start(): void {
    this.#dial().catch((error: unknown) => {
      this.#ports.status.deactivate("dial remote peer", String(error));
      this.#retry();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#stream?.close();
  }

  async #dial(): Promise<void> {
    const { network, local, remoteId, picker, status, dialTimeoutMs } = this.#ports;
    const url = picker.pick();
    let stream: PeerStream;
    try {
      stream = await network.openStream({
        url: `${url}${this.#path}${hexId(local.memberId)}`,
        method: "GET",
        headers: { ...requestHeaders(local), "x-raft-to": hexId(remoteId) },
        timeoutMs: dialTimeoutMs,
      });
    } catch (error) {
      picker.unreachable(url);
      status.deactivate(`dial remote peer`, String(error));
      return this.#retry();
    }
    if (this.#stopped) return stream.close();
    if (stream.status !== 200) {
      stream.close();
      if (stream.status === 410) return this.#ports.removed();
      this.#logRefusal(stream.status, url);
      picker.unreachable(url);
      status.deactivate("dial remote peer", `unexpected http status ${stream.status}`);
      return this.#retry();
    }
    this.#read(stream);
  }

  #read(stream: PeerStream): void {
    this.#stream = stream;
    this.#refusedWith = undefined;
    this.#ports.status.activate();
    this.#lastHeardAt = this.#ports.clock.now();
    const decoder = this.#makeDecoder(this.#onMessage);
    stream.start(
      (chunk) => {
        this.#lastHeardAt = this.#ports.clock.now();
        this.#ports.status.metrics.receivedBytes += chunk.length;
        try {
          decoder.push(chunk);
        } catch (error) {
          // Anything else is a fault of this member's, which must not be taken for the peer's.
          if (!(error instanceof StreamFormatError || error instanceof DecodeError)) throw error;
          this.#ports.status.metrics.receivedFailures++;
          stream.close();
          this.#lost(stream, String(error));
        }
      },
      (error) => this.#lost(stream, error === undefined ? undefined : String(error)),
    );
    this.#watchSilence(stream);
  }

  #watchSilence(stream: PeerStream): void {
    this.#timer = this.#ports.clock.setTimer(silenceMaxMs, () => {
      if (this.#ports.clock.now() - this.#lastHeardAt < silenceMaxMs) return this.#watchSilence(stream);
      stream.close();
      this.#lost(stream, "i/o timeout");
    });
  }

  /** The end of a stream without error does not make the peer inactive: it may just have attached a newer one. */
  #lost(stream: PeerStream, error: string | undefined): void {
    if (this.#stream !== stream || this.#stopped) return;
    this.#stream = undefined;
    this.#timer?.cancel();
    if (error !== undefined) this.#ports.status.deactivate("read stream", error);
    this.#retry();
  }

  #logRefusal(status: number, url: string): void {
    if (this.#refusedWith === status) return;
    this.#refusedWith = status;
    const why = status === 412 ? "it has another cluster id, or its version is incompatible" : "it may not know us yet";
    const { logger, remoteId } = this.#ports;
    logger.log("warn", "a peer refuses our stream", { "peer-id": hexId(remoteId), url, status, why });
  }

  #retry(): void {
    if (this.#stopped) return;
    this.#timer = this.#ports.clock.setTimer(dialRetryMs, () => this.start());
  }
}
