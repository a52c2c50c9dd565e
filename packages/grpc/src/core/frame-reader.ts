/**
 * Cuts the byte stream into frames. Whole frames are handed on as views of the chunk they came in; only a frame that
 * straddles chunks is put together, in one buffer of the reader.
 */
import { frameHeaderBytes, framePayloadBytesMax } from "./protocol.js";

/** `bytes[start..end)` is the payload, valid only during the call. False stops the reader for good. */
export interface FrameHandler {
  onFrame(type: number, flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): boolean;
  onFrameTooLarge(type: number, streamId: number, payloadBytes: number): void;
}

/** Most frames that straddle chunks are small. */
const keptBytesMax = 1024;
const noBytes = new Uint8Array(0);

export class FrameReader {
  readonly #handler: FrameHandler;
  /** The beginning of a frame whose rest has not come. */
  #partial: Uint8Array = noBytes;
  #partialBytes = 0;
  /** Frames handed on so far. */
  frameCount = 0;
  #stopped = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Whether a frame has begun whose end has not come. */
  get midFrame(): boolean {
    return this.#partialBytes > 0;
  }

  /** Reads `chunk[at..)`; the chunk is not kept. */
  push(chunk: Uint8Array, at: number): void {
    if (this.#stopped) return;
    let from = at;
    if (this.#partialBytes > 0) from = this.#complete(chunk, from);
    const end = chunk.length;
    while (!this.#stopped && end - from >= frameHeaderBytes) {
      const size = this.#frameBytes(chunk, from);
      if (this.#stopped || end - from < size) break;
      this.#emit(chunk, from, from + size);
      from += size;
    }
    if (!this.#stopped && from < end) this.#keep(chunk, from, end);
  }

  /** Completes the partial frame as far as the chunk goes; returns where the chunk goes on. */
  #complete(chunk: Uint8Array, at: number): number {
    let from = at;
    if (this.#partialBytes < frameHeaderBytes) {
      from = this.#keep(chunk, from, Math.min(chunk.length, from + frameHeaderBytes - this.#partialBytes));
      if (this.#partialBytes < frameHeaderBytes) return from;
    }
    const size = this.#frameBytes(this.#partial, 0);
    if (this.#stopped) return chunk.length;
    from = this.#keep(chunk, from, Math.min(chunk.length, from + size - this.#partialBytes));
    if (this.#partialBytes < size) return from;
    this.#partialBytes = 0;
    this.#emit(this.#partial, 0, size);
    // Idle connections are many: they must not each keep room for a whole frame.
    if (this.#partial.length > keptBytesMax) this.#partial = noBytes;
    return from;
  }

  #keep(chunk: Uint8Array, from: number, to: number): number {
    const length = this.#partialBytes + to - from;
    if (this.#partial.length < length) {
      const grown = new Uint8Array(length <= keptBytesMax ? keptBytesMax : frameHeaderBytes + framePayloadBytesMax);
      grown.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = grown;
    }
    this.#partial.set(chunk.subarray(from, to), this.#partialBytes);
    this.#partialBytes = length;
    return to;
  }

  /** Size of the frame whose header is at `at`, header included. */
  #frameBytes(bytes: Uint8Array, at: number): number {
    const payload = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (payload > framePayloadBytesMax) {
      this.#stopped = true;
      this.#handler.onFrameTooLarge(bytes[at + 3] as number, streamIdAt(bytes, at), payload);
    }
    return payload + frameHeaderBytes;
  }

  #emit(bytes: Uint8Array, at: number, end: number): void {
    this.frameCount++;
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const goOn = this.#handler.onFrame(type, flags, streamIdAt(bytes, at), bytes, at + frameHeaderBytes, end);
    if (!goOn) this.#stopped = true;
  }
}

/** The reserved bit is ignored. Source: RFC 9113 §4.1. */
function streamIdAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at + 5] as number) & 0x7f) << 24) |
    ((bytes[at + 6] as number) << 16) |
    ((bytes[at + 7] as number) << 8) |
    (bytes[at + 8] as number)
  );
}
