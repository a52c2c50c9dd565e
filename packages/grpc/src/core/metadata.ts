/**
 * Metadata on the wire: which header fields are the users', and binary values. Source: gRPC over HTTP/2, "Requests".
 */
import type { MetadataEntries, MetadataValue } from "../call.js";
import type { HeaderField } from "./hpack-table.js";
import { base64Decode, base64Encode } from "./text.js";

/** Fields that belong to the transport; user-agent and :authority are shown to handlers all the same, as in grpc-go. */
const reservedNames: ReadonlySet<string> = new Set([
  "content-type",
  "grpc-message-type",
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-timeout",
  "host",
  "te",
]);

/** A binary value that is not base64. */
export interface BadMetadata {
  readonly bad: HeaderField;
}

export function isBadMetadata(entries: MetadataEntries | BadMetadata): entries is BadMetadata {
  return "bad" in entries;
}

/** The users' part of received fields. */
export function decodeMetadata(fields: readonly HeaderField[]): MetadataEntries | BadMetadata {
  const entries: [string, MetadataValue][] = [];
  for (const field of fields) {
    if (reservedNames.has(field.name)) continue;
    if (!field.name.endsWith("-bin")) {
      entries.push([field.name, field.value]);
      continue;
    }
    const value = base64Decode(field.value);
    if (value === undefined) return { bad: field };
    entries.push([field.name, value]);
  }
  return entries;
}

/** Header fields of metadata; names that belong to the transport are left out, as grpc-go does. */
export function encodeMetadata(entries: MetadataEntries): HeaderField[] {
  const fields: HeaderField[] = [];
  for (const [name, value] of entries) {
    if (reservedNames.has(name) || name.startsWith(":") || name === "user-agent") continue;
    fields.push({ name, value: typeof value === "string" ? value : base64Encode(value) });
  }
  return fields;
}
