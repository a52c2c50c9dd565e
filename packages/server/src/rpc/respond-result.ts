/**
 * Answers with the result of a range, deletion or transaction. What is large in it is handed on in pieces, not copied.
 */

import type { ServerCall } from "@etcd-ts/grpc";
import { type OpResult, Splices, sizeInPieces } from "@etcd-ts/store";

/** The result is encoded before this returns. `encode` writes `sizeBytes`, less what it leaves to `splices`. */
export function respondResult(
  call: ServerCall,
  result: OpResult,
  sizeBytes: number,
  encode: (target: Uint8Array, offset: number, splices?: Splices) => void,
): void {
  const inPieces = sizeInPieces(result);
  if (inPieces === 0) return call.respond(sizeBytes, encode);
  const splices = new Splices();
  const rest = new Uint8Array(sizeBytes - inPieces);
  encode(rest, 0, splices);
  call.respondPieces(splices.join(rest));
}
