/** The header blocks of gRPC answers; the usual ones are encoded once for all. */
import { type Status, StatusCode } from "../call.js";
import { grpcContentType, type RefusedRequest } from "./grpc-request.js";
import { encodeHeaderBlock } from "./hpack-encoder.js";
import type { HeaderField } from "./hpack-table.js";
import { encodeMetadata } from "./metadata.js";
import { headersFrame } from "./send-scheduler.js";
import { percentEncode } from "./text.js";

/** The headers of answers with one content type. */
export interface AnswerHead {
  readonly fields: readonly HeaderField[];
  readonly block: Uint8Array;
  /** The block as a HEADERS frame, for `reserveAnswer`. */
  readonly frame: Uint8Array;
}

function makeHead(contentType: string): AnswerHead {
  const fields = [
    { name: ":status", value: "200" },
    { name: "content-type", value: contentType },
  ];
  const block = encodeHeaderBlock(fields);
  return { fields, block, frame: headersFrame(block, false) };
}

const plainHead = makeHead(grpcContentType);
const protoHead = makeHead(`${grpcContentType}+proto`);

export function answerHead(contentType: string): AnswerHead {
  if (contentType === grpcContentType) return plainHead;
  return contentType === `${grpcContentType}+proto` ? protoHead : makeHead(contentType);
}

function statusFields(status: Status): HeaderField[] {
  const fields: HeaderField[] = [{ name: "grpc-status", value: String(status.code) }];
  if (status.message !== "") fields.push({ name: "grpc-message", value: percentEncode(status.message) });
  if (status.trailers !== undefined) fields.push(...encodeMetadata(status.trailers));
  return fields;
}

const okBlock = encodeHeaderBlock(statusFields({ code: StatusCode.ok, message: "" }));
/** The trailers of a good answer as a HEADERS frame. */
export const okFrame: Uint8Array = headersFrame(okBlock, true);

/** Trailers behind headers and messages. */
export function trailersBlock(status: Status): Uint8Array {
  if (status.code === StatusCode.ok && status.message === "" && status.trailers === undefined) return okBlock;
  return encodeHeaderBlock(statusFields(status));
}

/** Headers and trailers in one. */
export function trailersOnlyBlock(head: AnswerHead, status: Status): Uint8Array {
  return encodeHeaderBlock([...head.fields, ...statusFields(status)]);
}

/** A trailers-only answer without a call. */
export function refusalBlock(refused: RefusedRequest): Uint8Array {
  const { httpStatus, contentType, status } = refused;
  const fields = [
    { name: ":status", value: String(httpStatus) },
    { name: "content-type", value: contentType },
  ];
  return encodeHeaderBlock([...fields, ...statusFields(status)]);
}
