/**
 * The state machine of one HTTP/2 connection, for both roles: bytes in, bytes out, time passed in. It keeps the
 * protocol's rules and limits, and hands header blocks and data to the sinks of its streams; what they mean is the
 * role's business. Source: RFC 9113.
 */
import { assert } from "./assert.js";
import { FrameReader } from "./frame-reader.js";
import { HeaderAssembly } from "./header-assembly.js";
import { type HeaderBlock, HpackDecoder } from "./hpack-decoder.js";
import { IdTable } from "./id-table.js";
import type { ConnectionLimits } from "./limits.js";
import type { ChunkPool, OutputChunk } from "./output.js";
import { PingPolicy } from "./ping-policy.js";
import {
  clientPreface,
  ErrorCode,
  errorName,
  Flag,
  FrameType,
  frameHeaderBytes,
  framePayloadBytesMax,
  initialWindowBytes,
  readUint32,
  SettingId,
  streamIdMax,
  windowBytesMax,
  writeFrameHeader,
  writeUint32,
} from "./protocol.js";
import { SendScheduler } from "./send-scheduler.js";
import { Http2Stream, type StreamClosure, type StreamSink } from "./stream.js";
import { latin1Bytes, latin1String } from "./text.js";
import type { TimerEntry, TimerWheel } from "./timer-wheel.js";
import { TokenBucket } from "./token-bucket.js";

/** What a connection needs of the server or client it belongs to. */
export interface ConnectionRole {
  /** Server: a stream has been opened with this block; the role sets its sink or resets it. */
  onStream(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void;
  /** A stream is gone, so that another may be opened. */
  onStreamClosed(): void;
  /** The peer's settings have changed; called at least once before anything else happens. */
  onSettings(): void;
  /** The peer takes no new streams. Those above `lastStreamId` have been closed as unprocessed before. */
  onGoAway(code: ErrorCode, debug: string): void;
  /** The connection is over; every stream has been told. What is still to be flushed should be. */
  onOver(why: string): void;
  /** There is something to flush; called once until `flush`. */
  onOutput(): void;
}

export interface ConnectionConfig {
  readonly role: "server" | "client";
  readonly limits: ConnectionLimits;
  readonly pool: ChunkPool;
  /** Drives timeouts and keepalive; its `nowMs` is the time between two `receive`. */
  readonly timers: TimerWheel;
  /** False in a server that has read the preface already. */
  readonly expectPreface?: boolean;
}

/** Streams we have reset, whose frames may still be on their way; older ones are forgotten. */
const remembersResetsMax = 1024;
/** What is wrong with a frame of the wrong length for its type. */
const wrongLength = "wrong frame length";

const ping = { keepalive: 1, drain: 2 } as const;
type PingPurpose = (typeof ping)[keyof typeof ping];

const idleSink: StreamSink = {
  onHeaders: () => undefined,
  onData: () => undefined,
  onClosed: () => undefined,
  onWritable: () => undefined,
};

export class Http2Connection {
  /** The time of the last event, in the timer wheel's milliseconds. */
  nowMs: number;
  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer. */
  peerStreamsMax: number = Number.MAX_SAFE_INTEGER;
  readonly limits: ConnectionLimits;
  /** Parts of unfinished messages held for the streams' sinks; the sinks keep the count. */
  partialMessageBytes = 0;

  readonly #role: ConnectionRole;
  readonly #isServer: boolean;
  readonly #timers: TimerWheel;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #scheduler: SendScheduler;
  readonly #streams: IdTable<Http2Stream> = new IdTable();
  readonly #resets: TokenBucket;
  readonly #idleFrames: TokenBucket;

  #prefaceBytesRead: number;
  #settingsSeen = false;
  #over = false;
  #overWhy = "";
  #flushWanted = false;
  /** Server: the highest stream the client has opened. Client: the highest we have opened. */
  #lastStreamId: number;
  /** Our GOAWAY's last stream; streams above it are ignored. */
  #acceptsUpTo: number = streamIdMax;
  #draining = false;
  #peerGoingAway = false;

  /** What the peer may still send on all streams together. */
  #receiveWindow: number;
  #unreturnedBytes = 0;
  /** The window limits, halved: windows are given back in such steps. */
  readonly #streamReturnBytes: number;
  readonly #connectionReturnBytes: number;

  readonly #assembly: HeaderAssembly;
  /** The block being read says that its stream depends on itself. */
  #blockSelfDependent = false;

