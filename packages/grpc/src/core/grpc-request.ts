/**
 * What a header block asks of a gRPC server, judged in grpc-go's order and answered in its words. The result hangs on
 * the decoded block, so that a repeated block costs nothing. Source: grpc-go http2_server operateHeaders, gRFC A41.
 */
import { type MetadataEntries, type MethodHandler, type ServiceTable, type Status, StatusCode } from "../call.js";
import type { HeaderField } from "./hpack-table.js";
import type { RequestHead } from "./message-head.js";
import { decodeMetadata, isBadMetadata } from "./metadata.js";
import { decodeTimeout, quote } from "./timeout.js";

/** A request for a method that we have. */
export interface GrpcRequest {
  readonly kind: "call";
  readonly path: string;
  readonly handler: MethodHandler;
  readonly metadata: MetadataEntries;
  readonly timeoutMs: number | undefined;
  readonly encoding: string | undefined;
  /** Content type of the answer. */
  readonly contentType: string;
}

/** A request that is answered without a handler, with a trailers-only answer. */
export interface RefusedRequest {
  readonly kind: "refused";
  readonly httpStatus: number;
  readonly status: Status;
  /** Content type of the answer. */
  readonly contentType: string;
}

export const grpcContentType = "application/grpc";

/** application/grpc, alone or followed by + or ; and a subtype. */
export function isGrpcContentType(value: string): boolean {
  const lower = value.toLowerCase();
  if (!lower.startsWith(grpcContentType)) return false;
  const next = lower.charAt(grpcContentType.length);
  return next === "" || next === "+" || next === ";";
}

export interface GrpcServices {
  readonly table: ServiceTable;
  /** The services the table has methods of. */
  readonly names: ReadonlySet<string>;
}

export function grpcServices(table: ServiceTable): GrpcServices {
  const names: Set<string> = new Set();
  for (const path of table.keys()) names.add(path.slice(1, path.lastIndexOf("/")));
  return { table, names };
}

/** Judges a request whose content type may or may not be gRPC's. */
export function parseGrpcRequest(head: RequestHead, services: GrpcServices): GrpcRequest | RefusedRequest {
  const contentType = answerContentType(firstValue(head.fields, "content-type") ?? "");
  const judged = judgeRequest(head, services);
  if ("httpStatus" in judged) return { kind: "refused", contentType, ...judged };
  return { kind: "call", contentType, ...judged };
}

/** The subtype of the request is that of the answer. */
function answerContentType(asked: string): string {
  const lower = asked.toLowerCase();
  return isGrpcContentType(asked) && lower.startsWith(`${grpcContentType}+`) ? lower : grpcContentType;
}

type Refusal = Pick<RefusedRequest, "httpStatus" | "status">;

function judgeRequest(head: RequestHead, services: GrpcServices): Omit<GrpcRequest, "kind" | "contentType"> | Refusal {
  const { internal, invalidArgument, deadlineExceeded } = StatusCode;
  if (head.hostCount > 1) {
    const counts = `num values of :authority: ${head.authorityCount}, num values of host: ${head.hostCount}`;
    return refuse(400, internal, `${counts}, both must only have 1 value as per HTTP/2 spec`);
  }
  const contentType = firstValue(head.fields, "content-type") ?? "";
  if (!isGrpcContentType(contentType)) {
    return refuse(415, invalidArgument, `invalid gRPC request content-type ${quote(contentType)}`);
  }
  const timeoutText = firstValue(head.fields, "grpc-timeout");
  const timeout = timeoutText === undefined ? undefined : decodeTimeout(timeoutText);
  if (typeof timeout === "string") return refuse(400, internal, `malformed grpc-timeout: ${timeout}`);
  const metadata = decodeMetadata(head.fields);
  if (isBadMetadata(metadata)) {
    const { name, value } = metadata.bad;
    const at = value.search(/[^A-Za-z0-9+/]/);
    const why = `illegal base64 data at input byte ${at < 0 ? value.length : at}`;
    return refuse(400, internal, `malformed binary metadata ${quote(value)} in header ${quote(name)}: ${why}`);
  }
  if (head.authority === undefined) return refuse(400, internal, "no host or :authority header present");
  if (head.method !== "POST") {
    return refuse(405, internal, `Received a HEADERS frame with :method ${quote(head.method)} which should be POST`);
  }
  if (timeout === 0) return refuse(200, deadlineExceeded, "context deadline exceeded");
  const handler = services.table.get(head.path);
  if (handler === undefined) return unknownMethod(head.path, services.names);
  const encoding = firstValue(head.fields, "grpc-encoding");
  if (encoding !== undefined && encoding !== "identity" && encoding !== "gzip") {
    const why = `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`;
    return refuse(200, StatusCode.unimplemented, why);
  }
  return {
    path: head.path,
    handler,
    metadata: [[":authority", head.authority], ...metadata],
    timeoutMs: timeout,
    encoding,
  };
}

/** The answer to a path that is in no table. */
export function unknownMethod(path: string, names: ReadonlySet<string>): Refusal {
  const slash = path.lastIndexOf("/");
  const { unimplemented } = StatusCode;
  if (slash <= 0 || path.charAt(0) !== "/") return refuse(200, unimplemented, `malformed method name: ${quote(path)}`);
  const service = path.slice(1, slash);
  if (!names.has(service)) return refuse(200, unimplemented, `unknown service ${service}`);
  return refuse(200, unimplemented, `unknown method ${path.slice(slash + 1)} for service ${service}`);
}

function refuse(httpStatus: number, code: StatusCode, message: string): Refusal {
  return { httpStatus, status: { code, message } };
}

function firstValue(fields: readonly HeaderField[], name: string): string | undefined {
  for (const field of fields) if (field.name === name) return field.value;
  return undefined;
}
