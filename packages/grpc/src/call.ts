/**
 * What a gRPC server hands to its users: calls and their metadata. The transport underneath is not visible here, so
 * that the same handlers serve sockets, the in-process transport and the simulator.
 */

/**
 * Metadata of a call: lower-case names in the order received. Values of names ending in `-bin` are the decoded bytes,
 * all others are strings.
 */
export type MetadataValue = string | Uint8Array;
export type MetadataEntries = readonly (readonly [name: string, value: MetadataValue])[];

/** gRPC status codes. Source: grpc/grpc doc/statuscodes.md. */
export const StatusCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type StatusCode = (typeof StatusCode)[keyof typeof StatusCode];

export interface Status {
  readonly code: StatusCode;
  readonly message: string;
  readonly trailers?: MetadataEntries;
}

/** Who is at the other end of the connection a call came in on. */
export interface PeerInfo {
  /** `host:port` or the path of a unix socket. */
  readonly address: string;
  readonly tls: boolean;
  /** Subject common name of the verified client certificate, when there is one. */
  readonly commonName: string | undefined;
}

/**
 * Writes a message of exactly the announced size into `target` at `offset`. Lets an encoder write straight into the
 * connection's output buffer.
 */
export type MessageWriter = (target: Uint8Array, offset: number) => void;

/** Bytes of a message in pieces. */
export function sizeOfPieces(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/**
 * One call, as its handler sees it. All methods may be called at any time, in any order, and do nothing once the call
 * has ended.
 */
export interface ServerCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly metadata: MetadataEntries;
  readonly peer: PeerInfo;
  /** Milliseconds left when the call arrived; undefined = no deadline. The transport ends the call when it passes. */
  readonly timeoutMs: number | undefined;
  /** True once the call has ended for whatever reason. */
  readonly ended: boolean;

  /** First value of a metadata name, when it is text. */
  header(name: string): string | undefined;

  /**
   * Sends one message; for a unary answer use `respond`. The bytes are copied before the call returns. False when the
   * stream's unsent bytes have reached its high-water mark: stop until `onDrain`. A stream whose unsent bytes pass its
   * cap is cancelled with RESOURCE_EXHAUSTED.
   */
  send(sizeBytes: number, write: MessageWriter): boolean;
  /** As `send`, for a large message in pieces: see `respondPieces`. */
  sendPieces(pieces: readonly Uint8Array[]): boolean;
  /** One message, status OK, end: headers, data and trailers leave together. */
  respond(sizeBytes: number, write: MessageWriter): void;
  /**
   * As `respond`, for a large message: it is made of these pieces one behind the other, which are the transport's from
   * now on and are not copied before they leave.
   */
  respondPieces(pieces: readonly Uint8Array[]): void;
  /** Ends the call with a status. */
  end(status: Status): void;
  /** Bytes accepted by `send` and not yet handed to the socket. */
  readonly unsentBytes: number;

  /** Stops and resumes the delivery of messages; while paused, no receive window is given back to the client. */
  pauseReceiving(): void;
  resumeReceiving(): void;

  /** Called once when the call ends without `end` or `respond`: reset by the client, deadline, connection lost. */
  onCancel(callback: (status: Status) => void): void;
  /** Called each time the unsent bytes fall below the low-water mark after `send` returned false. */
  onDrain(callback: () => void): void;
}

/**
 * The receiving side of a streaming call. `message` is a view that is valid only during the callback. Its receive
 * window is given back when `onMessage` has returned, unless the call's receiving side is paused then.
 */
export interface StreamReceiver {
  onMessage(message: Uint8Array): void;
  /** The client will send no more. */
  onHalfClose(): void;
}

/** A unary or server-streaming method: called once with the only request message (a view valid during the call). */
export type RequestHandler = (call: ServerCall, request: Uint8Array) => void;
/** A client- or bidirectionally streaming method: called when the headers arrive. */
export type StreamHandler = (call: ServerCall) => StreamReceiver;

/**
 * Hears of the calls of a method, whoever serves them. The transports call it themselves, because a wrapper around each
 * call would cost more than the counting.
 */
export interface CallObserver {
  /** The handler is about to get the call. What is returned is handed back when the call ends. */
  started(call: ServerCall): number;
  /** A message is about to be handed to the handler. */
  received(sizeBytes: number): void;
  /** The handler has sent a message on a call that had not ended. */
  sent(sizeBytes: number): void;
  /** Once for each call that was started: the handler's status, or why it was cancelled. */
  ended(code: StatusCode, startedAt: number): void;
}

export type MethodHandler = (
  | { readonly kind: "request"; readonly handle: RequestHandler }
  | { readonly kind: "stream"; readonly open: StreamHandler }
) & { readonly observer?: CallObserver };

/** Methods by path. */
export type ServiceTable = ReadonlyMap<string, MethodHandler>;
