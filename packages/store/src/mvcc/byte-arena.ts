/**
 * A byte buffer that grows: where the records of an answer are put one after the other, ready to be sent.
 */

import { copyBytes } from "./copy-bytes.js";

const initialBytes = 4096;

export class ByteArena {
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Makes room for `length` more bytes and returns the offset at which they begin in `target`. */
  reserve(length: number): number {
    const lo = this.#length;
    const needed = lo + length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2, initialBytes));
      grown.set(this.#bytes.subarray(0, lo));
      this.#bytes = grown;
    }
    this.#length = needed;
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

  /** What was appended since the last `clear`; a view valid until the next `clear` or `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets the content and keeps the buffer, unless it grew beyond `keepBytesMax`. */
  clear(keepBytesMax: number): void {
    this.#length = 0;
    if (this.#bytes.length > keepBytesMax) this.#bytes = new Uint8Array(0);
  }
}
