/**
 * Encoded bytes of an answer: one array, or, when they are many, several that are to be read one behind the other. A
 * buffer of hundreds of megabytes that grows, and is copied into a message, would hold up the loop.
 */

import { copyBytes } from "./copy-bytes.js";

export type Pieces = Uint8Array | readonly Uint8Array[];

export function sizePieces(pieces: Pieces): number {
  if (pieces instanceof Uint8Array) return pieces.length;
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Copies them to `offset`; returns the offset behind. */
export function writePieces(pieces: Pieces, target: Uint8Array, offset: number): number {
  if (pieces instanceof Uint8Array) return copyBytes(pieces, 0, pieces.length, target, offset);
  let at = offset;
  for (const piece of pieces) {
    target.set(piece, at);
    at += piece.length;
  }
  return at;
}

/** What an encoder leaves out of a message, because it would take long to copy, with the places it belongs at. */
export class Splices {
  readonly #parts: { readonly at: number; readonly pieces: readonly Uint8Array[] }[] = [];
  /** Of all that was left out. */
  sizeBytes = 0;

  add(pieces: readonly Uint8Array[], at: number): void {
    this.#parts.push({ at, pieces });
    this.sizeBytes += sizePieces(pieces);
  }

  /** The whole message: `encoded`, which is the rest of it, with what was left out in its places. */
  join(encoded: Uint8Array): Uint8Array[] {
    const joined: Uint8Array[] = [];
    let from = 0;
    for (const { at, pieces } of this.#parts) {
      joined.push(encoded.subarray(from, at), ...pieces);
      from = at;
    }
    joined.push(encoded.subarray(from));
    return joined;
  }
}
