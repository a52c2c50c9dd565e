/**
 * What the port's plain HTTP requests look like to their handler, over HTTP/1.1 and HTTP/2 alike.
 */
import type { PeerInfo } from "./call.js";

/** Lower-case names. Repeated fields are joined by ", ". */
export type HttpHeaders = Readonly<Record<string, string>>;

/** The body of a request. `bytes` is valid only during the call. */
export interface HttpBodyReceiver {
  onData(bytes: Uint8Array): void;
  /** The whole body has been received. */
  onEnd(): void;
}

/** One request and its answer. All methods do nothing once the exchange has ended. */
export interface HttpExchange {
  readonly protocol: "HTTP/1.1" | "HTTP/2.0";
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** Holds the authority as "host". */
  readonly headers: HttpHeaders;
  readonly peer: PeerInfo;
  /** True once the answer is complete or the client is gone. */
  readonly ended: boolean;

  /** Takes the body. To be called before the handler returns; without it the body is thrown away. */
  receive(receiver: HttpBodyReceiver): void;
  pauseReceiving(): void;
  resumeReceiving(): void;

  /** Answers with a whole body and ends. The bytes are copied, a string is sent as UTF-8. */
  respond(status: number, headers: HttpHeaders, body: Uint8Array | string): void;
  /** Begins an answer whose body follows by `send`. */
  open(status: number, headers: HttpHeaders): void;
  /** Sends a part of the body; the bytes are copied. False: stop until `onDrain`. */
  send(bytes: Uint8Array): boolean;
  /** Ends the body. */
  end(): void;

  /** Called once when the client goes away before the answer is complete. */
  onCancel(callback: () => void): void;
  onDrain(callback: () => void): void;
}

export type HttpHandler = (exchange: HttpExchange) => void;
