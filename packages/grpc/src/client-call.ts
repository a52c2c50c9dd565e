/**
 * What a gRPC client hands to its users. As with `call.ts`, the transport is not visible: the same code calls over
 * sockets, within the process and in the simulator.
 */
import type { MessageWriter, MetadataEntries, Status } from "./call.js";

/** The part of an `AbortSignal` that is used. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface ClientCallOptions {
  readonly metadata?: MetadataEntries;
  /** Ends the call with DEADLINE_EXCEEDED after so many milliseconds; undefined = never. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call with CANCELLED. */
  readonly signal?: CancelSignal | undefined;
  /** Messages above this end the call with RESOURCE_EXHAUSTED; undefined = the connection's limit. */
  readonly receiveMessageBytesMax?: number | undefined;
}

/** How a call ended. */
export interface ClientStatus extends Status {
  /** True when the server has surely not looked at the call, so that it may be made again whatever it does. */
  readonly unprocessed: boolean;
}

/** The receiving side of a call. */
export interface ClientReceiver {
  /** The server's leading metadata; not called when it answers with a status alone. */
  onHeaders?(metadata: MetadataEntries): void;
  /**
   * `message` is a view that is valid only during the call. Its receive window is given back when this has returned,
   * unless the receiving side is paused then.
   */
  onMessage(message: Uint8Array): void;
  /** Called once, last. `status.trailers` is the trailing metadata. */
  onEnd(status: ClientStatus): void;
  /** The unsent bytes have fallen below the low-water mark after `send` returned false. */
  onDrain?(): void;
}

/** One call. All methods may be called at any time and do nothing once the call has ended. */
export interface ClientCall {
  readonly ended: boolean;
  /** Sends one message; the bytes are copied before it returns. False: stop until `onDrain`. */
  send(sizeBytes: number, write: MessageWriter): boolean;
  /** Sends the last message and closes the sending side: one frame less than `send` and `halfClose`. */
  sendLast(sizeBytes: number, write: MessageWriter): void;
  /** Sends no more. */
  halfClose(): void;
  /** Ends the call at once with CANCELLED; `onEnd` is called before it returns. */
  cancel(): void;
  readonly unsentBytes: number;
  pauseReceiving(): void;
  resumeReceiving(): void;
}

/** Whatever calls can be made on. */
export interface CallOpener {
  /**
   * Starts a call of `/package.Service/Method`. Never throws for a connection that is not there: the call then ends
   * with UNAVAILABLE, possibly before this returns.
   */
  open(path: string, options: ClientCallOptions, receiver: ClientReceiver): ClientCall;
}
