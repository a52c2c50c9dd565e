/**
 * Connections over sockets: one for each endpoint, used in turn while ready. A connection that ends is made again after
 * a growing pause, for as long as the client lives.
 */

import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { GrpcChannel } from "@etcd-ts/grpc";
import { type Endpoint, parseEndpoint } from "./endpoint.js";
import { canceledError, deadlineError } from "./errors.js";
import type { CancelSignal, ClientClock, Connection, Timer, Transport } from "./transport.js";

/** TLS as users set it up. Certificates and keys are PEM. */
export interface TlsOptions {
  /** Certificates trusted to sign the server's; default: those of Node. */
  readonly ca?: string | Uint8Array | undefined;
  /** The client's own certificate and its key, when the server asks for one. */
  readonly cert?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** The name the server's certificate must have; default: the endpoint's host. */
  readonly serverName?: string | undefined;
  /** Takes any server for the right one. For tests only. */
  readonly insecureSkipVerify?: boolean | undefined;
}

export interface SocketTransportOptions {
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  readonly clock: ClientClock;
  /** Milliseconds for one attempt to connect. */
  readonly dialTimeoutMs: number;
  /** A PING goes out after so many milliseconds without traffic while calls are open; 0 = never. */
  readonly keepaliveTimeMs: number;
  /** The connection is given up when nothing comes within so many milliseconds after the PING. */
  readonly keepaliveTimeoutMs: number;
  readonly receiveMessageBytesMax?: number | undefined;
  readonly sendMessageBytesMax?: number | undefined;
}

/**
 * Pause before the first new attempt; it grows up to the maximum. Source: grpc/grpc doc/connection-backoff.md,
 * shortened.
 */
const backoffMs = 100;
const backoffMaxMs = 5_000;
const backoffFactor = 1.6;

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
}

export class SocketTransport implements Transport {
  readonly #options: SocketTransportOptions;
  /** By endpoint; those of `connectTo` that are no endpoints of the client are in `#others`. */
  #servers: Server[];
  readonly #others: Map<string, Server> = new Map();
  readonly #waiters: Set<Waiter> = new Set();
  #turn = 0;
  #closed = false;

  /** Throws TypeError for an endpoint that is none. */
  constructor(options: SocketTransportOptions) {
    if (options.endpoints.length === 0) throw new TypeError("a client needs at least one endpoint");
    this.#options = options;
    this.#servers = options.endpoints.map((text) => this.#serverOf(text));
  }

  get endpoints(): readonly string[] {
    return this.#servers.map(({ endpoint }) => endpoint.text);
  }

  setEndpoints(endpoints: readonly string[]): void {
    if (endpoints.length === 0) throw new TypeError("a client needs at least one endpoint");
    const before = this.#servers;
    this.#servers = endpoints.map(
      (text) => before.find(({ endpoint }) => endpoint.text === text) ?? this.#serverOf(text),
    );
    for (const server of before) if (!this.#servers.includes(server)) server.drain();
    if (this.#waiters.size > 0) for (const server of this.#servers) server.start();
  }

  connect(timeoutMs: number | undefined, signal: CancelSignal | undefined): Connection | Promise<Connection> {
    if (this.#closed) return Promise.reject(canceledError(new Error("the client is closed")));
    const ready = this.#nextReady();
    if (ready !== undefined) return ready;
    for (const server of this.#servers) server.start();
    return this.#wait(timeoutMs, signal);
  }

  connectTo(endpoint: string): Connection {
    const known = this.#servers.find((server) => server.endpoint.text === endpoint) ?? this.#others.get(endpoint);
    const server = known ?? this.#serverOf(endpoint);
    if (known === undefined) this.#others.set(endpoint, server);
    return server.connection();
  }

  close(): void {
    this.#closed = true;
    for (const server of [...this.#servers, ...this.#others.values()]) server.close();
    this.#others.clear();
    for (const waiter of this.#waiters) waiter.reject(canceledError(new Error("the client is closed")));
    this.#waiters.clear();
  }

  #nextReady(): Connection | undefined {
    for (let i = 0; i < this.#servers.length; i++) {
      this.#turn = (this.#turn + 1) % this.#servers.length;
      const ready = this.#servers[this.#turn]?.ready();
      if (ready !== undefined) return ready;
    }
    return undefined;
  }

  #wait(timeoutMs: number | undefined, signal: CancelSignal | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const finish = (): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", onAbort);
        this.#waiters.delete(waiter);
      };
      const onAbort = (): void => waiter.reject(canceledError());
      const waiter: Waiter = {
        resolve: (connection) => {
          finish();
          resolve(connection);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      if (timeoutMs !== undefined) {
        timer = this.#options.clock.setTimer(timeoutMs, () => waiter.reject(deadlineError(this.#whyNotReady())));
      }
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted === true) onAbort();
    });
  }

  #whyNotReady(): Error {
    const reasons = this.#servers.map(({ endpoint, why }) => `${endpoint.text}: ${why || "still connecting"}`);
    return new Error(`no endpoint is reachable: ${reasons.join("; ")}`);
  }

  #serverOf(text: string): Server {
    return new Server(parseEndpoint(text), this.#options, () => {
      for (const waiter of [...this.#waiters]) {
        const ready = this.#nextReady();
        if (ready !== undefined) waiter.resolve(ready);
      }
    });
  }
}

