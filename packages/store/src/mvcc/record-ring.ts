/**
 * The most recent record chunks, kept in memory as they were encoded: a ring of large buffers that are never given back
 * to the collector. Most reads and all events find their bytes here and do not touch the backend.
 *
 * A record's *position* counts bytes since the ring was made, so an old position is recognised by comparing numbers. A
 * record never straddles two buffers. When the ring is full, the oldest buffer is overwritten whole.
 */

import { assert } from "../assert.js";

export interface RecordRingOptions {
  /** Bytes kept; at least one buffer. */
  readonly sizeBytes: number;
  /** Bytes of one buffer; larger records are not kept. Default 1 MiB. */
  readonly bufferBytes?: number;
}

/** The position of a record that the ring does not hold. */
export const notInRing = -1;

export class RecordRing {
  readonly #bufferBytes: number;
  readonly #bufferCount: number;
  readonly #buffers: Uint8Array[] = [];
  /** Next position to be written. */
  #head = 0;
  /** Positions below it have been overwritten. */
  #tail = 0;

  constructor(options: RecordRingOptions) {
    this.#bufferBytes = options.bufferBytes ?? 1 << 20;
    this.#bufferCount = Math.max(1, Math.floor(options.sizeBytes / this.#bufferBytes));
  }

  /** Reserves `length` bytes and returns their position, or `notInRing` when the record is too large to be kept. */
  reserve(length: number): number {
    const bufferBytes = this.#bufferBytes;
    if (length > bufferBytes) return notInRing;
    const used = this.#head % bufferBytes;
    if (used !== 0 && used + length > bufferBytes) this.#head += bufferBytes - used;
    const position = this.#head;
    if (position % bufferBytes === 0) this.#openBuffer(position / bufferBytes);
    this.#head = position + length;
    return position;
  }

  #openBuffer(sequence: number): void {
    const slot = sequence % this.#bufferCount;
    if (this.#buffers[slot] === undefined) this.#buffers[slot] = new Uint8Array(this.#bufferBytes);
    this.#tail = Math.max(0, sequence + 1 - this.#bufferCount) * this.#bufferBytes;
  }

  holds(position: number): boolean {
    return position >= this.#tail;
  }

  /** The buffer that holds `position`. Its bytes there change only when the ring comes round. */
  bufferAt(position: number): Uint8Array {
    assert(position >= this.#tail && position < this.#head, "the ring holds the position");
    return this.#buffers[Math.floor(position / this.#bufferBytes) % this.#bufferCount] as Uint8Array;
  }

  /** Where in its buffer `position` lies. */
  offsetAt(position: number): number {
    return position % this.#bufferBytes;
  }
}
