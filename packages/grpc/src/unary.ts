/** Unary calls as promises. */
import { type MessageWriter, type MetadataEntries, StatusCode } from "./call.js";
import type { CallOpener, ClientCallOptions, ClientStatus } from "./client-call.js";

/** A call that ended with another status than OK. `message` is the server's text alone. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: StatusCode;
  readonly trailers: MetadataEntries;
  /** See `ClientStatus`. */
  readonly unprocessed: boolean;

  constructor(status: ClientStatus) {
    super(status.message);
    this.code = status.code;
    this.trailers = status.trailers ?? [];
    this.unprocessed = status.unprocessed;
  }
}

/** The answer to a unary call. */
export interface UnaryAnswer<T> {
  readonly message: T;
  readonly headers: MetadataEntries;
  readonly trailers: MetadataEntries;
}

/** Codes of a unary call's messages. */
export interface UnaryRequest<T> {
  readonly sizeBytes: number;
  readonly write: MessageWriter;
  /** Decodes the answer; the bytes are a view that is valid only during the call. */
  readonly decode: (message: Uint8Array) => T;
}

/** Makes one unary call. Rejects with `GrpcError`, or with what `decode` throws. */
export function unary<T>(
  opener: CallOpener,
  path: string,
  request: UnaryRequest<T>,
  options: ClientCallOptions = {},
): Promise<UnaryAnswer<T>> {
  return new Promise((resolve, reject) => {
    let headers: MetadataEntries = [];
    let answer: { readonly value: T } | undefined;
    let count = 0;
    let failure: { readonly cause: unknown } | undefined;
    const call = opener.open(path, options, {
      onHeaders: (metadata) => {
        headers = metadata;
      },
      onMessage: (message) => {
        if (count++ > 0) return;
        try {
          answer = { value: request.decode(message) };
        } catch (cause) {
          failure = { cause };
        }
      },
      onEnd: (status) => {
        if (status.code !== StatusCode.ok) reject(new GrpcError(status));
        else if (failure !== undefined) reject(failure.cause);
        else if (answer === undefined) reject(cardinality("received no response message"));
        else if (count > 1) reject(cardinality("received more than one response message"));
        else resolve({ message: answer.value, headers, trailers: status.trailers ?? [] });
      },
    });
    call.sendLast(request.sizeBytes, request.write);
  });
}

function cardinality(what: string): GrpcError {
  const message = `cardinality violation: ${what} from non-server-streaming RPC`;
  return new GrpcError({ code: StatusCode.internal, message, unprocessed: false });
}
