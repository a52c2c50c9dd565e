/**
 * Memory for the bytes of events: small ones are laid one after the other into shared arrays, because an array of its
 * own for each would cost more than the event. An array lives as long as any event in it is waiting somewhere.
 */

import { eventSlabBytes } from "./limits.js";

export class EventSlab {
  #buffer: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** Bytes that belong to the caller, zeros. */
  take(sizeBytes: number): Uint8Array {
    if (sizeBytes >= eventSlabBytes / 4) return new Uint8Array(sizeBytes);
    if (this.#used + sizeBytes > this.#buffer.length) {
      this.#buffer = new Uint8Array(eventSlabBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += sizeBytes;
    return this.#buffer.subarray(start, this.#used);
  }
}
