/** What the client throws: `EtcdError` for every failed call, with etcd's code and text. */

import { EtcdError, errorSpecs, reasonOfMessage } from "@etcd-ts/api";

/** gRPC status codes that the client itself makes or looks for. Source: grpc/grpc doc/statuscodes.md. */
export const Code = {
  canceled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  internal: 13,
  unavailable: 14,
} as const;

/** The revision asked for is gone. `compactRevision` is the oldest one that can still be watched or read. */
export class CompactedError extends EtcdError {
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super(errorSpecs.compacted);
    this.compactRevision = compactRevision;
  }
}

/** True for a `CompactedError` of any copy of this package. */
export function isCompactedError(error: unknown): error is CompactedError {
  return error instanceof Error && "compactRevision" in error;
}

/** The call was given up by its `AbortSignal`, or the client was closed. */
export function canceledError(cause?: unknown): EtcdError {
  return new EtcdError({ code: Code.canceled, message: "context canceled" }, cause);
}

/** The call's own time is over; `cause` says what stood in the way, when that is known. */
export function deadlineError(cause?: unknown): EtcdError {
  return new EtcdError({ code: Code.deadlineExceeded, message: "context deadline exceeded" }, cause);
}

/** The error a cancel reason stands for: watches carry nothing but the text. */
export function errorOfText(message: string): EtcdError {
  const reason = reasonOfMessage(message);
  return new EtcdError({ code: reason === undefined ? Code.unknown : errorSpecs[reason].code, message });
}
