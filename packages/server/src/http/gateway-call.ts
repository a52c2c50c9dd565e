/**
 * A call that came in over the JSON gateway, shown to its handler as a gRPC call. Answers become JSON: one object for
 * a unary method, lines of `{"result":…}` and at most one `{"error":…}` for a streaming one.
 */

import { type AnyMethod, concatBytes, toJson } from "@etcd-ts/api";
import {
  type HttpExchange,
  type MessageWriter,
  type MetadataEntries,
  type PeerInfo,
  type ServerCall,
  type Status,
  StatusCode,
} from "@etcd-ts/grpc";
import type { Timer } from "../env.js";
import type { CallHead } from "./gateway-metadata.js";

/** What else than OK a status becomes. Source: grpc-gateway runtime/errors.go HTTPStatusFromCode. */
const httpStatuses: Readonly<Record<StatusCode, number>> = {
  [StatusCode.ok]: 200,
  [StatusCode.cancelled]: 499,
  [StatusCode.unknown]: 500,
  [StatusCode.invalidArgument]: 400,
  [StatusCode.deadlineExceeded]: 504,
  [StatusCode.notFound]: 404,
  [StatusCode.alreadyExists]: 409,
  [StatusCode.permissionDenied]: 403,
  [StatusCode.resourceExhausted]: 429,
  [StatusCode.failedPrecondition]: 400,
  [StatusCode.aborted]: 409,
  [StatusCode.outOfRange]: 400,
  [StatusCode.unimplemented]: 501,
  [StatusCode.internal]: 500,
  [StatusCode.unavailable]: 503,
  [StatusCode.dataLoss]: 500,
  [StatusCode.unauthenticated]: 401,
};

const json = { "content-type": "application/json" };
const answered = { ...json, "grpc-metadata-content-type": "application/grpc" };

export const deadlineExceeded: Status = { code: StatusCode.deadlineExceeded, message: "context deadline exceeded" };

/** Longer timers overflow; nobody waits a month for an answer. */
const timerMsMax = 2 ** 31 - 1;

/** Unsent bytes at which a stream is given up. */
const unsentBytesMax = 8 * 1024 * 1024;

export interface GatewayCallOptions {
  readonly method: AnyMethod;
  readonly exchange: HttpExchange;
  readonly head: CallHead & { readonly kind: "ok" };
  readonly setTimer: (delayMs: number, callback: () => void) => Timer;
}

/** Answers a request that never became a call. */
export function refuseExchange(exchange: HttpExchange, { code, message }: Status): void {
  const headers = code === StatusCode.unauthenticated ? { ...json, "www-authenticate": message } : json;
  exchange.respond(httpStatuses[code], headers, JSON.stringify({ code, message }));
}

export class GatewayCall implements ServerCall {
  readonly path: string;
  readonly metadata: MetadataEntries;
  readonly peer: PeerInfo;
  readonly timeoutMs: number | undefined;
  ended = false;
  unsentBytes = 0;
  readonly #method: AnyMethod;
  readonly #exchange: HttpExchange;
  readonly #setTimer: GatewayCallOptions["setTimer"];
  #deadline: Timer | undefined;
  #opened = false;
  #receivingPaused = false;
  #onResume: () => void = () => undefined;
  #onCancel: (status: Status) => void = () => undefined;
  #onDrain: () => void = () => undefined;

  constructor({ method, exchange, head, setTimer }: GatewayCallOptions) {
    this.path = method.path;
    this.metadata = head.metadata;
    // A client certificate's name does not count here: the gateway is a client of its own. Who has one is refused
    // before (`AccessOptions.refusesCommonName`).
    this.peer = { ...exchange.peer, commonName: undefined };
    this.timeoutMs = head.timeoutMs;
    this.#method = method;
    this.#exchange = exchange;
    this.#setTimer = setTimer;
  }

