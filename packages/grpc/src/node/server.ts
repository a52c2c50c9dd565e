/** A gRPC server on Node's sockets: TCP, unix sockets and TLS; HTTP/1.1 on the same port goes to `node:http`. */
import type { Server as HttpServer } from "node:http";
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from "node:tls";
import type { ServiceTable } from "../call.js";
import { type GrpcServices, grpcServices } from "../core/grpc-request.js";
import { type ConnectionLimits, serverLimits } from "../core/limits.js";
import { ServerConnection } from "../core/server-connection.js";
import type { HttpHandler } from "../http.js";
import { createHttp1Server } from "./http1.js";
import { nodeGunzip } from "./node-gunzip.js";
import { NodeTimers } from "./node-timers.js";
import { peerOf } from "./peer.js";
import { detectProtocol } from "./preface.js";
import { nodeChunkPool, SocketDriver } from "./socket-driver.js";
import { turnFlush } from "./turn-flush.js";

export interface GrpcServerOptions {
  /** The methods served. */
  readonly services: ServiceTable;
  /** Takes every request that is not gRPC, over HTTP/1.1 and HTTP/2; without it they are refused. */
  readonly http?: HttpHandler;
  /** Differences from `serverLimits`. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Connections of all listeners together; more are closed at once. Default 10 000. */
  readonly connectionsMax?: number;
  /** TLS handshakes that may be under way; more connections are closed at once. Default 512. */
  readonly handshakesMax?: number;
  /** Default 10 s. */
  readonly handshakeTimeoutMs?: number;
}

/** Where to listen: `{ host, port }` or `{ path }` of a unix socket; with `tls`, over TLS. */
export interface ListenTarget extends Pick<ListenOptions, "host" | "port" | "path"> {
  /** A function is asked before each handshake, so that certificates can be rotated; it throws when it has none. */
  readonly tls?: TlsOptions | (() => TlsOptions);
  readonly guard?: TlsGuard;
}

/** Has its say about TLS connections when their handshake has ended. */
export interface TlsGuard {
  /** False = the connection is closed. Must not reject. */
  admits(socket: TLSSocket): Promise<boolean>;
  /** Told of a handshake that failed; the socket is closed. */
  handshakeFailed(error: Error, socket: TLSSocket): void;
}

