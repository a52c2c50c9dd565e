/**
 * Judges header blocks: what a request or an answer is made of, or that it is malformed. Source: RFC 9113 §8.
 */
import type { HeaderBlock } from "./hpack-decoder.js";
import type { HeaderField } from "./hpack-table.js";

/** A well-formed request. Shared by all requests with the same header block. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  /** `:authority`, or the host field when there is none; undefined when there is neither. */
  readonly authority: string | undefined;
  /** How many `:authority` and host fields there are. */
  readonly authorityCount: number;
  readonly hostCount: number;
  readonly path: string;
  /** All but the pseudo-header fields. */
  readonly fields: readonly HeaderField[];
  /** −1 = not given. */
  readonly contentLength: number;
}

/** A well-formed answer's first or informational block. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: readonly HeaderField[];
}

/** Lower-case token. Source: RFC 9113 §8.2.1, RFC 9110 §5.1. */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const badValue = /[\0\r\n]|^[ \t]|[ \t]$/;
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** The regular fields of a block and its pseudo-header fields, or undefined when one of them is not allowed. */
function split(
  block: HeaderBlock,
  allowed: readonly string[],
): { pseudo: ReadonlyMap<string, string>; fields: HeaderField[] } | undefined {
  const pseudo: Map<string, string> = new Map();
  const fields: HeaderField[] = [];
  for (const field of block.fields) {
    const { name, value } = field;
    if (badValue.test(value)) return undefined;
    if (name.charCodeAt(0) === 0x3a) {
      // Pseudo-header fields come first, once each.
      if (fields.length > 0 || !allowed.includes(name) || pseudo.has(name)) return undefined;
      pseudo.set(name, value);
      continue;
    }
    if (!fieldName.test(name) || connectionFields.has(name)) return undefined;
    if (name === "te" && value !== "trailers") return undefined;
    fields.push(field);
  }
  return { pseudo, fields };
}

/** Undefined = malformed. */
export function parseRequest(block: HeaderBlock): RequestHead | undefined {
  const parts = split(block, [":method", ":scheme", ":authority", ":path"]);
  if (parts === undefined) return undefined;
  const { pseudo, fields } = parts;
  const method = pseudo.get(":method");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  const authority = pseudo.get(":authority");
  // CONNECT has neither scheme nor path; no handler of ours is a proxy.
  if (method === undefined || method === "" || scheme === undefined || path === undefined || path === "")
    return undefined;
  const hosts = fields.filter((field) => field.name === "host");
  const contentLength = contentLengthOf(fields);
  if (contentLength === undefined) return undefined;
  return {
    method,
    scheme,
    authority: authority ?? hosts[0]?.value,
    authorityCount: authority === undefined ? 0 : 1,
    hostCount: hosts.length,
    path,
    fields,
    contentLength,
  };
}

/** Undefined = malformed. */
export function parseResponse(block: HeaderBlock): ResponseHead | undefined {
  const parts = split(block, [":status"]);
  const status = parts?.pseudo.get(":status");
  if (parts === undefined || status === undefined || !/^[1-9][0-9][0-9]$/.test(status)) return undefined;
  return { status: Number(status), fields: parts.fields };
}

/** Fields of a block without pseudo-header fields; undefined = malformed. */
export function parseTrailers(block: HeaderBlock): readonly HeaderField[] | undefined {
  return split(block, [])?.fields;
}

/** −1 when not given, undefined when it is no number or given twice with different values. */
function contentLengthOf(fields: readonly HeaderField[]): number | undefined {
  let length = -1;
  for (const field of fields) {
    if (field.name !== "content-length") continue;
    if (!/^[0-9]{1,15}$/.test(field.value)) return undefined;
    const value = Number(field.value);
    if (length !== -1 && length !== value) return undefined;
    length = value;
  }
  return length;
}
