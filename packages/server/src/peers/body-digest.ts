/**
 * The SHA-256 of a request's body, sent behind it as a trailer: whoever knows the trailer refuses a body that was
 * altered on its way, and Go etcd, which neither sends nor reads it, is none the wiser. It cannot stand in front, as a
 * body such as a database's image is made while it is sent.
 *
 * Source: RFC 9530 (Digest Fields) §2 Content-Digest; RFC 9110 §6.5 Trailer Fields.
 */

import { encodeBase64 } from "@etcd-ts/api";
import type { Digest, PostRequest, ServedRequest } from "../env.js";

const trailer = "content-digest";

/** The body is not the one its digest was made of. */
export class BodyDigestError extends Error {
  override readonly name = "BodyDigestError";
}

/** The parts of a request that send a body and its digest; the headers are to be added to others. */
export function withDigest(
  digest: Digest,
  body: AsyncIterable<Uint8Array>,
): Required<Pick<PostRequest, "headers" | "body" | "trailers">> {
  const sum = digest.startSha256();
  const summed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      sum.update(piece);
      yield piece;
    }
  };
  return { headers: { trailer }, body: summed(), trailers: () => ({ [trailer]: fieldOf(sum.finish()) }) };
}

/**
 * The body of a request as it comes in. Ends with `BodyDigestError` when a digest was sent and is not the body's;
 * without a digest nothing is checked.
 */
export async function* checkedBody(digest: Digest, request: ServedRequest): AsyncGenerator<Uint8Array> {
  const sum = digest.startSha256();
  for await (const piece of request.body()) {
    sum.update(piece);
    yield piece;
  }
  const expected = request.trailers()[trailer];
  if (expected === undefined) return;
  const actual = fieldOf(sum.finish());
  if (actual !== expected) throw new BodyDigestError(`the body's digest is ${actual}, its sender's ${expected}`);
}

function fieldOf(sha256: Uint8Array): string {
  return `sha-256=:${encodeBase64(sha256)}:`;
}