  /** Watches the deadline and the client; `onResume` is called when delivery of messages may go on. */
  start(onResume: () => void): void {
    this.#onResume = onResume;
    this.#exchange.onCancel(() => this.#cancel({ code: StatusCode.cancelled, message: "context canceled" }));
    this.#exchange.onDrain(() => {
      this.unsentBytes = 0;
      if (!this.ended) this.#onDrain();
    });
    if (this.timeoutMs === undefined) return;
    this.#deadline = this.#setTimer(Math.min(this.timeoutMs, timerMsMax), () => this.#fail(deadlineExceeded));
  }

  get receivingPaused(): boolean {
    return this.#receivingPaused;
  }

  header(name: string): string | undefined {
    const value = this.metadata.find(([key, item]) => key === name && typeof item === "string")?.[1];
    return typeof value === "string" ? value : undefined;
  }

  send(sizeBytes: number, write: MessageWriter): boolean {
    if (this.ended) return false;
    if (!this.#opened) {
      this.#opened = true;
      this.#exchange.open(200, answered);
    }
    return this.#sendLine(`{"result":${this.#json(sizeBytes, write)}}\n`);
  }

  sendPieces(pieces: readonly Uint8Array[]): boolean {
    const message = concatBytes(pieces);
    return this.send(message.length, (target, offset) => target.set(message, offset));
  }

  respond(sizeBytes: number, write: MessageWriter): void {
    if (this.ended) return;
    if (this.#method.serverStreaming) {
      this.send(sizeBytes, write);
      this.end({ code: StatusCode.ok, message: "" });
      return;
    }
    const body = this.#json(sizeBytes, write);
    this.#finish();
    this.#exchange.respond(200, answered, body);
  }

  respondPieces(pieces: readonly Uint8Array[]): void {
    const message = concatBytes(pieces);
    this.respond(message.length, (target, offset) => target.set(message, offset));
  }

  end(status: Status): void {
    if (this.ended) return;
    this.#finish();
    const { code, message } = status;
    if (!this.#method.serverStreaming) {
      refuseExchange(this.#exchange, code === StatusCode.ok ? noAnswer : status);
      return;
    }
    if (!this.#opened) this.#exchange.open(httpStatuses[code], json);
    if (code !== StatusCode.ok) this.#sendLine(`${JSON.stringify({ error: { code, message } })}\n`);
    this.#exchange.end();
  }

  /** Ends the call because what the client sent cannot be read. */
  refuse(status: Status): void {
    if (this.ended) return;
    if (this.#opened) return this.#fail(status);
    this.#finish();
    refuseExchange(this.#exchange, status);
    this.#onCancel(status);
  }

  pauseReceiving(): void {
    this.#receivingPaused = true;
    this.#exchange.pauseReceiving();
  }

  resumeReceiving(): void {
    if (!this.#receivingPaused) return;
    this.#receivingPaused = false;
    this.#exchange.resumeReceiving();
    this.#onResume();
  }

  onCancel(callback: (status: Status) => void): void {
    this.#onCancel = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  #json(sizeBytes: number, write: MessageWriter): string {
    const bytes = new Uint8Array(sizeBytes);
    write(bytes, 0);
    return toJson(this.#method.response, this.#method.response.decode(bytes));
  }

  #sendLine(line: string): boolean {
    const bytes = new TextEncoder().encode(line);
    if (this.#exchange.send(bytes)) return true;
    this.unsentBytes += bytes.length;
    if (this.unsentBytes > unsentBytesMax) {
      this.#fail({ code: StatusCode.resourceExhausted, message: "the client reads too slowly" });
    }
    return false;
  }

  /** Ends the call from outside its handler. */
  #fail(status: Status): void {
    if (this.ended) return;
    this.end(status);
    this.#onCancel(status);
  }

  /** The client is gone: nothing can be answered. */
  #cancel(status: Status): void {
    if (this.ended) return;
    this.#finish();
    this.#onCancel(status);
  }

  #finish(): void {
    this.ended = true;
    this.#deadline?.cancel();
  }
}

const noAnswer: Status = { code: StatusCode.internal, message: "the method ended without an answer" };
