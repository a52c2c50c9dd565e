/**
 * The JSON gateway: `POST /v3/…` with the JSON of a request calls the same handlers as gRPC does. A bidirectional
 * method takes any number of JSON values, one behind the other or line by line, and answers while they come.
 *
 * Texts, statuses and headers are those of etcd's (grpc-gateway v2); unlike there, a stream whose input is not JSON is
 * answered with the error and ended instead of left open. Source: wire behaviour of etcd 3.7.3.
 */

import { type AnyMethod, concatBytes, fromJson, isJsonError, methodsByHttpPath } from "@etcd-ts/api";
import {
  type HttpBodyReceiver,
  type HttpExchange,
  type HttpHandler,
  type MethodHandler,
  type ServiceTable,
  type Status,
  StatusCode,
  type StreamReceiver,
} from "@etcd-ts/grpc";
import type { Timer } from "../env.js";
import { answering, pathOf } from "./answer.js";
import { deadlineExceeded, GatewayCall, refuseExchange } from "./gateway-call.js";
import { readCallHead } from "./gateway-metadata.js";
import { JsonValueSplitter } from "./json-values.js";

export interface GatewayOptions {
  /** The handlers; a method that is not among them is answered Unimplemented, as over gRPC. */
  readonly services: ServiceTable;
  /** Largest request message, as for gRPC: `--max-request-bytes` and 512 KiB. */
  readonly requestBytesMax: number;
  readonly setTimer: (delayMs: number, callback: () => void) => Timer;
}

const notFound = answering(() => jsonError(404, StatusCode.notFound, "Not Found"));
const methodNotAllowed = answering(() => jsonError(501, StatusCode.unimplemented, "Method Not Allowed"));

function jsonError(status: number, code: StatusCode, message: string) {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify({ code, message }) };
}

export function createGateway(options: GatewayOptions): HttpHandler {
  return (exchange) => {
    const method = methodsByHttpPath.get(pathOf(exchange));
    if (method === undefined) return notFound(exchange);
    if (exchange.method !== "POST") return methodNotAllowed(exchange);
    const handler = options.services.get(method.path);
    if (handler === undefined) {
      const message = `unknown method ${method.name} for service ${method.service}`;
      return refuseExchange(exchange, { code: StatusCode.unimplemented, message });
    }
    startCall({ method, handler }, exchange, options);
  };
}

/** A deadline nearer than this has passed before a call can begin. */
const timeoutMsMin = 0.001;

interface Route {
  readonly method: AnyMethod;
  readonly handler: MethodHandler;
}

function startCall({ method, handler }: Route, exchange: HttpExchange, options: GatewayOptions): void {
  const head = readCallHead(exchange.headers);
  if (head.kind === "refused") {
    return refuseExchange(exchange, invalid(head.error));
  }
  if (head.timeoutMs !== undefined && head.timeoutMs < timeoutMsMin) return refuseExchange(exchange, deadlineExceeded);
  const call = new GatewayCall({ method, exchange, head, setTimer: options.setTimer });
  const codec = new RequestCodec(method, options.requestBytesMax);
  if (handler.kind === "stream") {
    const receiver = new StreamBody(call, codec);
    call.start(() => receiver.deliver());
    exchange.receive(receiver);
    receiver.open(handler.open(call));
  } else {
    call.start(() => undefined);
    exchange.receive(new WholeBody(call, codec, (request) => handler.handle(call, request)));
  }
}

/** Turns the JSON of one request into its bytes. */
class RequestCodec {
  readonly #method: AnyMethod;
  readonly #requestBytesMax: number;
  /** Base64 makes bytes a third longer, names and punctuation the rest. */
  readonly textBytesMax: number;

  constructor(method: AnyMethod, requestBytesMax: number) {
    this.#method = method;
    this.#requestBytesMax = requestBytesMax;
    this.textBytesMax = 2 * requestBytesMax;
  }

  /** The message's bytes, or what is wrong with the text. */
  encode(json: Uint8Array): Uint8Array | Status {
    const text = decodeText(json);
    if (text === undefined) return invalid("proto: syntax error: invalid UTF-8 in string");
    const codec = this.#method.request;
    let message: object;
    try {
      message = fromJson(codec, text);
    } catch (error) {
      if (!isJsonError(error)) throw error;
      return invalid(error.message);
    }
    const size = codec.size(message);
    if (size > this.#requestBytesMax) {
      const why = `grpc: received message larger than max (${size} vs. ${this.#requestBytesMax})`;
      return { code: StatusCode.resourceExhausted, message: why };
    }
    const bytes = new Uint8Array(size);
    codec.encode(message, bytes, 0);
    return bytes;
  }
}

function invalid(message: string): Status {
  return { code: StatusCode.invalidArgument, message };
}

const bodyTooLarge = invalid("http: request body too large");

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // Not UTF-8: there is nothing else it could say.
  }
}

/** The body of a method that takes one request: what follows the first JSON value is ignored. */
class WholeBody implements HttpBodyReceiver {
  readonly #call: GatewayCall;
  readonly #codec: RequestCodec;
  readonly #handle: (request: Uint8Array) => void;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(call: GatewayCall, codec: RequestCodec, handle: (request: Uint8Array) => void) {
    this.#call = call;
    this.#codec = codec;
    this.#handle = handle;
  }

  onData(bytes: Uint8Array): void {
    if (this.#call.ended) return;
    this.#bytes += bytes.length;
    if (this.#bytes > this.#codec.textBytesMax) return this.#call.refuse(bodyTooLarge);
    this.#chunks.push(bytes.slice());
  }

  onEnd(): void {
    if (this.#call.ended) return;
    const request = this.#codec.encode(concatBytes(this.#chunks));
    if (request instanceof Uint8Array) this.#handle(request);
    else this.#call.refuse(request);
  }
}

/** The body of a method that takes a stream of requests. */
class StreamBody implements HttpBodyReceiver {
  readonly #call: GatewayCall;
  readonly #codec: RequestCodec;
  readonly #values: JsonValueSplitter;
  #receiver: StreamReceiver | undefined;
  #delivering = false;
  #bodyEnded = false;
  #halfClosed = false;

  constructor(call: GatewayCall, codec: RequestCodec) {
    this.#call = call;
    this.#codec = codec;
    this.#values = new JsonValueSplitter(codec.textBytesMax);
  }

  open(receiver: StreamReceiver): void {
    this.#receiver = receiver;
  }

  onData(bytes: Uint8Array): void {
    if (this.#call.ended) return;
    if (this.#values.push(bytes)) this.deliver();
    else this.#call.refuse(bodyTooLarge);
  }

  onEnd(): void {
    this.#bodyEnded = true;
    this.deliver();
  }

  /** Hands on what has come in, until the handler pauses it. A handler that resumes from within a message is fine. */
  deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    this.#deliverAll();
    this.#delivering = false;
  }

  #deliverAll(): void {
    while (!this.#call.ended && !this.#call.receivingPaused) {
      const value = this.#values.next() ?? (this.#bodyEnded ? this.#values.rest() : undefined);
      if (value === undefined) return this.#halfClose();
      const request = this.#codec.encode(value);
      if (!(request instanceof Uint8Array)) return this.#call.refuse(request);
      this.#receiver?.onMessage(request);
    }
  }

  #halfClose(): void {
    if (!this.#bodyEnded || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#receiver?.onHalfClose();
  }
}
