/**
 * The bytes a connection wants to send: a list of pooled chunks. Frames are written in place, contiguous within a
 * chunk; full chunks go to the socket as they are.
 */
import { assert } from "./assert.js";

export const chunkBytes = 65_536;

/** Makes memory. The platform may give its own kind of `Uint8Array`. */
export type Allocate = (sizeBytes: number) => Uint8Array;

const segmentBytesMin = 4096;
const segmentBytesMax = 1 << 20;
/** Memory of free segments that is kept. */
const freeSegmentBytesMax = 32 << 20;

/** Free memory, shared by all connections of a server or client: chunks of output, and segments of unsent messages. */
export class ChunkPool {
  readonly #allocate: Allocate;
  readonly #free: Uint8Array[] = [];
  readonly #freeMax: number;
  /** Free segments by size. Fresh memory costs more than what is copied into it. */
  readonly #freeSegments: Map<number, Uint8Array[]> = new Map();
  #freeSegmentBytes = 0;

  constructor(allocate: Allocate = (size) => new Uint8Array(size), freeMax = 256) {
    this.#allocate = allocate;
    this.#freeMax = freeMax;
  }

  acquire(): Uint8Array {
    return this.#free.pop() ?? this.#allocate(chunkBytes);
  }

  /** The chunk must not be used afterwards. */
  release(chunk: Uint8Array): void {
    if (this.#free.length < this.#freeMax) this.#free.push(chunk);
  }

  /** Memory of at least `size` bytes. */
  acquireSegment(size: number): Uint8Array {
    if (size > segmentBytesMax) return this.#allocate(size);
    // Four sizes to each power of two, so that little is wasted and a size is met again.
    const step = size <= segmentBytesMin ? segmentBytesMin : Math.max(segmentBytesMin, 1 << (29 - Math.clz32(size)));
    const bytes = Math.max(1, Math.ceil(size / step)) * step;
    const free = this.#freeSegments.get(bytes)?.pop();
    if (free === undefined) return this.#allocate(bytes);
    this.#freeSegmentBytes -= bytes;
    return free;
  }

  /** The segment must not be used afterwards. */
  releaseSegment(segment: Uint8Array): void {
    const bytes = segment.length;
    if (bytes > segmentBytesMax || this.#freeSegmentBytes + bytes > freeSegmentBytesMax) return;
    this.#freeSegmentBytes += bytes;
    const free = this.#freeSegments.get(bytes);
    if (free === undefined) this.#freeSegments.set(bytes, [segment]);
    else free.push(segment);
  }
}

/** A chunk with `lengthBytes` of output in it. Whoever takes it gives it back to the pool once it is sent. */
export interface OutputChunk {
  readonly bytes: Uint8Array;
  readonly lengthBytes: number;
}

const noBytes = new Uint8Array(0);

export class Output {
  /** The current chunk: write at the offset that `reserve` returned. */
  bytes: Uint8Array = noBytes;
  /** Bytes waiting in all chunks. */
  sizeBytes = 0;
  readonly #pool: ChunkPool;
  #length = 0;
  #full: OutputChunk[] = [];

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** Makes room for `size` contiguous bytes in `bytes` and counts them as written. */
  reserve(size: number): number {
    const at = this.#length;
    if (at + size > this.bytes.length) return this.#next(size);
    this.#length = at + size;
    this.sizeBytes += size;
    return at;
  }

  /** All waiting bytes, in order. */
  take(): readonly OutputChunk[] {
    const chunks = this.#full;
    if (this.#length > 0) chunks.push({ bytes: this.bytes, lengthBytes: this.#length });
    this.#full = [];
    this.bytes = noBytes;
    this.#length = 0;
    this.sizeBytes = 0;
    return chunks;
  }

  #next(size: number): number {
    assert(size <= chunkBytes, "a frame fits into a chunk");
    if (this.#length > 0) this.#full.push({ bytes: this.bytes, lengthBytes: this.#length });
    this.bytes = this.#pool.acquire();
    this.#length = size;
    this.sizeBytes += size;
    return 0;
  }
}
