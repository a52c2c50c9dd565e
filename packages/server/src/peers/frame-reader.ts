/**
 * Cuts a byte stream into pieces whose length is known only as reading goes on: `need(n)` bytes are handed out as one
 * contiguous view once they have arrived. Bytes are copied only when a piece spans chunks.
 */

import { assert } from "../assert.js";
import { readUint64 } from "../uint64.js";

export class FrameReader {
  #chunks: Uint8Array[] = [];
  #offset = 0;
  #available = 0;

  /** Bytes pushed and not yet taken. */
  get available(): number {
    return this.#available;
  }

  /** The reader keeps the chunk until it is consumed: it must not change. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#available += chunk.length;
  }

  /** The next `length` bytes, consumed; undefined when they have not all arrived. The view is the caller's. */
  take(length: number): Uint8Array | undefined {
    if (this.#available < length) return undefined;
    const first = this.#chunks[0];
    if (first === undefined) return new Uint8Array(0);
    if (first.length - this.#offset >= length) {
      const view = first.subarray(this.#offset, this.#offset + length);
      this.#consume(length);
      return view;
    }
    const joined = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) break;
      const count = Math.min(length - filled, chunk.length - this.#offset);
      joined.set(chunk.subarray(this.#offset, this.#offset + count), filled);
      filled += count;
      this.#consume(count);
    }
    return joined;
  }

  /**
   * What `decode` makes of the next `length` bytes, consumed; undefined when they have not all arrived. No view is
   * made.
   */
  decode<T>(length: number, decode: (bytes: Uint8Array, start: number, end: number) => T): T | undefined {
    const first = this.#chunks[0];
    const start = this.#offset;
    if (first !== undefined && first.length - start >= length) {
      this.#consume(length);
      return decode(first, start, start + length);
    }
    const bytes = this.take(length);
    return bytes === undefined ? undefined : decode(bytes, 0, length);
  }

  /** Consumes `length` bytes, which must have arrived. */
  skip(length: number): void {
    assert(length <= this.#available, "what is skipped has arrived");
    for (let left = length; left > 0; ) {
      const count = Math.min(left, (this.#chunks[0]?.length ?? 0) - this.#offset);
      this.#consume(count);
      left -= count;
    }
  }

  /**
   * An unsigned 64-bit big-endian number, not consumed; undefined when its 8 bytes have not all arrived. Exact up to
   * 2^53, rounded above.
   */
  peekUint64(at: number): number | undefined {
    if (this.#available < at + 8) return undefined;
    const first = this.#chunks[0];
    const position = this.#offset + at;
    if (first !== undefined && position + 8 <= first.length) return readUint64(first, position);
    let value = 0;
    for (let i = 0; i < 8; i++) value = value * 256 + this.#byteAt(at + i);
    return value;
  }

  /** The byte `at` positions ahead, not consumed; undefined when it has not arrived. */
  peekByte(at: number): number | undefined {
    return this.#available > at ? this.#byteAt(at) : undefined;
  }

  #byteAt(at: number): number {
    let position = this.#offset + at;
    for (const chunk of this.#chunks) {
      if (position < chunk.length) return chunk[position] ?? 0;
      position -= chunk.length;
    }
    return 0;
  }

  #consume(count: number): void {
    this.#offset += count;
    this.#available -= count;
    if (this.#offset === this.#chunks[0]?.length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
  }
}
