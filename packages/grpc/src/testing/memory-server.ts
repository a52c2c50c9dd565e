/** A server connection without a socket or a clock: tests are its client, and its time. */
import type { PeerInfo, ServiceTable } from "../call.js";
import { grpcServices } from "../core/grpc-request.js";
import { type ConnectionLimits, serverLimits } from "../core/limits.js";
import type { Gunzip } from "../core/message-reader.js";
import { ChunkPool } from "../core/output.js";
import { clientPreface } from "../core/protocol.js";
import { ServerConnection } from "../core/server-connection.js";
import { TimerWheel } from "../core/timer-wheel.js";
import type { HttpHandler } from "../http.js";
import { concat, type Frame, FrameDescriber, settings, splitFrames } from "./frames.js";

export interface MemoryServerOptions {
  readonly services?: ServiceTable;
  readonly http?: HttpHandler;
  readonly limits?: Partial<ConnectionLimits>;
  readonly gunzip?: Gunzip;
  readonly peer?: PeerInfo;
  /** Its own when absent. */
  readonly wheel?: TimerWheel;
}

export class MemoryServer {
  readonly wheel: TimerWheel;
  readonly server: ServerConnection;
  nowMs = 0;
  over: string | undefined;
  /** How often the server has asked to be flushed. */
  wakes = 0;
  /** While false, the "socket" takes bytes but never lets go of them. */
  draining = true;
  readonly #pool = new ChunkPool();
  readonly #describer = new FrameDescriber();
  #rest: Uint8Array = new Uint8Array(0);

  constructor(options: MemoryServerOptions = {}) {
    this.wheel = options.wheel ?? new TimerWheel(0);
    this.server = new ServerConnection(
      {
        services: grpcServices(options.services ?? new Map()),
        http: options.http,
        limits: { ...serverLimits, ...options.limits },
        pool: this.#pool,
        timers: this.wheel,
        gunzip: options.gunzip,
        peer: options.peer ?? { address: "test:1", tls: false, commonName: undefined },
      },
      {
        onOutput: () => {
          this.wakes++;
        },
        onOver: (why) => {
          this.over = why;
        },
      },
    );
    this.server.connection.start();
  }

  /** A server that has exchanged settings with a client. */
  static started(options: MemoryServerOptions = {}, peerSettings: Readonly<Record<number, number>> = {}): MemoryServer {
    const server = new MemoryServer(options);
    server.receive(clientPreface, settings(peerSettings));
    server.frames();
    return server;
  }

  receive(...frames: readonly Uint8Array[]): this {
    this.server.connection.receive(concat(...frames), this.nowMs);
    return this;
  }

  advance(ms: number): this {
    const end = this.nowMs + ms;
    // In steps, as a real clock would.
    while (this.nowMs < end) {
      this.nowMs = Math.min(end, this.nowMs + 1000);
      this.wheel.advance(this.nowMs);
    }
    return this;
  }

  /** What the server would write to its socket now. */
  flush(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const { bytes, lengthBytes } of this.server.connection.flush()) {
      parts.push(bytes.slice(0, lengthBytes));
      this.#pool.release(bytes);
    }
    const bytes = concat(...parts);
    if (this.draining) this.server.connection.sent(bytes.length);
    return bytes;
  }

  /** The frames of everything the server has to write, until it has nothing more. */
  frames(): readonly Frame[] {
    const all: Frame[] = [];
    for (;;) {
      const bytes = this.flush();
      if (bytes.length === 0) return all;
      const { frames, rest } = splitFrames(concat(this.#rest, bytes));
      this.#rest = rest;
      all.push(...frames);
    }
  }

  /** The same in words. */
  said(): readonly string[] {
    return this.frames().map((one) => this.#describer.describe(one));
  }
}