/** One endpoint and its connection. */
class Server {
  readonly endpoint: Endpoint;
  readonly #options: SocketTransportOptions;
  readonly #onReady: () => void;
  #channel: GrpcChannel | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #over = false;
  /** What the last attempt ended with. */
  why = "";

  constructor(endpoint: Endpoint, options: SocketTransportOptions, onReady: () => void) {
    this.endpoint = endpoint;
    this.#options = options;
    this.#onReady = onReady;
  }

  ready(): Connection | undefined {
    return this.#channel?.state === "ready" ? this.#channel : undefined;
  }

  /** Begins to connect, unless it does already or waits to do so again. */
  start(): void {
    if (this.#channel === undefined && this.#timer === undefined && !this.#over) this.#connect();
  }

  /** A connection to call on at once: calls wait while it is being made, and fail with it. */
  connection(): Connection {
    if (this.#channel === undefined) {
      this.#timer?.cancel();
      this.#connect();
    }
    return this.#channel ?? closedConnection;
  }

  drain(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#channel?.drain();
  }

  close(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#channel?.close();
  }

  #connect(): void {
    this.#timer = undefined;
    if (this.#over) return;
    const { dialTimeoutMs, keepaliveTimeMs, keepaliveTimeoutMs, receiveMessageBytesMax, sendMessageBytesMax } =
      this.#options;
    const tls = this.#tls();
    const channel: GrpcChannel = new GrpcChannel({
      target: this.endpoint.target,
      ...(tls === undefined ? {} : { tls }),
      connectTimeoutMs: dialTimeoutMs,
      limits: {
        keepalive: {
          intervalMs: keepaliveTimeMs,
          timeoutMs: keepaliveTimeoutMs,
          permitWithoutStream: false,
          minClientIntervalMs: 0,
        },
        ...(receiveMessageBytesMax === undefined ? {} : { receiveMessageBytesMax }),
        ...(sendMessageBytesMax === undefined ? {} : { sendMessageBytesMax }),
      },
      onState: (state, why) => {
        if (this.#channel !== channel) return;
        if (state === "ready") {
          this.#failures = 0;
          this.why = "";
          this.#onReady();
        } else if (state === "draining" || state === "closed") this.#lost(why);
      },
    });
    this.#channel = channel;
    // How it ends is told by `onState` too.
    channel.connect().catch((error: unknown) => {
      this.why = error instanceof Error ? error.message : String(error);
    });
  }

  #lost(why: string): void {
    this.#channel = undefined;
    this.why = why;
    if (this.#over) return;
    const { clock } = this.#options;
    const delayMs =
      Math.min(backoffMaxMs, backoffMs * backoffFactor ** this.#failures++) * (0.8 + 0.4 * clock.random());
    this.#timer = clock.setTimer(delayMs, () => this.#connect());
  }

  #tls(): ConnectionOptions | undefined {
    const { tls } = this.#options;
    if (!(this.endpoint.secure ?? tls !== undefined)) return undefined;
    const host = "host" in this.endpoint.target ? this.endpoint.target.host : "localhost";
    const serverName = tls?.serverName ?? host;
    return {
      ...(tls?.ca === undefined ? {} : { ca: asPem(tls.ca) }),
      ...(tls?.cert === undefined ? {} : { cert: asPem(tls.cert) }),
      ...(tls?.key === undefined ? {} : { key: asPem(tls.key) }),
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ...(tls?.insecureSkipVerify === true ? { rejectUnauthorized: false } : {}),
    };
  }
}

function asPem(text: string | Uint8Array): string | Buffer {
  return typeof text === "string" ? text : Buffer.from(text);
}

const closedConnection: Connection = {
  open(_path, _options, receiver) {
    receiver.onEnd({ code: 14, message: "the client is closed", unprocessed: true });
    const nothing = (): void => {};
    return {
      ended: true,
      unsentBytes: 0,
      send: () => false,
      sendLast: nothing,
      halfClose: nothing,
      cancel: nothing,
      pauseReceiving: nothing,
      resumeReceiving: nothing,
    };
  },
};
