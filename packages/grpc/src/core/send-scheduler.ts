/**
 * The sending half of a connection. Control frames are written at once; data waits with its stream while the socket
 * holds enough, and streams take turns, a frame each. A message that fits everywhere goes straight into the output.
 */
import { assert } from "./assert.js";
import { dynamicTableOff } from "./hpack-encoder.js";
import type { ConnectionLimits } from "./limits.js";
import { type ChunkPool, Output, type OutputChunk } from "./output.js";
import {
  Flag,
  FrameType,
  frameHeaderBytes,
  framePayloadBytesMax,
  initialWindowBytes,
  windowBytesMax,
  writeFrameHeader,
} from "./protocol.js";
import type { Http2Stream, Segment } from "./stream.js";

/** What the scheduler tells its connection. */
export interface SchedulerOwner {
  /** There is something to flush. May be called more often than needed. */
  onOutput(): void;
  /** END_STREAM of the stream has been written. */
  onLocalEnd(stream: Http2Stream): void;
}

export class SendScheduler {
  /** The connection's send window. */
  connectionWindow: number = initialWindowBytes;
  /** The window a new stream starts with: the peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  streamWindow: number = initialWindowBytes;
  /** Where the last `reserveData` or `reserveControl` made room. */
  target: Uint8Array = new Uint8Array(0);
  /** Headers or data have been written since the owner has set this to false. */
  wrote = false;
  /** Bytes of all streams that wait. */
  unsentBytes = 0;
  /** Bytes handed to the socket that it still holds. */
  inFlightBytes = 0;

  readonly #owner: SchedulerOwner;
  readonly #limits: ConnectionLimits;
  readonly #pool: ChunkPool;
  readonly #output: Output;
  #firstReady: Http2Stream | undefined;
  #lastReady: Http2Stream | undefined;
  /** Streams with data and a window of their own that wait for the connection's. */
  #blocked: Http2Stream[] = [];
  #writable: Http2Stream[] = [];
  #announceTableOff = false;

  constructor(owner: SchedulerOwner, limits: ConnectionLimits, pool: ChunkPool) {
    this.#owner = owner;
    this.#limits = limits;
    this.#pool = pool;
    this.#output = new Output(pool);
  }

  /** Bytes framed and not yet gone from the socket. */
  get framedBytes(): number {
    return this.#output.sizeBytes + this.inFlightBytes;
  }

  /** True when answers to control frames have piled up because the peer does not read. */
  get congested(): boolean {
    return this.framedBytes > this.#limits.socketBytesMax + framePayloadBytesMax + this.#limits.controlBytesMax;
  }

  /** Streams wait for their turn; they get it as soon as the socket has room. */
  get waiting(): boolean {
    return this.#firstReady !== undefined;
  }

  /** Makes room in `target` for control frames of `size` bytes and returns where. */
  reserveControl(size: number): number {
    const at = this.#output.reserve(size);
    this.target = this.#output.bytes;
    this.#owner.onOutput();
    return at;
  }

  /** Our next header block says that the peer's table is not used: it announced one smaller than the default. */
  announceTableOff(): void {
    this.#announceTableOff = true;
  }