  /** Streams we have ended while the peer has not; they are reset at the next flush if it has not by then. */
  #lingering: Http2Stream[] = [];
  readonly #resetIds: Set<number> = new Set();

  readonly #startedMs: number;
  #lastReadMs: number;
  /** When a frame or block was begun that is still unfinished; −1 = none. */
  #unfinishedSinceMs = -1;
  /** Which frame that is. */
  #unfinishedFrame = 0;
  #keepaliveSentMs = -1;
  readonly #pingPolicy: PingPolicy;
  #sweep: TimerEntry;
  readonly #sweepIntervalMs: number;

  constructor(role: ConnectionRole, config: ConnectionConfig) {
    const { limits, timers } = config;
    this.#role = role;
    this.#isServer = config.role === "server";
    this.limits = limits;
    this.#timers = timers;
    this.nowMs = timers.nowMs;
    this.#startedMs = timers.nowMs;
    this.#lastReadMs = timers.nowMs;
    this.#reader = new FrameReader({
      onFrame: (type, flags, streamId, bytes, start, end) => this.#onFrame(type, flags, streamId, bytes, start, end),
      onFrameTooLarge: (type, streamId) => this.#onFrameTooLarge(type, streamId),
    });
    this.#decoder = new HpackDecoder({
      tableBytesMax: limits.headerTableBytesMax,
      listBytesMax: limits.headerListBytesMax,
      pairsMax: limits.headerPairsMax,
    });
    this.#scheduler = new SendScheduler(
      { onOutput: () => this.#wantFlush(), onLocalEnd: (stream) => this.#onLocalEnd(stream) },
      limits,
      config.pool,
    );
    this.#resets = new TokenBucket(limits.resetBurst, limits.resetsPerSecond, this.nowMs);
    this.#idleFrames = new TokenBucket(limits.idleFrameBurst, limits.idleFramesPerSecond, this.nowMs);
    this.#prefaceBytesRead = this.#isServer && config.expectPreface !== false ? 0 : clientPreface.length;
    this.#lastStreamId = this.#isServer ? 0 : -1;
    this.#receiveWindow = limits.connectionWindowBytes;
    this.#streamReturnBytes = limits.streamWindowBytes >> 1;
    this.#connectionReturnBytes = limits.connectionWindowBytes >> 1;
    this.#assembly = new HeaderAssembly(limits.headerListBytesMax);
    this.#pingPolicy = new PingPolicy(limits.keepalive);
    this.#sweepIntervalMs = sweepInterval(limits);
    this.#sweep = {
      deadlineMs: 0,
      previousTimer: undefined,
      nextTimer: undefined,
      onDeadline: (nowMs) => this.#onSweep(nowMs),
    };
  }

  /** Sends our side of the preface and starts the clock. */
  start(): void {
    if (!this.#isServer) {
      const at = this.#scheduler.reserveControl(clientPreface.length);
      this.#scheduler.target.set(clientPreface, at);
    }
    const { limits } = this;
    const settings: [id: number, value: number][] = [[SettingId.initialWindowSize, limits.streamWindowBytes]];
    settings.push([SettingId.maxHeaderListSize, limits.headerListBytesMax]);
    if (limits.headerTableBytesMax !== 4096) settings.push([SettingId.headerTableSize, limits.headerTableBytesMax]);
    if (this.#isServer) settings.push([SettingId.maxConcurrentStreams, limits.streamsMax]);
    else settings.push([SettingId.enablePush, 0]);
    const at = this.#control(FrameType.settings, 0, 0, settings.length * 6);
    settings.forEach(([id, value], i) => {
      this.#scheduler.target[at + i * 6 + 1] = id;
      writeUint32(this.#scheduler.target, at + i * 6 + 2, value);
    });
    const more = limits.connectionWindowBytes - initialWindowBytes;
    if (more > 0) this.#writeWindowUpdate(0, more);
    this.#timers.schedule(this.#sweep, this.nowMs + this.#sweepIntervalMs);
  }

  // --- for the adapter ---

  /** Takes what the socket received. The bytes are not kept. */
  receive(chunk: Uint8Array, nowMs: number): void {
    this.nowMs = nowMs;
    if (this.#over) return;
    this.#lastReadMs = nowMs;
    this.#keepaliveSentMs = -1;
    let at = 0;
    while (this.#prefaceBytesRead < clientPreface.length && at < chunk.length) {
      if (chunk[at++] !== clientPreface[this.#prefaceBytesRead++]) {
        this.fail(ErrorCode.protocolError, "bad connection preface");
        return;
      }
    }
    this.#reader.push(chunk, at);
    this.#noteUnfinished();
  }

  /** Since when the frame or header block at the end of what was received is unfinished. */
  #noteUnfinished(): void {
    const { midFrame, frameCount } = this.#reader;
    const midBlock = this.#assembly.streamId !== 0;
    if (!midFrame && !midBlock) this.#unfinishedSinceMs = -1;
    // The chunks of a busy peer all end within a frame, but each in another.
    else if (this.#unfinishedSinceMs < 0 || (!midBlock && frameCount !== this.#unfinishedFrame)) {
      this.#unfinishedSinceMs = this.nowMs;
      this.#unfinishedFrame = frameCount;
    }
  }

  /** What to write to the socket now. Each chunk goes back to the pool once written, with `sent`. */
  flush(): readonly OutputChunk[] {
    // What sinks send from within the flush leaves with it.
    this.#flushWanted = true;
    this.#resetLingering();
    const chunks = this.#scheduler.flush();
    this.#flushWanted = false;
    return chunks;
  }

  /** The socket has let go of this many flushed bytes. */
  sent(bytes: number): void {
    this.#scheduler.inFlightBytes -= bytes;
    if (this.#scheduler.waiting) this.#wantFlush();
  }

  /** True while nothing more should be read: the peer does not read our answers to its control frames. */
  get congested(): boolean {
    return this.#scheduler.congested;
  }

  /** The connection is over: after the flush, close the socket. */
  get over(): boolean {
    return this.#over;
  }

  /** The socket is gone, or is to go without a word. */
  lost(why: string): void {
    this.#finish(why);
  }

  // --- for the role ---

  get streamCount(): number {
    return this.#streams.size;
  }

  /** No new streams: we drain, the peer goes away, or it is over. */
  get closing(): boolean {
    return this.#over || this.#draining || this.#peerGoingAway;
  }

  /** Client: opens a stream. The caller keeps to `peerStreamsMax`. */
  open(sink: StreamSink, block: Uint8Array, endStream: boolean): Http2Stream {
    assert(!this.#isServer && !this.closing, "only a client that is not closing opens streams");
    this.#lastStreamId += 2;
    const { limits } = this;
    const stream = new Http2Stream(this.#lastStreamId, sink, limits.streamWindowBytes, this.#scheduler.streamWindow);
    this.#streams.set(stream.id, stream);
    this.sendHeaders(stream, block, endStream);
    return stream;
  }

  /** Client: ids are used up, or nearly; the connection must be replaced. */
  get exhausted(): boolean {
    return this.#lastStreamId > streamIdMax - 4;
  }

  sendHeaders(stream: Http2Stream, block: Uint8Array, endStream: boolean): void {
    if (stream.closed) return;
    this.#scheduler.sendHeaders(stream, block, endStream);
  }

  /** Room for `size` bytes of data: returns the offset in `target`. The stream must not be closed or ended. */
  reserveData(stream: Http2Stream, size: number): number {
    return this.#scheduler.reserveData(stream, size);
  }

  /** As `reserveData`, for the last data of the stream: END_STREAM goes with them. */
  reserveLastData(stream: Http2Stream, size: number): number {
    return this.#scheduler.reserveLastData(stream, size);
  }

  /** Where the last reserved bytes are to be written. */
  get target(): Uint8Array {
    return this.#scheduler.target;
  }

  /** The whole answer in one step, or −1: see `SendScheduler.reserveAnswer`. The stream is finished by it. */
  reserveAnswer(stream: Http2Stream, head: Uint8Array, size: number, tail: Uint8Array): number {
    const at = this.#scheduler.reserveAnswer(stream, head, size, tail);
    if (at >= 0) this.#onLocalEnd(stream);
    return at;
  }

  /** Ends our side of a stream behind what it has not sent yet. */
  endStream(stream: Http2Stream, trailers: Uint8Array | undefined): void {
    if (stream.closed || stream.localEnding) return;
    this.#scheduler.end(stream, trailers);
  }

  /** Whether a stream may still send: its unsent bytes and the connection's are below their caps. */
  withinCaps(stream: Http2Stream): boolean {
    return (
      stream.unsentBytes <= this.limits.unsentStreamBytesMax &&
      this.#scheduler.unsentBytes <= this.limits.unsentConnectionBytesMax
    );
  }

  /** Gives receive window back for bytes the handler is done with. */
  consume(stream: Http2Stream, bytes: number): void {
    this.#returnConnectionWindow(bytes);
    if (stream.remoteEnded || stream.closed) return;
    stream.unreturnedBytes += bytes;
    if (stream.unreturnedBytes >= this.#streamReturnBytes) {
      this.#writeWindowUpdate(stream.id, stream.unreturnedBytes);
      stream.receiveWindow += stream.unreturnedBytes;
      stream.unreturnedBytes = 0;
    }
  }

  /** Ends a stream at once, for reasons of our own; its sink is not told. */
  reset(stream: Http2Stream, code: ErrorCode): void {
    if (stream.closed) return;
    this.#writeReset(stream.id, code);
    this.#close(stream);
  }

  /** Ends a stream because the peer broke a rule on it; counts against the peer. The sink is told. */
  failStream(stream: Http2Stream, code: ErrorCode, why: string): void {
    this.#streamError(stream.id, code, why);
  }

  /** Ends the connection because the peer broke a rule. */
  fail(code: ErrorCode, why: string): void {
    if (this.#over) return;
    this.#writeGoAway(this.#lastServedId, code, why);
    this.#finish(`${errorName(code)}: ${why}`);
  }

  /** Lets open streams finish and takes no new ones, then ends the connection. */
  drain(): void {
    if (this.#over || this.#draining) return;
    this.#draining = true;
    if (this.#isServer) {
      // Streams that are on their way still count: only the answer to this PING closes the door for good.
      this.#writeGoAway(streamIdMax, ErrorCode.noError, "graceful_stop");
      this.#writePing(ping.drain);
    }
    this.#finishWhenDrained();
  }

  /** Says goodbye and ends the connection with all its streams. */
  close(why: string): void {
    if (this.#over) return;
    this.#writeGoAway(this.#lastServedId, ErrorCode.noError, "");
    this.#finish(why);
  }

  // --- frames ---

  #onFrame(type: number, flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#settingsSeen && (type !== FrameType.settings || (flags & Flag.ack) !== 0)) {
      this.fail(ErrorCode.protocolError, "the first frame is not SETTINGS");
      return false;
    }
    if (this.#assembly.streamId !== 0 && type !== FrameType.continuation) {
      this.fail(ErrorCode.protocolError, "a header block was interrupted");
      return false;
    }
    switch (type) {
      case FrameType.data:
        this.#onData(flags, streamId, bytes, start, end);
        break;
      case FrameType.headers:
        this.#onHeaders(flags, streamId, bytes, start, end);
        break;
      case FrameType.priority:
        this.#onPriority(streamId, bytes, start, end);
        break;
      case FrameType.resetStream:
        this.#onReset(streamId, bytes, start, end);
        break;
      case FrameType.settings:
        this.#onSettings(flags, streamId, bytes, start, end);
        break;
      case FrameType.pushPromise:
        this.fail(ErrorCode.protocolError, "PUSH_PROMISE is not allowed");
        break;
      case FrameType.ping:
        this.#onPing(flags, streamId, bytes, start, end);
        break;
      case FrameType.goAway:
        this.#onGoAway(streamId, bytes, start, end);
        break;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.continuation:
        this.#onContinuation(flags, streamId, bytes, start, end);
        break;
      default:
        // Unknown types are ignored. Source: RFC 9113 §4.1.
        this.#countIdleFrame();
    }
    return !this.#over;
  }

  #onFrameTooLarge(type: number, streamId: number): void {
    // Whatever the stream, the frame cannot be skipped safely: its size is the peer's claim. Source: RFC 9113 §4.2.
    this.fail(ErrorCode.frameSizeError, `frame of type ${type} on stream ${streamId} is too large`);
  }

  #onData(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (streamId === 0) return this.fail(ErrorCode.protocolError, "DATA on stream 0");
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) return this.fail(ErrorCode.flowControlError, "connection window exceeded");
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      const padding = bytes[start];
      if (padding === undefined || length === 0 || padding >= length) {
        return this.fail(ErrorCode.protocolError, "padding longer than the frame");
      }
      from++;
      to -= padding;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#onDataWithoutStream(streamId, length);
    if (stream.remoteEnded) {
      this.#returnConnectionWindow(length);
      return this.#streamError(streamId, ErrorCode.streamClosed, "DATA after END_STREAM");
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#returnConnectionWindow(length);
      return this.#streamError(streamId, ErrorCode.flowControlError, "stream window exceeded");
    }
    const endStream = (flags & Flag.endStream) !== 0;
    if (from === to && !endStream && !this.#countIdleFrame()) return;
    if (stream.contentBytesLeft >= 0) {
      stream.contentBytesLeft -= to - from;
      if (stream.contentBytesLeft < 0 || (endStream && stream.contentBytesLeft > 0)) {
        this.#returnConnectionWindow(length);
        return this.#streamError(streamId, ErrorCode.protocolError, "body does not match content-length");
      }
    }
    if (endStream) this.#remoteEnd(stream);
    // Padding is consumed by nobody else.
    if (to - from < length) this.consume(stream, length - (to - from));
    stream.sink.onData(bytes, from, to, endStream);
  }

  #onDataWithoutStream(streamId: number, length: number): void {
    if (this.#isIdle(streamId)) return this.fail(ErrorCode.protocolError, "DATA on an idle stream");
    this.#returnConnectionWindow(length);
    // What was sent before our reset reached the peer is not its fault.
    if (this.#resetIds.has(streamId) || streamId > this.#acceptsUpTo) return;
    this.#streamError(streamId, ErrorCode.streamClosed, "DATA on a closed stream");
  }

  #onHeaders(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.fail(ErrorCode.protocolError, "HEADERS on stream 0");
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
    if (from > to) return this.fail(ErrorCode.protocolError, "padding longer than the frame");
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) {
      this.#onBlock(streamId, bytes, from, to, endStream);
      return;
    }
    if (!this.#assembly.begin(streamId, endStream, bytes, from, to)) this.#onBlockTooLarge();
  }

  #onContinuation(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const assembly = this.#assembly;
    if (assembly.streamId === 0 || streamId !== assembly.streamId) {
      return this.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
    }
    if (!assembly.continue(bytes, start, end)) return this.#onBlockTooLarge();
    if ((flags & Flag.endHeaders) === 0) return;
    const block = assembly.finish();
    this.#onBlock(streamId, block, 0, block.length, assembly.endStream);
  }

  /** The rest cannot be decoded without it, so that the connection is over. */
  #onBlockTooLarge(): void {
    this.fail(ErrorCode.enhanceYourCalm, "header block too large");
  }

  #onBlock(streamId: number, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    // The block is decoded whatever becomes of it: the table must follow the peer's.
    const block = this.#decoder.decode(bytes, start, end);
    if (block === undefined) return this.fail(ErrorCode.compressionError, "bad header block");
    const known = this.#streams.get(streamId);
    if (known !== undefined) return this.#onFurtherBlock(known, block, endStream);
    if (this.#resetIds.has(streamId)) return;
    if (!this.#isServer) {
      if (streamId % 2 === 0 || this.#isIdle(streamId)) this.fail(ErrorCode.protocolError, "HEADERS on an idle stream");
      return;
    }
    if (streamId % 2 === 0) return this.fail(ErrorCode.protocolError, "a client's streams have odd numbers");
    if (streamId <= this.#lastStreamId) {
      const closed = streamId === this.#lastStreamId;
      return this.fail(
        closed ? ErrorCode.streamClosed : ErrorCode.protocolError,
        closed ? "HEADERS on a closed stream" : "stream numbers must grow",
      );
    }
    this.#lastStreamId = streamId;
    // Opened before the client saw our GOAWAY: it knows from there that nobody looks at this.
    if (streamId > this.#acceptsUpTo) return;
    this.#openPeerStream(streamId, block, endStream);
  }

  #openPeerStream(streamId: number, block: HeaderBlock, endStream: boolean): void {
    if (this.#blockSelfDependent) {
      return this.#streamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    }
    if (this.#streams.size >= this.limits.streamsMax) {
      return this.#streamError(streamId, ErrorCode.refusedStream, "too many streams");
    }
    if (block.truncated) return this.#streamError(streamId, ErrorCode.frameSizeError, "header list too large");
    const stream = new Http2Stream(streamId, idleSink, this.limits.streamWindowBytes, this.#scheduler.streamWindow);
    stream.remoteEnded = endStream;
    this.#streams.set(streamId, stream);
    this.#role.onStream(stream, block, endStream);
  }

  #onFurtherBlock(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void {
    if (stream.remoteEnded) return this.#streamError(stream.id, ErrorCode.streamClosed, "HEADERS after END_STREAM");
    if (this.#isServer && !endStream) {
      return this.#streamError(stream.id, ErrorCode.protocolError, "trailers without END_STREAM");
    }
    if (block.truncated) return this.#streamError(stream.id, ErrorCode.frameSizeError, "header list too large");
    if (endStream) {
      if (stream.contentBytesLeft > 0) {
        return this.#streamError(stream.id, ErrorCode.protocolError, "body does not match content-length");
      }
      this.#remoteEnd(stream);
    }
    stream.sink.onHeaders(block, endStream);
  }

  #onPriority(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.fail(ErrorCode.protocolError, "PRIORITY on stream 0");
    if (end - start !== 5) return this.#streamError(streamId, ErrorCode.frameSizeError, wrongLength);
    if (!this.#countIdleFrame()) return;
    if ((readUint32(bytes, start) & streamIdMax) === streamId) {
      this.#streamError(streamId, ErrorCode.protocolError, "a stream depends on itself");
    }
  }

  #onReset(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) return this.fail(ErrorCode.protocolError, "RST_STREAM on stream 0");
    if (end - start !== 4) return this.fail(ErrorCode.frameSizeError, wrongLength);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) this.fail(ErrorCode.protocolError, "RST_STREAM on an idle stream");
      return;
    }
    this.#close(stream);
    stream.sink.onClosed({ kind: "reset", code: readUint32(bytes, start) });
    this.#countReset();
  }

  #onSettings(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ErrorCode.protocolError, "SETTINGS on a stream");
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) this.fail(ErrorCode.frameSizeError, wrongLength);
      return;
    }
    if ((end - start) % 6 !== 0) return this.fail(ErrorCode.frameSizeError, wrongLength);
    if (this.#settingsSeen && !this.#countIdleFrame()) return;
    for (let at = start; at < end; at += 6) {
      if (!this.#setting(((bytes[at] as number) << 8) | (bytes[at + 1] as number), readUint32(bytes, at + 2))) return;
    }
    this.#settingsSeen = true;
    this.#control(FrameType.settings, Flag.ack, 0, 0);
    this.#role.onSettings();
  }

  #setting(id: number, value: number): boolean {
    switch (id) {
      case SettingId.headerTableSize:
        // We never use the peer's table; one smaller than the default has to be acknowledged in the next block.
        if (value < 4096) this.#scheduler.announceTableOff();
        return true;
      case SettingId.enablePush:
        if (value > 1 || (!this.#isServer && value !== 0)) {
          this.fail(ErrorCode.protocolError, "bad SETTINGS_ENABLE_PUSH");
          return false;
        }
        return true;
      case SettingId.maxConcurrentStreams:
        this.peerStreamsMax = value;
        return true;
      case SettingId.initialWindowSize:
        return this.#setInitialWindow(value);
      case SettingId.maxFrameSize:
        // Larger frames would let one stream hold up the others for longer: never used, only checked.
        if (value < framePayloadBytesMax || value > 0xff_ffff) {
          this.fail(ErrorCode.protocolError, "bad SETTINGS_MAX_FRAME_SIZE");
          return false;
        }
        return true;
      default:
        return true;
    }
  }

  #setInitialWindow(value: number): boolean {
    if (value > windowBytesMax) {
      this.fail(ErrorCode.flowControlError, "bad SETTINGS_INITIAL_WINDOW_SIZE");
      return false;
    }
    const change = value - this.#scheduler.streamWindow;
    this.#scheduler.streamWindow = value;
    if (change === 0) return true;
    for (const stream of this.#streams.values()) {
      if (!this.#scheduler.addStreamWindow(stream, change)) {
        this.fail(ErrorCode.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE overflows a window");
        return false;
      }
    }
    this.#wantFlush();
    return true;
  }

  #onPing(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ErrorCode.protocolError, "PING on a stream");
    if (end - start !== 8) return this.fail(ErrorCode.frameSizeError, wrongLength);
    if ((flags & Flag.ack) !== 0) {
      if (readUint32(bytes, start) === 0 && readUint32(bytes, start + 4) === ping.drain) this.#onDrainPing();
      else this.#countIdleFrame();
      return;
    }
    const at = this.#control(FrameType.ping, Flag.ack, 0, 8);
    this.#scheduler.target.set(bytes.subarray(start, end), at);
    if (!this.#isServer) {
      this.#countIdleFrame();
      return;
    }
    const { wrote } = this.#scheduler;
    this.#scheduler.wrote = false;
    if (!this.#pingPolicy.allows(this.nowMs, { wrote, streams: this.#streams.size })) {
      this.fail(ErrorCode.enhanceYourCalm, "too_many_pings");
    }
  }

  #onGoAway(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ErrorCode.protocolError, "GOAWAY on a stream");
    if (end - start < 8) return this.fail(ErrorCode.frameSizeError, wrongLength);
    this.#peerGoingAway = true;
    const code = readUint32(bytes, start + 4);
    const debug = latin1String(bytes, start + 8, Math.min(end, start + 8 + 1024));
    if (!this.#isServer) {
      const last = readUint32(bytes, start) & streamIdMax;
      for (const stream of this.#streams.values()) {
        if (stream.id <= last) continue;
        this.#close(stream);
        stream.sink.onClosed({ kind: "unprocessed" });
      }
    }
    this.#role.onGoAway(code, debug);
    this.#finishWhenDrained();
  }

  #onWindowUpdate(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== 4) return this.fail(ErrorCode.frameSizeError, wrongLength);
    const increment = readUint32(bytes, start) & windowBytesMax;
    if (streamId === 0) {
      if (increment === 0) return this.fail(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      if (!this.#scheduler.addConnectionWindow(increment)) {
        this.fail(ErrorCode.flowControlError, "connection window too large");
        return;
      }
    } else {
      const stream = this.#streams.get(streamId);
      if (stream === undefined) {
        if (this.#isIdle(streamId)) this.fail(ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream");
        return;
      }
      if (increment === 0) return this.#streamError(streamId, ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      if (!this.#scheduler.addStreamWindow(stream, increment)) {
        return this.#streamError(streamId, ErrorCode.flowControlError, "stream window too large");
      }
    }
    if (this.#scheduler.waiting) this.#wantFlush();
  }

  // --- streams ---

  /** What a GOAWAY says: the last of the peer's streams that was looked at. */
  get #lastServedId(): number {
    return this.#isServer ? Math.min(this.#lastStreamId, this.#acceptsUpTo) : 0;
  }

  /** Neither side has used this stream yet. */
  #isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.#lastStreamId;
  }

  #remoteEnd(stream: Http2Stream): void {
    stream.remoteEnded = true;
    if (stream.localEnded) this.#close(stream);
  }

  #onLocalEnd(stream: Http2Stream): void {
    if (stream.remoteEnded) this.#close(stream);
    else if (this.#isServer) {
      stream.sink = this.#discard(stream);
      if (stream.patient) stream.owedSinceMs = this.nowMs;
      else this.#lingering.push(stream);
    }
  }

  /** What comes after our answer is thrown away. */
  #discard(stream: Http2Stream): StreamSink {
    return { ...idleSink, onData: (_bytes, start, end) => this.consume(stream, end - start) };
  }

  /** A server that has answered before the client has ended tells it to stop. Source: RFC 9113 §8.1. */
  #resetLingering(): void {
    if (this.#lingering.length === 0) return;
    const lingering = this.#lingering;
    this.#lingering = [];
    for (const stream of lingering) if (!stream.closed) this.reset(stream, ErrorCode.noError);
  }

  #close(stream: Http2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.#streams.take(stream.id);
    if (stream.unsentBytes > 0 || stream.waitingHeaders !== undefined) this.#scheduler.drop(stream);
    if (this.closing) this.#finishWhenDrained();
    this.#role.onStreamClosed();
  }

  #streamError(streamId: number, code: ErrorCode, why: string): void {
    this.#writeReset(streamId, code);
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) {
      this.#close(stream);
      stream.sink.onClosed({ kind: "failed", code, why });
    }
    this.#countReset();
  }

  #countReset(): void {
    if (!this.#resets.take(this.nowMs)) this.fail(ErrorCode.enhanceYourCalm, "too many stream resets");
  }

  #countIdleFrame(): boolean {
    if (this.#idleFrames.take(this.nowMs)) return true;
    this.fail(ErrorCode.enhanceYourCalm, "too many frames without effect");
    return false;
  }

  // --- ends ---

  #onDrainPing(): void {
    if (!this.#draining || this.#acceptsUpTo !== streamIdMax) return;
    this.#acceptsUpTo = this.#lastStreamId;
    this.#writeGoAway(this.#lastStreamId, ErrorCode.noError, "");
    this.#finishWhenDrained();
  }

  #finishWhenDrained(): void {
    if (!this.closing || this.#over || this.#streams.size > 0) return;
    if (this.#isServer && this.#draining && this.#acceptsUpTo === streamIdMax && !this.#peerGoingAway) return;
    this.#finish(this.#peerGoingAway ? "the peer went away" : "drained");
  }

  #finish(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#overWhy = why;
    this.#timers.cancel(this.#sweep);
    const closure: StreamClosure = { kind: "lost", why };
    for (const stream of this.#streams.values()) {
      this.#close(stream);
      stream.sink.onClosed(closure);
    }
    this.#lingering = [];
    this.#role.onOver(why);
    this.#wantFlush();
  }

  /** Why it is over. */
  get overWhy(): string {
    return this.#overWhy;
  }

  // --- time ---

  #onSweep(nowMs: number): void {
    this.nowMs = nowMs;
    this.#timers.schedule(this.#sweep, nowMs + this.#sweepIntervalMs);
    const { limits } = this;
    if (!this.#settingsSeen) {
      if (nowMs - this.#startedMs >= limits.prefaceTimeoutMs)
        this.fail(ErrorCode.settingsTimeout, "no SETTINGS in time");
      return;
    }
    if (this.#unfinishedSinceMs >= 0 && nowMs - this.#unfinishedSinceMs >= limits.headersTimeoutMs) {
      return this.fail(ErrorCode.enhanceYourCalm, "a frame was not finished in time");
    }
    if (limits.bodyTimeoutMs > 0) this.#sweepStreams(nowMs);
    this.#sweepKeepalive(nowMs);
  }

  #sweepStreams(nowMs: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.owedSinceMs >= 0 && nowMs - stream.owedSinceMs >= this.limits.bodyTimeoutMs && !stream.closed) {
        this.#streamError(stream.id, ErrorCode.cancel, "the message was not finished in time");
      }
    }
  }

  #sweepKeepalive(nowMs: number): void {
    const { keepalive } = this.limits;
    if (this.#over || keepalive.intervalMs === 0) return;
    if (this.#keepaliveSentMs >= 0) {
      if (keepalive.timeoutMs > 0 && nowMs - this.#keepaliveSentMs >= keepalive.timeoutMs) {
        this.#finish("keepalive ping not acked within timeout");
      }
      return;
    }
    if (nowMs - this.#lastReadMs < keepalive.intervalMs) return;
    if (!this.#isServer && this.#streams.size === 0 && !keepalive.permitWithoutStream) return;
    this.#keepaliveSentMs = nowMs;
    this.#writePing(ping.keepalive);
  }

  // --- output ---

  #wantFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    this.#role.onOutput();
  }

  /** Reserves a control frame and returns where its payload goes in the scheduler's target. */
  #control(type: number, flags: number, streamId: number, payloadBytes: number): number {
    const at = this.#scheduler.reserveControl(frameHeaderBytes + payloadBytes);
    writeFrameHeader(this.#scheduler.target, at, payloadBytes, type, flags, streamId);
    this.#scheduler.target.fill(0, at + frameHeaderBytes, at + frameHeaderBytes + payloadBytes);
    return at + frameHeaderBytes;
  }

  #returnConnectionWindow(bytes: number): void {
    this.#unreturnedBytes += bytes;
    if (this.#unreturnedBytes < this.#connectionReturnBytes) return;
    this.#writeWindowUpdate(0, this.#unreturnedBytes);
    this.#receiveWindow += this.#unreturnedBytes;
    this.#unreturnedBytes = 0;
  }

  #writeWindowUpdate(streamId: number, bytes: number): void {
    const at = this.#control(FrameType.windowUpdate, 0, streamId, 4);
    writeUint32(this.#scheduler.target, at, bytes);
  }

  #writeReset(streamId: number, code: ErrorCode): void {
    if (this.#resetIds.size >= remembersResetsMax) {
      for (const oldest of this.#resetIds) {
        this.#resetIds.delete(oldest);
        break;
      }
    }
    this.#resetIds.add(streamId);
    const at = this.#control(FrameType.resetStream, 0, streamId, 4);
    writeUint32(this.#scheduler.target, at, code);
  }

  #writePing(purpose: PingPurpose): void {
    const at = this.#control(FrameType.ping, 0, 0, 8);
    writeUint32(this.#scheduler.target, at + 4, purpose);
  }

  #writeGoAway(lastStreamId: number, code: ErrorCode, debug: string): void {
    const text = latin1Bytes(debug);
    const at = this.#control(FrameType.goAway, 0, 0, 8 + text.length);
    writeUint32(this.#scheduler.target, at, lastStreamId);
    writeUint32(this.#scheduler.target, at + 4, code);
    this.#scheduler.target.set(text, at + 8);
  }
}

/** How often to look at timeouts: a quarter of the shortest, so that none is late by more. */
function sweepInterval(limits: ConnectionLimits): number {
  const times = [limits.prefaceTimeoutMs, limits.headersTimeoutMs, limits.bodyTimeoutMs];
  times.push(limits.keepalive.intervalMs, limits.keepalive.timeoutMs);
  return Math.max(8, Math.min(5000, Math.min(...times.filter((time) => time > 0)) / 4));
}
