/** The first slab is this part of the usual size, since a member may make few proposals; each next one is larger. */
const firstSlabShare = 64;
const slabGrowth = 4;

/**
 * Hands out byte arrays cut from larger buffers: a buffer of its own for every small request costs more than the
 * request. A slab lives as long as any array cut from it, so what is kept long should be of similar age; proposals are,
 * since the log forgets them in order.
 */
export class SlabAllocator {
  readonly #slabBytes: number;
  #nextBytes: number;
  #slab: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
    this.#nextBytes = Math.ceil(slabBytes / firstSlabShare);
  }

  /** Zeros, the caller's alone. */
  allocate(sizeBytes: number): Uint8Array {
    // A large request would waste the rest of a slab.
    if (sizeBytes * 4 > this.#slabBytes) return new Uint8Array(sizeBytes);
    if (this.#used + sizeBytes > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(this.#nextBytes, sizeBytes));
      this.#nextBytes = Math.min(this.#nextBytes * slabGrowth, this.#slabBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = start + sizeBytes;
    return this.#slab.subarray(start, this.#used);
  }
}
