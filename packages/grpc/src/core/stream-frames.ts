/**
 * What the frames of streams mean: data, headers, priorities and resets, with the windows they come out of. Rules of
 * the protocol are kept here; what a stream's headers and data are for is its sink's business. Source: RFC 9113 §5, §6.
 */
import { HeaderAssembly } from "./header-assembly.js";
import { type HeaderBlock, HpackDecoder } from "./hpack-decoder.js";
import type { ConnectionLimits } from "./limits.js";
import { ErrorCode, Flag, readUint32, streamIdMax } from "./protocol.js";
import type { ReceiveWindows } from "./receive-windows.js";
import type { SendScheduler } from "./send-scheduler.js";
import { Http2Stream, idleSink } from "./stream.js";
import type { StreamTable } from "./stream-table.js";

/** What is wrong with a frame of the wrong length for its type. */
export const wrongLength = "wrong frame length";

/** The connection the streams belong to. */
export interface StreamFramesOwner {
  /** Server: the client has opened a stream. */
  onStream(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void;
  /** The peer has ended its side. */
  onRemoteEnd(stream: Http2Stream): void;
  closeStream(stream: Http2Stream): void;
  /** The peer broke a rule on a stream, which need not be open. */
  streamError(streamId: number, code: ErrorCode, why: string): void;
  /** The peer broke a rule of the connection. */
  fail(code: ErrorCode, why: string): void;
  countReset(): void;
  /** False: there were too many, and the connection has failed. */
  countIdleFrame(): boolean;
}

export interface StreamFramesParts {
  readonly isServer: boolean;
  readonly limits: ConnectionLimits;
  readonly table: StreamTable;
  readonly windows: ReceiveWindows;
  readonly scheduler: SendScheduler;
}

/** The frames' payloads are `bytes[start..end)`, valid only during the calls. */
export class StreamFrames {
  readonly #owner: StreamFramesOwner;
  readonly #isServer: boolean;
  readonly #limits: ConnectionLimits;
  readonly #table: StreamTable;
  readonly #windows: ReceiveWindows;
  readonly #scheduler: SendScheduler;
  readonly #decoder: HpackDecoder;
  readonly #assembly: HeaderAssembly;
  /** The block being read says that its stream depends on itself. */
  #blockSelfDependent = false;

