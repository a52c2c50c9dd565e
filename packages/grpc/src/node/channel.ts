/** A client's connection to one server. When it is gone it stays gone: whoever wants another makes a new channel. */
import { connect as connectNet, type NetConnectOpts, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { StatusCode } from "../call.js";
import type { CallOpener, ClientCall, ClientCallOptions, ClientReceiver } from "../client-call.js";
import { ClientConnection } from "../core/client-connection.js";
import { GrpcClientCall } from "../core/grpc-client-call.js";
import { type ConnectionLimits, clientLimits } from "../core/limits.js";
import { nodeGunzip } from "./node-gunzip.js";
import { NodeTimers } from "./node-timers.js";
import { nodeChunkPool, SocketDriver } from "./socket-driver.js";

/**
 * *idle*: not connected yet. *connecting*: calls may be made and wait. *ready*: the server has answered. *draining*:
 * open calls go on, new ones are refused. *closed*: for good.
 */
export type ChannelState = "idle" | "connecting" | "ready" | "draining" | "closed";

export interface ChannelOptions {
  /** `{ host, port }`, or `{ path }` of a unix socket. */
  readonly target: NetConnectOpts;
  /** Over TLS, with these options. */
  readonly tls?: ConnectionOptions;
  /** `:authority` of the calls; default `host:port`, or "localhost" for a unix socket. */
  readonly authority?: string;
  readonly userAgent?: string;
  /** Differences from `clientLimits`. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Until the server's SETTINGS have come. Default 20 s. */
  readonly connectTimeoutMs?: number;
  /** Called at every change, with the reason where there is one. */
  readonly onState?: (state: ChannelState, why: string) => void;
}

/** All channels of the process share one timer wheel. */
let sharedTimers: NodeTimers | undefined;

export class GrpcChannel implements CallOpener {
  readonly #options: ChannelOptions;
  readonly #timers: NodeTimers;
  readonly #client: ClientConnection;
  #state: ChannelState = "idle";
  #why = "";
  #socket: Socket | undefined;
  #driver: SocketDriver | undefined;
  #connectTimeout: NodeJS.Timeout | undefined;
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(options: ChannelOptions) {
    this.#options = options;
    sharedTimers ??= new NodeTimers();
    this.#timers = sharedTimers;
    this.#timers.now();
    const connectTimeoutMs = options.connectTimeoutMs ?? 20_000;
    this.#client = new ClientConnection(
      {
        scheme: options.tls === undefined ? "http" : "https",
        authority: options.authority ?? defaultAuthority(options.target),
        userAgent: options.userAgent ?? "grpc-etcd-ts/0.1.0",
        limits: { ...clientLimits, prefaceTimeoutMs: connectTimeoutMs, ...options.limits },
        pool: nodeChunkPool,
        timers: this.#timers.wheel,
        gunzip: nodeGunzip,
      },
      {
        onOutput: () => this.#driver?.wake(),
        onReady: () => this.#setState("ready", ""),
        onGoAway: (why) => this.#setState("draining", why),
        onOver: (why) => this.#setState("closed", why),
      },
    );
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Why the channel is draining or closed. */
  get why(): string {
    return this.#why;
  }

  /** Begins to connect; resolves when the server has answered, rejects with the reason when it will not. */
  connect(): Promise<void> {
    if (this.#state === "idle") this.#start();
    if (this.#state === "ready") return Promise.resolve();
    if (this.#state !== "connecting") return Promise.reject(new Error(this.#why));
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Starts a call; connects first when nobody has. */
  open(path: string, options: ClientCallOptions, receiver: ClientReceiver): ClientCall {
    if (this.#state === "idle") this.#start();
    if (this.#state === "connecting" || this.#state === "ready") {
      this.#timers.now();
      return this.#client.open(path, options, receiver);
    }
    const { connection } = this.#client;
    const call = new GrpcClientCall({ connection, timers: this.#timers.wheel, gunzip: undefined }, options, receiver);
    const status = { code: StatusCode.unavailable, message: this.#why || "the connection is draining" };
    call.fail(status, true);
    return call;
  }

  /** Opens no new calls, lets the open ones finish, then closes. */
  drain(): void {
    if (this.#state === "idle") this.close();
    if (this.#state === "closed") return;
    this.#setState("draining", "the connection is draining");
    this.#client.connection.drain();
  }

  /** Closes at once; open calls end with UNAVAILABLE. */
  close(): void {
    this.#client.connection.close("the connection is closed");
  }

  #start(): void {
    this.#setState("connecting", "");
    // Calls may be made from now on; what they send waits for the socket.
    this.#client.connection.start();
    const { target, tls } = this.#options;
    const socket =
      tls === undefined
        ? connectNet(target)
        : connectTls({ ...(target as ConnectionOptions), ALPNProtocols: ["h2"], ...tls });
    this.#socket = socket;
    const timeoutMs = this.#options.connectTimeoutMs ?? 20_000;
    this.#connectTimeout = setTimeout(() => this.#fail("connection timed out"), timeoutMs).unref();
    // The driver reports errors itself once it has the socket.
    const onEarlyError = (error: Error): void => this.#fail(`connection error: ${error.message}`);
    socket.on("error", onEarlyError);
    socket.on("close", () => this.#fail("connection closed before the server answered"));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      socket.off("error", onEarlyError);
      if (tls !== undefined && (socket as TLSSocket).alpnProtocol !== "h2") {
        this.#fail("the server did not agree to speak HTTP/2");
        return;
      }
      if (this.#state === "closed") return;
      this.#driver = new SocketDriver(socket, this.#client.connection, this.#timers);
      this.#driver.start(undefined);
    });
  }

  #fail(why: string): void {
    this.#client.connection.lost(why);
    this.#socket?.destroy();
  }

  #setState(state: ChannelState, why: string): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.#why = why;
    if (state !== "connecting") clearTimeout(this.#connectTimeout);
    if (state === "closed" && this.#driver === undefined) this.#socket?.destroy();
    this.#options.onState?.(state, why);
    if (state === "connecting") return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (state === "ready") resolve();
      else reject(new Error(why));
    }
  }
}

function defaultAuthority(target: NetConnectOpts): string {
  if (!("port" in target)) return "localhost";
  const host = target.host ?? "localhost";
  return `${host.includes(":") ? `[${host}]` : host}:${target.port}`;
}
