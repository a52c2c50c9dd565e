/**
 * A byte buffer that grows: where the records of an answer are put one after the other, ready to be sent. What does not
 * fit into a piece any more begins the next one, so that growing never copies much.
 */

import { copyBytes } from "./copy-bytes.js";
import type { Pieces } from "./pieces.js";

const initialBytes = 4096;
/** A buffer that has reached this is not grown; only what is appended in one go may need more. */
const pieceBytes = 1 << 20;

export class ByteArena {
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  /** Pieces that are full. */
  #before: Uint8Array[] = [];

  /** Makes room for `length` more bytes and returns the offset at which they begin in `target`. */
  reserve(length: number): number {
    if (this.#length + length > this.#bytes.length) this.#makeRoom(length);
    const lo = this.#length;
    this.#length += length;
    return lo;
  }

  /** The buffer behind the arena; replaced by the next `reserve` that does not fit. */
  get target(): Uint8Array {
    return this.#bytes;
  }

  /** Appends source[lo, hi). */
  append(source: Uint8Array, lo: number, hi: number): void {
    const offset = this.reserve(hi - lo);
    copyBytes(source, lo, hi, this.#bytes, offset);
  }

  /** The last `size` bytes, which were appended in one go; a view valid until the next `clear`. */
  last(size: number): Uint8Array {
    return this.#bytes.subarray(this.#length - size, this.#length);
  }

  /**
   * What was appended since the last `clear`: in one piece a view that is valid until the next `clear` or `append`,
   * several pieces are the taker's.
   */
  view(): Pieces {
    const last = this.#bytes.subarray(0, this.#length);
    return this.#before.length === 0 ? last : [...this.#before, last];
  }

  /** Forgets the content and keeps the buffer, unless it grew beyond `keepBytesMax`. */
  clear(keepBytesMax: number): void {
    this.#length = 0;
    if (this.#bytes.length <= keepBytesMax && this.#before.length === 0) return;
    this.#bytes = new Uint8Array(0);
    this.#before = [];
  }

  #makeRoom(length: number): void {
    const lo = this.#length;
    const needed = lo + length;
    if (lo > 0 && needed > pieceBytes) {
      this.#before.push(this.#bytes.subarray(0, lo));
      this.#bytes = new Uint8Array(Math.max(length, pieceBytes));
      this.#length = 0;
      return;
    }
    const grown = new Uint8Array(Math.max(needed, Math.min(this.#bytes.length * 2, pieceBytes), initialBytes));
    grown.set(this.#bytes.subarray(0, lo));
    this.#bytes = grown;
  }
}
