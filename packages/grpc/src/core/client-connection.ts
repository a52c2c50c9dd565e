/** The client's end of a connection: opens calls, as many at a time as the server allows. */
import { StatusCode } from "../call.js";
import type { CallOpener, ClientCall, ClientCallOptions, ClientReceiver } from "../client-call.js";
import { type ConnectionRole, Http2Connection } from "./connection.js";
import { GrpcClientCall, joinBlocks } from "./grpc-client-call.js";
import { encodeHeaderBlock } from "./hpack-encoder.js";
import type { HeaderField } from "./hpack-table.js";
import type { ConnectionLimits } from "./limits.js";
import type { Gunzip } from "./message-reader.js";
import { encodeMetadata } from "./metadata.js";
import type { ChunkPool } from "./output.js";
import { type ErrorCode, errorName } from "./protocol.js";
import { encodeTimeout } from "./timeout.js";
import type { TimerWheel } from "./timer-wheel.js";

export interface ClientConnectionConfig {
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent: string;
  readonly limits: ConnectionLimits;
  readonly pool: ChunkPool;
  readonly timers: TimerWheel;
  readonly gunzip: Gunzip | undefined;
}

/** What the owner of the socket must hear. */
export interface ClientConnectionOwner {
  onOutput(): void;
  /** The server has spoken HTTP/2. */
  onReady(): void;
  /** No new calls may be opened here. */
  onGoAway(why: string): void;
  onOver(why: string): void;
}

/** Header blocks remembered by path. */
const blocksMax = 256;
/** Calls that wait because the server allows no more streams. */
const waitingMax = 10_000;

interface WaitingCall {
  readonly call: GrpcClientCall;
  readonly path: string;
  readonly options: ClientCallOptions;
  readonly deadlineMs: number | undefined;
}

export class ClientConnection implements ConnectionRole, CallOpener {
  readonly connection: Http2Connection;
  readonly #config: ClientConnectionConfig;
  readonly #owner: ClientConnectionOwner;
  readonly #blocks: Map<string, Uint8Array> = new Map();
  #waiting: WaitingCall[] = [];
  #ready = false;
  #openingWaiting = false;

  constructor(config: ClientConnectionConfig, owner: ClientConnectionOwner) {
    this.#config = config;
    this.#owner = owner;
    const { limits, pool, timers } = config;
    this.connection = new Http2Connection(this, { role: "client", limits, pool, timers });
  }

  /** Whether new calls may be opened. */
  get usable(): boolean {
    return !this.connection.closing && !this.connection.exhausted;
  }

  open(path: string, options: ClientCallOptions, receiver: ClientReceiver): ClientCall {
    const { connection } = this;
    const { timers } = this.#config;
    const call = new GrpcClientCall({ connection, timers, gunzip: this.#config.gunzip }, options, receiver);
    const { timeoutMs } = options;
    if (!this.usable) {
      call.fail({ code: StatusCode.unavailable, message: connection.overWhy || "the connection is draining" }, true);
      return call;
    }
    if (timeoutMs !== undefined && timeoutMs <= 0) {
      call.fail({ code: StatusCode.deadlineExceeded, message: "context deadline exceeded" }, true);
      return call;
    }
    call.arm(timeoutMs, timers.nowMs);
    if (call.ended) return call;
    if (this.#waiting.length === 0 && connection.streamCount < connection.peerStreamsMax) {
      call.opened(connection.open(call, this.#block(path, options, timeoutMs), false));
      return call;
    }
    if (this.#waiting.length >= waitingMax) {
      call.fail({ code: StatusCode.unavailable, message: "too many calls wait for a stream" }, true);
      return call;
    }
    const deadlineMs = timeoutMs === undefined ? undefined : timers.nowMs + timeoutMs;
    this.#waiting.push({ call, path, options, deadlineMs });
    return call;
  }

  onStream(): void {}

  onSettings(): void {
    if (!this.#ready) {
      this.#ready = true;
      this.#owner.onReady();
    }
    this.#openWaiting();
  }

  onGoAway(code: ErrorCode, debug: string): void {
    const why = `received GOAWAY: ${errorName(code)}${debug === "" ? "" : `, debug data: ${debug}`}`;
    this.#failWaiting(why);
    this.#owner.onGoAway(why);
  }

  onStreamClosed(): void {
    if (this.#waiting.length > 0) this.#openWaiting();
  }

  onOver(why: string): void {
    this.#failWaiting(why);
    this.#owner.onOver(why);
  }

  onOutput(): void {
    this.#owner.onOutput();
  }

  #openWaiting(): void {
    // Opening may close streams (a cancelled call) and so come back here.
    if (this.#openingWaiting) return;
    this.#openingWaiting = true;
    const { connection } = this;
    while (this.#waiting.length > 0 && connection.streamCount < connection.peerStreamsMax && this.usable) {
      const { call, path, options, deadlineMs } = this.#waiting.shift() as WaitingCall;
      if (call.ended) continue;
      const leftMs = deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - connection.nowMs);
      call.opened(connection.open(call, this.#block(path, options, leftMs), false));
    }
    this.#openingWaiting = false;
  }

  #failWaiting(why: string): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { call } of waiting) call.fail({ code: StatusCode.unavailable, message: why }, true);
  }

  #block(path: string, options: ClientCallOptions, timeoutMs: number | undefined): Uint8Array {
    const usual = this.#pathBlock(path);
    const { metadata } = options;
    if (timeoutMs === undefined && metadata === undefined) return usual;
    const fields: HeaderField[] = [];
    if (timeoutMs !== undefined) fields.push({ name: "grpc-timeout", value: encodeTimeout(timeoutMs) });
    if (metadata !== undefined) fields.push(...encodeMetadata(metadata));
    return joinBlocks(usual, encodeHeaderBlock(fields));
  }

  #pathBlock(path: string): Uint8Array {
    const known = this.#blocks.get(path);
    if (known !== undefined) return known;
    const { scheme, authority, userAgent } = this.#config;
    const block = encodeHeaderBlock([
      { name: ":method", value: "POST" },
      { name: ":scheme", value: scheme },
      { name: ":path", value: path },
      { name: ":authority", value: authority },
      { name: "content-type", value: "application/grpc" },
      { name: "user-agent", value: userAgent },
      { name: "te", value: "trailers" },
      { name: "grpc-accept-encoding", value: "identity,gzip" },
    ]);
    if (this.#blocks.size >= blocksMax) this.#blocks.clear();
    this.#blocks.set(path, block);
    return block;
  }
}
