/** Plain HTTP requests over HTTP/1.1, shown to their handler as those over HTTP/2 are. */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { PeerInfo } from "../call.js";
import type { HttpBodyReceiver, HttpExchange, HttpHandler, HttpHeaders } from "../http.js";
import { peerOf } from "./peer.js";

export interface Http1Limits {
  /** From the first byte to the end of the headers. */
  readonly headersTimeoutMs: number;
  /** From the first byte to the end of the body. */
  readonly bodyTimeoutMs: number;
  readonly headerListBytesMax: number;
}

/** A server of `handler`. It listens nowhere by itself: give it sockets with `emit("connection", socket)`. */
export function createHttp1Server(handler: HttpHandler, limits: Http1Limits): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.headersTimeoutMs + limits.bodyTimeoutMs,
      connectionsCheckingInterval: Math.max(10, Math.min(5000, limits.headersTimeoutMs / 2)),
      maxHeaderSize: limits.headerListBytesMax,
      noDelay: true,
    },
    (request, response) => {
      const exchange = new Http1Exchange(request, response);
      handler(exchange);
      exchange.started();
    },
  );
  // The timeouts are watched from the moment a server listens, which this one never does by itself.
  server.emit("listening");
  return server;
}

class Http1Exchange implements HttpExchange {
  readonly protocol = "HTTP/1.1";
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly peer: PeerInfo;
  ended = false;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #receiver: HttpBodyReceiver | undefined;
  #cancelCallback: (() => void) | undefined;
  #drainCallback: (() => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
    this.method = request.method ?? "";
    this.target = request.url ?? "";
    this.headers = joinHeaders(request);
    this.peer = peerOf(request.socket);
    response.on("drain", () => {
      if (!this.ended) this.#drainCallback?.();
    });
    response.on("close", () => {
      if (this.ended) return;
      this.ended = true;
      this.#cancelCallback?.();
    });
    // An aborted request also closes the response, which is where it is dealt with.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
  }

  /** After the handler has been called. */
  started(): void {
    const receiver = this.#receiver;
    if (receiver === undefined) {
      this.#request.resume();
      return;
    }
    this.#request.on("data", (chunk: Uint8Array) => {
      if (!this.ended) receiver.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    });
    this.#request.on("end", () => {
      if (!this.ended) receiver.onEnd();
    });
  }

  receive(receiver: HttpBodyReceiver): void {
    this.#receiver = receiver;
  }

  pauseReceiving(): void {
    this.#request.pause();
  }

  resumeReceiving(): void {
    this.#request.resume();
  }

  respond(status: number, headers: HttpHeaders, body: Uint8Array | string): void {
    if (this.ended) return;
    this.ended = true;
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    this.#response.writeHead(status, { ...headers, "content-length": String(length) });
    this.#response.end(typeof body === "string" ? body : Uint8Array.from(body));
  }

  open(status: number, headers: HttpHeaders): void {
    if (this.ended || this.#response.headersSent) return;
    this.#response.writeHead(status, { ...headers });
    this.#response.flushHeaders();
  }

  send(bytes: Uint8Array): boolean {
    if (this.ended) return false;
    return this.#response.write(Uint8Array.from(bytes));
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#response.end();
  }

  onCancel(callback: () => void): void {
    this.#cancelCallback = callback;
  }

  onDrain(callback: () => void): void {
    this.#drainCallback = callback;
  }
}

function joinHeaders(request: IncomingMessage): HttpHeaders {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}