  constructor(owner: StreamFramesOwner, { isServer, limits, table, windows, scheduler }: StreamFramesParts) {
    this.#owner = owner;
    this.#isServer = isServer;
    this.#limits = limits;
    this.#table = table;
    this.#windows = windows;
    this.#scheduler = scheduler;
    this.#decoder = new HpackDecoder({
      tableBytesMax: limits.headerTableBytesMax,
      listBytesMax: limits.headerListBytesMax,
      pairsMax: limits.headerPairsMax,
    });
    this.#assembly = new HeaderAssembly(limits.headerListBytesMax);
  }

  /** A header block has begun whose end has not come: nothing but its continuation may. */
  get midBlock(): boolean {
    return this.#assembly.streamId !== 0;
  }

  onData(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (streamId === 0) return this.#owner.fail(ErrorCode.protocolError, "DATA on stream 0");
    if (!this.#windows.take(length)) return this.#owner.fail(ErrorCode.flowControlError, "connection window exceeded");
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      const padding = bytes[start];
      if (padding === undefined || length === 0 || padding >= length) {
        return this.#owner.fail(ErrorCode.protocolError, "padding longer than the frame");
      }
      from++;
      to -= padding;
    }
    const stream = this.#table.get(streamId);
    if (stream === undefined) return this.#onDataWithoutStream(streamId, length);
    if (stream.remoteEnded) {
      this.#windows.giveBack(length);
      return this.#owner.streamError(streamId, ErrorCode.streamClosed, "DATA after END_STREAM");
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#windows.giveBack(length);
      return this.#owner.streamError(streamId, ErrorCode.flowControlError, "stream window exceeded");
    }
    const endStream = (flags & Flag.endStream) !== 0;
    if (from === to && !endStream && !this.#owner.countIdleFrame()) return;
    if (stream.contentBytesLeft >= 0) {
      stream.contentBytesLeft -= to - from;
      if (stream.contentBytesLeft < 0 || (endStream && stream.contentBytesLeft > 0)) {
        this.#windows.giveBack(length);
        return this.#owner.streamError(streamId, ErrorCode.protocolError, "body does not match content-length");
      }
    }
    if (endStream) this.#owner.onRemoteEnd(stream);
    // Padding is consumed by nobody else.
    if (to - from < length) this.#windows.consume(stream, length - (to - from));
    stream.sink.onData(bytes, from, to, endStream);
  }

  #onDataWithoutStream(streamId: number, length: number): void {
    if (this.#table.isIdle(streamId)) return this.#owner.fail(ErrorCode.protocolError, "DATA on an idle stream");
    this.#windows.giveBack(length);
    // What was sent before our reset reached the peer is not its fault.
    if (this.#table.wasReset(streamId) || streamId > this.#table.acceptsUpTo) return;
    this.#owner.streamError(streamId, ErrorCode.streamClosed, "DATA on a closed stream");
  }

  onHeaders(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.#owner.fail(ErrorCode.protocolError, "HEADERS on stream 0");
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      to -= bytes[from] as number;
      from++;
    }
    this.#blockSelfDependent = false;
    if ((flags & Flag.priority) !== 0) {
      this.#blockSelfDependent = from + 5 <= to && (readUint32(bytes, from) & streamIdMax) === streamId;
      from += 5;
    }
    if (from > to) return this.#owner.fail(ErrorCode.protocolError, "padding longer than the frame");
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) {
      this.#onBlock(streamId, bytes, from, to, endStream);
      return;
    }
    if (!this.#assembly.begin(streamId, endStream, bytes, from, to)) this.#onBlockTooLarge();
  }

  onContinuation(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const assembly = this.#assembly;
    if (assembly.streamId === 0 || streamId !== assembly.streamId) {
      return this.#owner.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
    }
    if (!assembly.continue(bytes, start, end)) return this.#onBlockTooLarge();
    if ((flags & Flag.endHeaders) === 0) return;
    const block = assembly.finish();
    this.#onBlock(streamId, block, 0, block.length, assembly.endStream);
  }

  /** The rest cannot be decoded without it, so that the connection is over. */
  #onBlockTooLarge(): void {
    this.#owner.fail(ErrorCode.enhanceYourCalm, "header block too large");
  }

  #onBlock(streamId: number, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    // The block is decoded whatever becomes of it: the table must follow the peer's.
    const block = this.#decoder.decode(bytes, start, end);
    if (block === undefined) return this.#owner.fail(ErrorCode.compressionError, "bad header block");
    const known = this.#table.get(streamId);
    if (known !== undefined) return this.#onFurtherBlock(known, block, endStream);
    if (this.#table.wasReset(streamId)) return;
    if (!this.#isServer) {
      if (streamId % 2 === 0 || this.#table.isIdle(streamId))
        this.#owner.fail(ErrorCode.protocolError, "HEADERS on an idle stream");
      return;
    }
    if (streamId % 2 === 0) return this.#owner.fail(ErrorCode.protocolError, "a client's streams have odd numbers");
    if (streamId <= this.#table.lastId) {
      const closed = streamId === this.#table.lastId;
      return this.#owner.fail(
        closed ? ErrorCode.streamClosed : ErrorCode.protocolError,
        closed ? "HEADERS on a closed stream" : "stream numbers must grow",
      );
    }
    this.#table.lastId = streamId;
    // Opened before the client saw our GOAWAY: it knows from there that nobody looks at this.
    if (streamId > this.#table.acceptsUpTo) return;
    this.#openPeerStream(streamId, block, endStream);
  }

  #openPeerStream(streamId: number, block: HeaderBlock, endStream: boolean): void {
    if (this.#blockSelfDependent) {
      return this.#owner.streamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    }
    if (this.#table.size >= this.#limits.streamsMax) {
      return this.#owner.streamError(streamId, ErrorCode.refusedStream, "too many streams");
    }
    if (block.truncated) return this.#owner.streamError(streamId, ErrorCode.frameSizeError, "header list too large");
    const stream = new Http2Stream(streamId, idleSink, this.#limits.streamWindowBytes, this.#scheduler.streamWindow);
    stream.remoteEnded = endStream;
    this.#table.add(stream);
    this.#owner.onStream(stream, block, endStream);
  }

  #onFurtherBlock(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void {
    if (stream.remoteEnded)
      return this.#owner.streamError(stream.id, ErrorCode.streamClosed, "HEADERS after END_STREAM");
    if (this.#isServer && !endStream) {
      return this.#owner.streamError(stream.id, ErrorCode.protocolError, "trailers without END_STREAM");
    }
    if (block.truncated) return this.#owner.streamError(stream.id, ErrorCode.frameSizeError, "header list too large");
    if (endStream) {
      if (stream.contentBytesLeft > 0) {
        return this.#owner.streamError(stream.id, ErrorCode.protocolError, "body does not match content-length");
      }
      this.#owner.onRemoteEnd(stream);
    }
    stream.sink.onHeaders(block, endStream);
  }

  onPriority(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.#owner.fail(ErrorCode.protocolError, "PRIORITY on stream 0");
    if (end - start !== 5) return this.#owner.streamError(streamId, ErrorCode.frameSizeError, wrongLength);
    if (!this.#owner.countIdleFrame()) return;
    if ((readUint32(bytes, start) & streamIdMax) === streamId) {
      this.#owner.streamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    }
  }

  onReset(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.#owner.fail(ErrorCode.protocolError, "RST_STREAM on stream 0");
    if (end - start !== 4) return this.#owner.fail(ErrorCode.frameSizeError, wrongLength);
    const stream = this.#table.get(streamId);
    if (stream === undefined) {
      if (this.#table.isIdle(streamId)) this.#owner.fail(ErrorCode.protocolError, "RST_STREAM on an idle stream");
      return;
    }
    this.#owner.closeStream(stream);
    stream.sink.onClosed({ kind: "reset", code: readUint32(bytes, start) });
    this.#owner.countReset();
  }
}