export class GrpcServer {
  readonly #services: GrpcServices;
  readonly #http: HttpHandler | undefined;
  readonly #http1: HttpServer | undefined;
  readonly #limits: ConnectionLimits;
  readonly #connectionsMax: number;
  readonly #handshakesMax: number;
  readonly #handshakeTimeoutMs: number;
  readonly #timers: NodeTimers = new NodeTimers();
  readonly #listeners: Set<Server> = new Set();
  readonly #sockets: Set<Socket> = new Set();
  /** Those that have not said yet what they speak. */
  readonly #silent: Set<Socket> = new Set();
  readonly #http2Sockets: WeakSet<Socket> = new WeakSet();
  readonly #connections: Set<ServerConnection> = new Set();
  #handshakes = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: GrpcServerOptions) {
    this.#services = grpcServices(options.services);
    this.#http = options.http;
    this.#limits = { ...serverLimits, ...options.limits };
    this.#connectionsMax = options.connectionsMax ?? 10_000;
    this.#handshakesMax = options.handshakesMax ?? 512;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? 10_000;
    this.#http1 = options.http === undefined ? undefined : createHttp1Server(options.http, this.#limits);
  }

  /** Open connections of all kinds. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Starts listening; rejects with the system's error. The result is the address bound. */
  async listen(target: ListenTarget): Promise<AddressInfo | string> {
    const { tls, guard, ...where } = target;
    const server = tls === undefined ? createServer() : this.#createTlsServer(tls);
    this.attach(server, guard);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => {
        server.off("error", reject);
        resolve();
      });
    });
    return server.address() as AddressInfo | string;
  }

  /** Serves the connections of a `net` or `tls` server, which `close` will close. */
  attach(server: Server, guard?: TlsGuard): void {
    this.#listeners.add(server);
    server.on("close", () => this.#listeners.delete(server));
    // TLS servers emit "connection" too, before the handshake.
    if (isTlsServer(server)) {
      server.on("connection", (socket: Socket) => this.#onHandshake(socket));
      // Every handshake ends in exactly one of these two.
      server.on("secureConnection", (socket: TLSSocket) => void this.#onSecure(socket, guard));
      server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
        this.#handshakes--;
        guard?.handshakeFailed(error, socket);
        socket.destroy();
      });
    } else server.on("connection", (socket: Socket) => this.accept(socket));
  }

  /** Serves one connected socket. */
  accept(socket: Socket): void {
    if (this.#sockets.size >= this.#connectionsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#onSocketClosed(socket));
    socket.on("error", () => socket.destroy());
    if ((socket as Partial<TLSSocket>).alpnProtocol === "h2") {
      this.#serveHttp2(socket, undefined);
      return;
    }
    this.#silent.add(socket);
    detectProtocol(socket, this.#limits.prefaceTimeoutMs, (protocol, received) => {
      this.#silent.delete(socket);
      if (protocol === "http2") this.#serveHttp2(socket, received);
      else this.#serveHttp1(socket, received);
    });
  }

  /** Writes the answers that are ready, which otherwise leave when the turn's work is done. */
  flush(): void {
    turnFlush.run();
  }

  /**
   * Stops listening, lets open calls finish for `graceMs` and closes what is left. Resolves when every socket is
   * closed. May be called again with a shorter time.
   */
  async close(graceMs: number): Promise<void> {
    const closed = [...this.#listeners].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const { connection } of this.#connections) connection.drain();
    for (const socket of this.#silent) socket.destroy();
    this.#http1?.closeIdleConnections();
    const deadline = setTimeout(() => this.#destroyAll(), graceMs);
    await this.#idle();
    clearTimeout(deadline);
    await Promise.all(closed);
    this.#timers.stop();
    this.#http1?.close();
  }

  #createTlsServer(tls: TlsOptions | (() => TlsOptions)): Server {
    const server = createTlsServer({
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: this.#handshakeTimeoutMs,
      ...(typeof tls === "function" ? tls() : tls),
    });
    if (typeof tls === "function") readAgain(server, tls);
    return server;
  }

  #onHandshake(socket: Socket): void {
    this.#handshakes++;
    // The handshake of a destroyed socket still ends, in an error.
    if (this.#handshakes > this.#handshakesMax || this.#sockets.size >= this.#connectionsMax) socket.destroy();
  }

  /** A connection that waits for the guard's word counts as one whose handshake is under way. */
  async #onSecure(socket: TLSSocket, guard: TlsGuard | undefined): Promise<void> {
    if (guard !== undefined) {
      socket.on("error", () => socket.destroy());
      if (!(await guard.admits(socket))) socket.destroy();
    }
    this.#handshakes--;
    if (!socket.destroyed) this.accept(socket);
  }

  #serveHttp2(socket: Socket, received: Uint8Array | undefined): void {
    this.#timers.now();
    const server = new ServerConnection(
      {
        services: this.#services,
        http: this.#http,
        limits: this.#limits,
        pool: nodeChunkPool,
        timers: this.#timers.wheel,
        gunzip: nodeGunzip,
        peer: peerOf(socket),
      },
      {
        onOutput: () => driver.wake(),
        onOver: () => this.#connections.delete(server),
      },
    );
    const driver = new SocketDriver(socket, server.connection, this.#timers);
    this.#connections.add(server);
    this.#http2Sockets.add(socket);
    server.connection.start();
    driver.start(received);
    if (this.#onIdle !== undefined) server.connection.drain();
  }

  #serveHttp1(socket: Socket, received: Buffer): void {
    if (this.#http1 === undefined) {
      socket.destroy();
      return;
    }
    this.#http1.emit("connection", socket);
    socket.unshift(received);
  }

  #onSocketClosed(socket: Socket): void {
    this.#sockets.delete(socket);
    this.#silent.delete(socket);
    if (this.#sockets.size === 0) this.#onIdle?.();
  }

  async #idle(): Promise<void> {
    if (this.#sockets.size === 0) return;
    await new Promise<void>((resolve) => {
      const before = this.#onIdle;
      this.#onIdle = () => {
        before?.();
        resolve();
      };
    });
  }

  #destroyAll(): void {
    // Those that speak HTTP/2 are told why and close soon; the others are closed.
    for (const socket of this.#sockets) if (!this.#http2Sockets.has(socket)) socket.destroy();
    for (const { connection } of [...this.#connections]) connection.close("the server is stopping");
  }
}

/**
 * The options of a TLS server are asked for before each handshake. The callback for the client's name would not do: it
 * is not called for addresses.
 */
function readAgain(server: TlsServer, options: () => TlsOptions): void {
  server.prependListener("connection", (socket: Socket) => {
    try {
      server.setSecureContext(options());
    } catch {
      // Files that are just being replaced: the client comes again.
      socket.destroy();
    }
  });
}

function isTlsServer(server: Server): boolean {
  return "setSecureContext" in server;
}