  /** Sends a header block: a stream's first, or an answer's. */
  sendHeaders(stream: Http2Stream, block: Uint8Array, endStream: boolean): void {
    assert(!stream.localEnding, "headers come before the end");
    stream.waitingHeaders = block;
    stream.localEnding = endStream;
    if (this.#firstReady === undefined && this.framedBytes < this.#limits.socketBytesMax) this.#writeTurn(stream);
    else this.#enqueue(stream);
    this.#owner.onOutput();
  }

  /**
   * Makes room in `target` for `size` bytes of a stream's data and returns where; the caller writes them before
   * anything else is sent.
   */
  reserveData(stream: Http2Stream, size: number): number {
    assert(!stream.localEnding, "data come before the end");
    this.#owner.onOutput();
    return this.#fits(stream, size) ? this.#reserveFrame(stream, size, 0) : this.#reserveSegment(stream, size);
  }

  /** Queues a stream's data that are the scheduler's from now on: they are not copied before they leave. */
  give(stream: Http2Stream, bytes: Uint8Array): void {
    assert(!stream.localEnding, "data come before the end");
    this.#push(stream, { bytes, isPooled: false, start: 0, end: bytes.length });
    this.#queued(stream, bytes.length);
    this.#owner.onOutput();
  }

  /** As `reserveData`, and ends the stream with it. */
  reserveLastData(stream: Http2Stream, size: number): number {
    assert(!stream.localEnding, "data come before the end");
    this.#owner.onOutput();
    stream.localEnding = true;
    if (!this.#fits(stream, size)) return this.#reserveSegment(stream, size);
    const at = this.#reserveFrame(stream, size, Flag.endStream);
    this.#ended(stream);
    return at;
  }

  /**
   * Sends headers, one message of `size` bytes and trailers in one step when all of it can leave now: returns where
   * the message goes in `target`, or −1 when it has to wait and nothing was sent. `head` and `tail` are whole HEADERS
   * frames whose stream id is filled in here.
   */
  reserveAnswer(stream: Http2Stream, head: Uint8Array, size: number, tail: Uint8Array): number {
    if (!this.#fits(stream, size) || this.#announceTableOff) return -1;
    this.wrote = true;
    const at = this.#output.reserve(head.length + frameHeaderBytes + size + tail.length);
    const target = this.#output.bytes;
    this.target = target;
    copyFrame(target, at, head, stream.id);
    const data = at + head.length;
    writeFrameHeader(target, data, size, FrameType.data, 0, stream.id);
    copyFrame(target, data + frameHeaderBytes + size, tail, stream.id);
    stream.sendWindow -= size;
    this.connectionWindow -= size;
    stream.localEnding = true;
    stream.localEnded = true;
    this.#owner.onOutput();
    return data + frameHeaderBytes;
  }

  /** Ends the stream behind what waits: with trailers, or with END_STREAM alone. */
  end(stream: Http2Stream, trailers: Uint8Array | undefined): void {
    assert(!stream.localEnding, "a stream ends once");
    stream.localEnding = true;
    stream.waitingTrailers = trailers;
    const first = this.#firstReady === undefined && stream.unsentBytes === 0;
    if (first && this.framedBytes < this.#limits.socketBytesMax) this.#writeTurn(stream);
    else this.#enqueue(stream);
    this.#owner.onOutput();
  }

  /** Forgets what a stream has not sent: it was reset. */
  drop(stream: Http2Stream): void {
    this.unsentBytes -= stream.unsentBytes;
    stream.unsentBytes = 0;
    this.#releaseSegments(stream, stream.segments.length);
    stream.waitingHeaders = undefined;
    stream.waitingTrailers = undefined;
  }

  /** False when the window would pass its maximum. */
  addConnectionWindow(bytes: number): boolean {
    if (this.connectionWindow + bytes > windowBytesMax) return false;
    this.connectionWindow += bytes;
    const blocked = this.#blocked;
    if (blocked.length > 0 && this.connectionWindow > 0) {
      this.#blocked = [];
      for (const stream of blocked) {
        stream.blocked = false;
        this.#enqueue(stream);
      }
    }
    return true;
  }

  /** False when the window would pass its maximum. `bytes` is negative when the peer lowers its initial window. */
  addStreamWindow(stream: Http2Stream, bytes: number): boolean {
    if (stream.sendWindow + bytes > windowBytesMax) return false;
    stream.sendWindow += bytes;
    if (stream.unsentBytes > 0 && stream.sendWindow > 0) this.#enqueue(stream);
    return true;
  }

  /** Frames what may leave now and hands it out; the caller reports with `sent` when the socket has let it go. */
  flush(): readonly OutputChunk[] {
    do {
      while (this.#firstReady !== undefined && this.framedBytes < this.#limits.socketBytesMax) {
        this.#writeTurn(this.#takeReady(this.#firstReady));
      }
      // Sinks may send again from here, so the loop looks once more.
    } while (this.#tellWritable() && this.framedBytes < this.#limits.socketBytesMax);
    this.inFlightBytes += this.#output.sizeBytes;
    return this.#output.take();
  }

  #tellWritable(): boolean {
    const writable = this.#writable;
    if (writable.length === 0) return false;
    this.#writable = [];
    for (const stream of writable) {
      if (stream.closed || !stream.choked || stream.unsentBytes > this.#limits.unsentLowWaterBytes) continue;
      stream.choked = false;
      stream.sink.onWritable();
    }
    return this.#firstReady !== undefined;
  }

  #fits(stream: Http2Stream, size: number): boolean {
    return (
      stream.unsentBytes === 0 &&
      stream.waitingHeaders === undefined &&
      this.#firstReady === undefined &&
      size <= framePayloadBytesMax &&
      size <= stream.sendWindow &&
      size <= this.connectionWindow &&
      this.framedBytes + size < this.#limits.socketBytesMax
    );
  }

  #reserveFrame(stream: Http2Stream, size: number, flags: number): number {
    this.wrote = true;
    const at = this.#output.reserve(frameHeaderBytes + size);
    this.target = this.#output.bytes;
    writeFrameHeader(this.target, at, size, FrameType.data, flags, stream.id);
    stream.sendWindow -= size;
    this.connectionWindow -= size;
    return at + frameHeaderBytes;
  }

  #reserveSegment(stream: Http2Stream, size: number): number {
    let segment = stream.segments.at(-1);
    if (segment === undefined || segment.bytes.length - segment.end < size) {
      segment = { bytes: this.#pool.acquireSegment(size), isPooled: true, start: 0, end: 0 };
      this.#push(stream, segment);
    }
    const at = segment.end;
    segment.end += size;
    this.target = segment.bytes;
    this.#queued(stream, size);
    return at;
  }

  #push(stream: Http2Stream, segment: Segment): void {
    if (stream.segments.length === 0) stream.segments = [segment];
    else stream.segments.push(segment);
  }

  /** `size` bytes more wait in the segments of the stream. */
  #queued(stream: Http2Stream, size: number): void {
    stream.unsentBytes += size;
    this.unsentBytes += size;
    if (stream.unsentBytes >= this.#limits.unsentHighWaterBytes) stream.choked = true;
    if (stream.sendWindow > 0) this.#enqueue(stream);
  }

  #enqueue(stream: Http2Stream): void {
    if (stream.ready || stream.blocked) return;
    stream.ready = true;
    stream.nextReady = undefined;
    if (this.#lastReady === undefined) this.#firstReady = stream;
    else this.#lastReady.nextReady = stream;
    this.#lastReady = stream;
  }

  #takeReady(stream: Http2Stream): Http2Stream {
    this.#firstReady = stream.nextReady;
    if (this.#firstReady === undefined) this.#lastReady = undefined;
    stream.nextReady = undefined;
    stream.ready = false;
    return stream;
  }

  /** One turn of a stream: its headers, one DATA frame, its trailers, as far as they are due. */
  #writeTurn(stream: Http2Stream): void {
    if (stream.closed) return;
    if (stream.waitingHeaders !== undefined) {
      const block = stream.waitingHeaders;
      stream.waitingHeaders = undefined;
      const last = stream.localEnding && stream.unsentBytes === 0 && stream.waitingTrailers === undefined;
      this.#writeBlock(stream, block, last);
      if (last) return this.#ended(stream);
    }
    if (stream.unsentBytes > 0) {
      if (!this.#writeData(stream)) return;
      if (stream.unsentBytes > 0) {
        if (stream.sendWindow > 0) this.#enqueue(stream);
        return;
      }
      if (stream.localEnded) return this.#ended(stream);
    }
    if (!stream.localEnding || stream.localEnded) return;
    if (stream.waitingTrailers !== undefined) this.#writeBlock(stream, stream.waitingTrailers, true);
    else this.#writeEmptyEnd(stream);
    stream.waitingTrailers = undefined;
    this.#ended(stream);
  }

  #ended(stream: Http2Stream): void {
    stream.localEnded = true;
    this.#owner.onLocalEnd(stream);
  }

  /** One DATA frame; false when a window is closed. */
  #writeData(stream: Http2Stream): boolean {
    const size = Math.min(stream.unsentBytes, framePayloadBytesMax, stream.sendWindow, this.connectionWindow);
    if (size <= 0) {
      if (stream.sendWindow > 0) {
        stream.blocked = true;
        this.#blocked.push(stream);
      }
      return false;
    }
    const last = size === stream.unsentBytes && stream.localEnding && stream.waitingTrailers === undefined;
    this.wrote = true;
    let at = this.#output.reserve(frameHeaderBytes + size);
    const target = this.#output.bytes;
    writeFrameHeader(target, at, size, FrameType.data, last ? Flag.endStream : 0, stream.id);
    at += frameHeaderBytes;
    let left = size;
    let used = 0;
    while (left > 0) {
      const segment = stream.segments[used] as Segment;
      const count = Math.min(left, segment.end - segment.start);
      target.set(segment.bytes.subarray(segment.start, segment.start + count), at);
      segment.start += count;
      at += count;
      left -= count;
      if (segment.start === segment.end) used++;
    }
    if (used > 0) this.#releaseSegments(stream, used);
    stream.sendWindow -= size;
    this.connectionWindow -= size;
    stream.unsentBytes -= size;
    this.unsentBytes -= size;
    if (last) stream.localEnded = true;
    if (stream.choked && stream.unsentBytes <= this.#limits.unsentLowWaterBytes) this.#writable.push(stream);
    return true;
  }

  /** Drops the first segments of a stream. */
  #releaseSegments(stream: Http2Stream, count: number): void {
    for (const { bytes, isPooled } of stream.segments.splice(0, count)) {
      if (isPooled) this.#pool.releaseSegment(bytes);
    }
  }

