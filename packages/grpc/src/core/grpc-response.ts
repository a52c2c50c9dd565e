/** What a server's header blocks mean to a gRPC client. Source: gRPC over HTTP/2 "Responses", grpc-go http2_client. */
import { type MetadataEntries, type Status, StatusCode } from "../call.js";
import { isGrpcContentType } from "./grpc-request.js";
import type { HeaderField } from "./hpack-table.js";
import type { ResponseHead } from "./message-head.js";
import { decodeMetadata, isBadMetadata } from "./metadata.js";
import { ErrorCode, errorName } from "./protocol.js";
import { percentDecode } from "./text.js";
import { quote } from "./timeout.js";

const statusOfHttp: ReadonlyMap<number, StatusCode> = new Map([
  [400, StatusCode.internal],
  [401, StatusCode.unauthenticated],
  [403, StatusCode.permissionDenied],
  [404, StatusCode.unimplemented],
  [429, StatusCode.unavailable],
  [502, StatusCode.unavailable],
  [503, StatusCode.unavailable],
  [504, StatusCode.unavailable],
]);

const statusOfReset: ReadonlyMap<ErrorCode, StatusCode> = new Map([
  [ErrorCode.noError, StatusCode.internal],
  [ErrorCode.protocolError, StatusCode.internal],
  [ErrorCode.internalError, StatusCode.internal],
  [ErrorCode.flowControlError, StatusCode.resourceExhausted],
  [ErrorCode.settingsTimeout, StatusCode.internal],
  [ErrorCode.streamClosed, StatusCode.internal],
  [ErrorCode.frameSizeError, StatusCode.internal],
  [ErrorCode.refusedStream, StatusCode.unavailable],
  [ErrorCode.cancel, StatusCode.cancelled],
  [ErrorCode.compressionError, StatusCode.internal],
  [ErrorCode.connectError, StatusCode.internal],
  [ErrorCode.enhanceYourCalm, StatusCode.resourceExhausted],
  [ErrorCode.inadequateSecurity, StatusCode.permissionDenied],
  [ErrorCode.http11Required, StatusCode.internal],
]);

/** The status of a call that the server has reset. */
export function statusOfResetCode(code: ErrorCode): Status {
  return {
    code: statusOfReset.get(code) ?? StatusCode.unknown,
    message: `stream terminated by RST_STREAM with error code: ${errorName(code)}`,
  };
}

/** Leading metadata, or the status of an answer that is not gRPC's. */
export interface AnswerHeaders {
  readonly metadata: MetadataEntries;
  readonly encoding: string | undefined;
  readonly refused: Status | undefined;
}

export function readAnswerHeaders(head: ResponseHead): AnswerHeaders {
  const contentType = firstValue(head.fields, "content-type");
  const encoding = firstValue(head.fields, "grpc-encoding");
  if (contentType === undefined || !isGrpcContentType(contentType)) {
    return { metadata: [], encoding, refused: notGrpc(head.status, contentType) };
  }
  const metadata = decodeMetadata(head.fields);
  if (isBadMetadata(metadata)) return { metadata: [], encoding, refused: malformed(metadata.bad) };
  return { metadata, encoding, refused: undefined };
}

function notGrpc(httpStatus: number, contentType: string | undefined): Status {
  const why =
    contentType === undefined
      ? "malformed header: missing HTTP content-type"
      : `transport: received unexpected content-type ${quote(contentType)}`;
  return {
    code: statusOfHttp.get(httpStatus) ?? StatusCode.unknown,
    message: `unexpected HTTP status code received from server: ${httpStatus}; ${why}`,
  };
}

/** The status that trailers carry. */
export function readTrailers(fields: readonly HeaderField[]): Status {
  const text = firstValue(fields, "grpc-status");
  if (text === undefined) {
    return { code: StatusCode.internal, message: "server closed the stream without sending trailers" };
  }
  if (!/^[0-9]{1,9}$/.test(text)) {
    return { code: StatusCode.unknown, message: `transport: malformed grpc-status: ${quote(text)}` };
  }
  const trailers = decodeMetadata(fields);
  if (isBadMetadata(trailers)) return malformed(trailers.bad);
  // A code without a name is kept: it is the server's word.
  const code = Number(text) as StatusCode;
  return { code, message: percentDecode(firstValue(fields, "grpc-message") ?? ""), trailers };
}

function malformed(field: HeaderField): Status {
  return { code: StatusCode.internal, message: `transport: malformed ${field.name}: illegal base64 data` };
}

function firstValue(fields: readonly HeaderField[], name: string): string | undefined {
  for (const field of fields) if (field.name === name) return field.value;
  return undefined;
}
