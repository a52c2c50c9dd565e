/**
 * What a gateway's request says beside its body: metadata and deadline of the call.
 * Source: grpc-gateway runtime/context.go.
 */

import type { HttpHeaders, MetadataEntries, MetadataValue } from "@etcd-ts/grpc";

export type CallHead =
  | { readonly kind: "ok"; readonly metadata: MetadataEntries; readonly timeoutMs: number | undefined }
  /** The text goes to the client with InvalidArgument. */
  | { readonly kind: "refused"; readonly error: string };

const metadataPrefix = "grpc-metadata-";

/**
 * `Authorization` becomes the metadata of that name, without the word `Bearer`; `Grpc-Metadata-X` becomes `x`;
 * `Grpc-Timeout` the deadline. Other headers stay behind.
 */
export function readCallHead(headers: HttpHeaders): CallHead {
  const metadata: (readonly [string, MetadataValue])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (name === "authorization") metadata.push([name, value.replace(/^bearer\s+/i, "")]);
    if (!name.startsWith(metadataPrefix)) continue;
    const key = name.slice(metadataPrefix.length);
    if (!key.endsWith("-bin")) {
      metadata.push([key, value]);
      continue;
    }
    const bytes = decodeBase64(value);
    if (typeof bytes === "number") {
      return {
        kind: "refused",
        error: `invalid binary header ${canonical(name)}: illegal base64 data at input byte ${bytes}`,
      };
    }
    metadata.push([key, bytes]);
  }
  const { "grpc-timeout": timeoutText = "" } = headers;
  const timeoutMs = timeoutText === "" ? undefined : parseTimeout(timeoutText);
  if (timeoutText !== "" && timeoutMs === undefined) {
    return { kind: "refused", error: `invalid grpc-timeout: ${timeoutText}` };
  }
  return { kind: "ok", metadata, timeoutMs };
}

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** A whole number and a unit, in milliseconds; undefined for anything else. */
function parseTimeout(text: string): number | undefined {
  const match = /^([-+]?\d+)([HMSmun])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (unitsMs[match[2] ?? ""] ?? 0);
}

/** The bytes, or the position of the first character that is wrong. */
function decodeBase64(text: string): Uint8Array | number {
  const bad = text.search(/[^A-Za-z0-9+/=]/);
  if (bad >= 0) return bad;
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text)) return text.length;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** `grpc-metadata-foo` as Go prints it: `Grpc-Metadata-Foo`. */
function canonical(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
