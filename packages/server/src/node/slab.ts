/**
 * Hands out byte arrays cut from larger buffers: a buffer of its own for every small request costs more than the request.
 * A slab lives as long as any array cut from it, so what is kept long should be of similar age; proposals are, since the
 * log forgets them in order.
 */
export class SlabAllocator {
  readonly #slabBytes: number;
  #slab: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
  }

  /** Zeros, the caller's alone. */
  allocate(sizeBytes: number): Uint8Array {
    // A large request would waste the rest of a slab.
    if (sizeBytes * 4 > this.#slabBytes) return new Uint8Array(sizeBytes);
    if (this.#used + sizeBytes > this.#slab.length) {
      this.#slab = new Uint8Array(this.#slabBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = start + sizeBytes;
    return this.#slab.subarray(start, this.#used);
  }
}
