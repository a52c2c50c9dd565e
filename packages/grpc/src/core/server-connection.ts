/** The server's end of a connection: opens calls and plain HTTP exchanges on the streams that clients open. */
import type { PeerInfo } from "../call.js";
import type { HttpHandler } from "../http.js";
import { type ConnectionRole, Http2Connection } from "./connection.js";
import { refusalBlock } from "./grpc-answer.js";
import {
  type GrpcRequest,
  type GrpcServices,
  isGrpcContentType,
  parseGrpcRequest,
  type RefusedRequest,
} from "./grpc-request.js";
import type { HeaderBlock } from "./hpack-decoder.js";
import { Http2Exchange } from "./http-exchange.js";
import type { ConnectionLimits } from "./limits.js";
import { parseRequest, type RequestHead } from "./message-head.js";
import type { Gunzip } from "./message-reader.js";
import type { ChunkPool } from "./output.js";
import { ErrorCode } from "./protocol.js";
import { GrpcServerCall, type ServerCallConfig } from "./server-call.js";
import type { Http2Stream } from "./stream.js";
import type { TimerWheel } from "./timer-wheel.js";

export interface ServerConnectionConfig {
  readonly services: GrpcServices;
  /** Requests that are not gRPC; without it they are refused with 415. */
  readonly http: HttpHandler | undefined;
  readonly limits: ConnectionLimits;
  readonly pool: ChunkPool;
  readonly timers: TimerWheel;
  readonly gunzip: Gunzip | undefined;
  readonly peer: PeerInfo;
}

/** What the owner of the socket must hear. */
export interface ServerConnectionOwner {
  onOutput(): void;
  onOver(why: string): void;
}

/** What a request's header block came to. Kept as the block's memo. */
type Judged = GrpcRequest | RefusedRequest | { readonly kind: "http" | "malformed"; readonly head?: RequestHead };

export class ServerConnection implements ConnectionRole {
  readonly connection: Http2Connection;
  readonly #config: ServerConnectionConfig;
  readonly #owner: ServerConnectionOwner;
  readonly #callConfig: ServerCallConfig;

  constructor(config: ServerConnectionConfig, owner: ServerConnectionOwner) {
    this.#config = config;
    this.#owner = owner;
    const { limits, pool, timers, gunzip, peer } = config;
    this.connection = new Http2Connection(this, { role: "server", limits, pool, timers });
    this.#callConfig = { connection: this.connection, timers, gunzip, peer };
  }

  onStream(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void {
    let judged = block.memo as Judged | undefined;
    if (judged === undefined) {
      judged = this.#judge(block);
      block.memo = judged;
    }
    switch (judged.kind) {
      case "call": {
        const call = new GrpcServerCall(this.#callConfig, stream, judged);
        stream.sink = call;
        call.start(endStream);
        return;
      }
      case "refused":
        this.connection.sendHeaders(stream, refusalBlock(judged), true);
        return;
      case "http":
        this.#openExchange(stream, judged.head as RequestHead, endStream);
        return;
      case "malformed":
        this.connection.failStream(stream, ErrorCode.protocolError, "malformed request");
    }
  }

  onStreamClosed(): void {}

  onSettings(): void {}

  onGoAway(): void {}

  onOver(why: string): void {
    this.#owner.onOver(why);
  }

  onOutput(): void {
    this.#owner.onOutput();
  }

  #judge(block: HeaderBlock): Judged {
    const head = parseRequest(block);
    if (head === undefined) return { kind: "malformed" };
    const contentType = head.fields.find((field) => field.name === "content-type")?.value ?? "";
    if (this.#config.http !== undefined && !isGrpcContentType(contentType)) return { kind: "http", head };
    return parseGrpcRequest(head, this.#config.services);
  }

  #openExchange(stream: Http2Stream, head: RequestHead, endStream: boolean): void {
    if (endStream && head.contentLength > 0) {
      this.connection.failStream(stream, ErrorCode.protocolError, "body does not match content-length");
      return;
    }
    if (!endStream) stream.contentBytesLeft = head.contentLength;
    const exchange = new Http2Exchange(this.connection, stream, head, this.#config.peer);
    stream.sink = exchange;
    this.#config.http?.(exchange);
    exchange.started(endStream);
  }
}