  #writeEmptyEnd(stream: Http2Stream): void {
    const at = this.#output.reserve(frameHeaderBytes);
    writeFrameHeader(this.#output.bytes, at, 0, FrameType.data, Flag.endStream, stream.id);
  }

  #writeBlock(stream: Http2Stream, block: Uint8Array, endStream: boolean): void {
    this.wrote = true;
    let bytes = block;
    if (this.#announceTableOff) {
      this.#announceTableOff = false;
      bytes = new Uint8Array(block.length + 1);
      bytes[0] = dynamicTableOff;
      bytes.set(block, 1);
    }
    let type: number = FrameType.headers;
    let from = 0;
    do {
      const size = Math.min(bytes.length - from, framePayloadBytesMax);
      const at = this.#output.reserve(frameHeaderBytes + size);
      const last = from + size === bytes.length;
      const flags = (last ? Flag.endHeaders : 0) | (type === FrameType.headers && endStream ? Flag.endStream : 0);
      writeFrameHeader(this.#output.bytes, at, size, type, flags, stream.id);
      this.#output.bytes.set(bytes.subarray(from, from + size), at + frameHeaderBytes);
      from += size;
      type = FrameType.continuation;
    } while (from < bytes.length);
  }
}

function copyFrame(target: Uint8Array, at: number, frame: Uint8Array, streamId: number): void {
  for (let i = 0; i < frame.length; i++) target[at + i] = frame[i] as number;
  target[at + 5] = streamId >>> 24;
  target[at + 6] = streamId >>> 16;
  target[at + 7] = streamId >>> 8;
  target[at + 8] = streamId;
}

/** A whole HEADERS frame around a block, for `reserveAnswer`. */
export function headersFrame(block: Uint8Array, endStream: boolean): Uint8Array {
  assert(block.length <= framePayloadBytesMax, "a prepared block fits into one frame");
  const frame = new Uint8Array(frameHeaderBytes + block.length);
  const flags = Flag.endHeaders | (endStream ? Flag.endStream : 0);
  writeFrameHeader(frame, 0, block.length, FrameType.headers, flags, 0);
  frame.set(block, frameHeaderBytes);
  return frame;
}
