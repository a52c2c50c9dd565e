/** Why bytes are not a message of the expected type. */

export type DecodeErrorCode =
  | "truncated" // a value, or a length, reaches beyond the end
  | "badVarint" // more than ten bytes, or more than 64 bits
  | "badTag" // field number 0 or too large, or an unknown wire type
  | "badGroup" // an end-group marker without its start
  | "badUtf8" // a string field holds bytes that are not UTF-8
  | "tooDeep" // messages or groups nested deeper than `nestingDepthMax`
  | "outOfRange"; // an index, term or size above 2^53 − 1

/**
 * Thrown by every decoder, and only for what the bytes hold: after it nothing of the message is known. `offset` counts
 * from the start of the array given to the decoder.
 */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code: DecodeErrorCode;
  readonly offset: number;
  constructor(code: DecodeErrorCode, offset: number) {
    super(`cannot decode message: ${code} at byte ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

/** True for decode errors of any copy of this package. */
export function isDecodeError(error: unknown): error is DecodeError {
  return error instanceof Error && error.name === "DecodeError" && "offset" in error;
}
