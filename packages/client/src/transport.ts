/**
 * The ports of the client: how calls leave it, and its clock. Over sockets they are `SocketTransport` and `nodeClock`;
 * a server that calls itself, and a simulator, bring their own.
 */

import type { MessageWriter, MetadataEntries, Status } from "@etcd-ts/grpc";

/** The part of an `AbortSignal` that is used. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface ConnectionCallOptions {
  readonly metadata?: MetadataEntries;
  /** The call ends with DEADLINE_EXCEEDED after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: CancelSignal | undefined;
}

/** The receiving side of a call. `message` is a view that is valid only during `onMessage`. */
export interface CallReceiver {
  onMessage(message: Uint8Array): void;
  /** Called once, last. `unprocessed`: the server has surely not looked at the call. */
  onEnd(status: Status & { readonly unprocessed: boolean }): void;
  onDrain?(): void;
}

/** One open call. */
export interface ConnectionCall {
  readonly ended: boolean;
  /** Bytes sent that still wait in this process. */
  readonly unsentBytes: number;
  /** Copies what is written; false: wait for `onDrain`. */
  send(sizeBytes: number, write: MessageWriter): boolean;
  sendLast(sizeBytes: number, write: MessageWriter): void;
  halfClose(): void;
  cancel(): void;
  pauseReceiving(): void;
  resumeReceiving(): void;
}

/** One server. */
export interface Connection {
  /** Starts a call. Without a connection the call ends with UNAVAILABLE, possibly before this returns. */
  open(path: string, options: ConnectionCallOptions, receiver: CallReceiver): ConnectionCall;
}

/** Where to find servers. */
export interface Transport {
  readonly endpoints: readonly string[];
  /** Replaces the endpoints; connections to others are given up once their calls have ended. */
  setEndpoints(endpoints: readonly string[]): void;
  /**
   * The next server that is ready, in turn; a promise when none is ready yet, which is rejected with `EtcdError`
   * DEADLINE_EXCEEDED after `timeoutMs` and CANCELLED by `signal`.
   */
  connect(timeoutMs: number | undefined, signal: CancelSignal | undefined): Connection | Promise<Connection>;
  /** A server by its endpoint, which need not be one of `endpoints`. */
  connectTo(endpoint: string): Connection;
  /** Closes all connections; their calls end with UNAVAILABLE. */
  close(): void;
}

export interface Timer {
  cancel(): void;
}

export interface ClientClock {
  /** Monotonic milliseconds. */
  now(): number;
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Uniform in [0, 1): spreads what many clients would do at once. */
  random(): number;
}

/** Node's clock. */
export const nodeClock: ClientClock = {
  now: () => performance.now(),
  setTimer(delayMs, callback) {
    const timeout = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  random: () => Math.random(),
};

/** A transport over one connection that is always there, e.g. `connectInProcess` of `@etcd-ts/grpc`. */
export function singleConnection(connection: Connection): Transport {
  return {
    endpoints: ["in-process"],
    setEndpoints: () => {},
    connect: () => connection,
    connectTo: () => connection,
    close: () => {},
  };
}
