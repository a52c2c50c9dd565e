/**
 * The state machine of one HTTP/2 connection, for both roles: bytes in, bytes out, time passed in. It keeps the
 * protocol's rules and limits, and hands header blocks and data to the sinks of its streams; what they mean is the
 * role's business. Source: RFC 9113.
 */
import { assert } from "./assert.js";
import { ConnectionTimeouts } from "./connection-timeouts.js";
import { ControlFrames, pingPurpose } from "./control-frames.js";
import { FrameReader } from "./frame-reader.js";
import type { HeaderBlock } from "./hpack-decoder.js";
import type { ConnectionLimits } from "./limits.js";
import type { ChunkPool, OutputChunk } from "./output.js";
import { applySettings } from "./peer-settings.js";
import { PingPolicy } from "./ping-policy.js";
import {
  clientPreface,
  ErrorCode,
  errorName,
  Flag,
  FrameType,
  initialWindowBytes,
  readUint32,
  SettingId,
  streamIdMax,
  windowBytesMax,
} from "./protocol.js";
import { ReceiveWindows } from "./receive-windows.js";
import { SendScheduler } from "./send-scheduler.js";
import { Http2Stream, idleSink, type StreamClosure, type StreamSink } from "./stream.js";
import { StreamFrames, wrongLength } from "./stream-frames.js";
import { StreamTable } from "./stream-table.js";
import { latin1String } from "./text.js";
import type { TimerWheel } from "./timer-wheel.js";
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
  readonly #reader: FrameReader;
  readonly #scheduler: SendScheduler;
  readonly #control: ControlFrames;
  readonly #windows: ReceiveWindows;
  readonly #table: StreamTable;
  readonly #streamFrames: StreamFrames;
  readonly #timeouts: ConnectionTimeouts;
  readonly #resets: TokenBucket;
  readonly #idleFrames: TokenBucket;
  readonly #pingPolicy: PingPolicy;

  #prefaceBytesRead: number;
  #settingsSeen = false;
  #over = false;
  #overWhy = "";
  #flushWanted = false;
  #draining = false;
  #peerGoingAway = false;
  /** Streams we have ended while the peer has not; they are reset at the next flush if it has not by then. */
  #lingering: Http2Stream[] = [];

  constructor(role: ConnectionRole, config: ConnectionConfig) {
    const { limits, timers } = config;
    const isServer = config.role === "server";
    this.#role = role;
    this.#isServer = isServer;
    this.limits = limits;
    this.nowMs = timers.nowMs;
    this.#reader = new FrameReader({
      onFrame: (type, flags, streamId, bytes, start, end) => this.#onFrame(type, flags, streamId, bytes, start, end),
      onFrameTooLarge: (type, streamId) => this.#onFrameTooLarge(type, streamId),
    });
    const scheduler = new SendScheduler(
      { onOutput: () => this.#wantFlush(), onLocalEnd: (stream) => this.#onLocalEnd(stream) },
      limits,
      config.pool,
    );
    this.#scheduler = scheduler;
    this.#control = new ControlFrames(scheduler);
    this.#windows = new ReceiveWindows(limits, this.#control);
    this.#table = new StreamTable(isServer ? 0 : -1);
    this.#streamFrames = new StreamFrames(
      {
        onStream: (stream, block, endStream) => role.onStream(stream, block, endStream),
        onRemoteEnd: (stream) => this.#onRemoteEnd(stream),
        closeStream: (stream) => this.#close(stream),
        streamError: (streamId, code, why) => this.#streamError(streamId, code, why),
        fail: (code, why) => this.fail(code, why),
        countReset: () => this.#countReset(),
        countIdleFrame: () => this.#countIdleFrame(),
      },
      { isServer, limits, table: this.#table, windows: this.#windows, scheduler },
    );
    this.#timeouts = new ConnectionTimeouts(this, { limits, timers, isServer });
    this.#resets = new TokenBucket(limits.resetBurst, limits.resetsPerSecond, this.nowMs);
    this.#idleFrames = new TokenBucket(limits.idleFrameBurst, limits.idleFramesPerSecond, this.nowMs);
    this.#prefaceBytesRead = isServer && config.expectPreface !== false ? 0 : clientPreface.length;
    this.#pingPolicy = new PingPolicy(limits.keepalive);
  }

  /** Sends our side of the preface and starts the clock. */
  start(): void {
    if (!this.#isServer) this.#control.preface();
    const { limits } = this;
    const settings: [id: number, value: number][] = [[SettingId.initialWindowSize, limits.streamWindowBytes]];
    settings.push([SettingId.maxHeaderListSize, limits.headerListBytesMax]);
    if (limits.headerTableBytesMax !== 4096) settings.push([SettingId.headerTableSize, limits.headerTableBytesMax]);
    if (this.#isServer) settings.push([SettingId.maxConcurrentStreams, limits.streamsMax]);
    else settings.push([SettingId.enablePush, 0]);
    this.#control.settings(settings);
    const more = limits.connectionWindowBytes - initialWindowBytes;
    if (more > 0) this.#control.windowUpdate(0, more);
    this.#timeouts.start();
  }

  // --- for the adapter ---

  /** Takes what the socket received. The bytes are not kept. */
  receive(chunk: Uint8Array, nowMs: number): void {
    this.nowMs = nowMs;
    if (this.#over) return;
    this.#timeouts.received(nowMs);
    let at = 0;
    while (this.#prefaceBytesRead < clientPreface.length && at < chunk.length) {
      if (chunk[at++] !== clientPreface[this.#prefaceBytesRead++]) {
        this.fail(ErrorCode.protocolError, "bad connection preface");
        return;
      }
    }
    this.#reader.push(chunk, at);
    this.#timeouts.readUpTo(this.#reader, this.#streamFrames.midBlock, nowMs);
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
    return this.#table.size;
  }

  /** No new streams: we drain, the peer goes away, or it is over. */
  get closing(): boolean {
    return this.#over || this.#draining || this.#peerGoingAway;
  }

  /** Client: opens a stream. The caller keeps to `peerStreamsMax`. */
  open(sink: StreamSink, block: Uint8Array, endStream: boolean): Http2Stream {
    assert(!this.#isServer && !this.closing, "only a client that is not closing opens streams");
    this.#table.lastId += 2;
    const { lastId } = this.#table;
    const stream = new Http2Stream(lastId, sink, this.limits.streamWindowBytes, this.#scheduler.streamWindow);
    this.#table.add(stream);
    this.sendHeaders(stream, block, endStream);
    return stream;
  }

  /** Client: ids are used up, or nearly; the connection must be replaced. */
  get exhausted(): boolean {
    return this.#table.lastId > streamIdMax - 4;
  }

  sendHeaders(stream: Http2Stream, block: Uint8Array, endStream: boolean): void {
    if (stream.closed) return;
    this.#scheduler.sendHeaders(stream, block, endStream);
  }

  /** Room for `size` bytes of data: returns the offset in `target`. The stream must not be closed or ended. */
  reserveData(stream: Http2Stream, size: number): number {
    return this.#scheduler.reserveData(stream, size);
  }

  /** Queues data that are the connection's from now on, without a copy. */
  give(stream: Http2Stream, bytes: Uint8Array): void {
    this.#scheduler.give(stream, bytes);
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
    this.#windows.consume(stream, bytes);
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
    this.#control.goAway(this.#lastServedId, code, why);
    this.#finish(`${errorName(code)}: ${why}`);
  }

  /** Lets open streams finish and takes no new ones, then ends the connection. */
  drain(): void {
    if (this.#over || this.#draining) return;
    this.#draining = true;
    if (this.#isServer) {
      // Streams that are on their way still count: only the answer to this PING closes the door for good.
      this.#control.goAway(streamIdMax, ErrorCode.noError, "graceful_stop");
      this.#control.ping(pingPurpose.drain);
    }
    this.#finishWhenDrained();
  }

  /** Says goodbye and ends the connection with all its streams. */
  close(why: string): void {
    if (this.#over) return;
    this.#control.goAway(this.#lastServedId, ErrorCode.noError, "");
    this.#finish(why);
  }

  // --- frames ---

  #onFrame(type: number, flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#settingsSeen && (type !== FrameType.settings || (flags & Flag.ack) !== 0)) {
      this.fail(ErrorCode.protocolError, "the first frame is not SETTINGS");
      return false;
    }
    if (this.#streamFrames.midBlock && type !== FrameType.continuation) {
      this.fail(ErrorCode.protocolError, "a header block was interrupted");
      return false;
    }
    switch (type) {
      case FrameType.data:
        this.#streamFrames.onData(flags, streamId, bytes, start, end);
        break;
      case FrameType.headers:
        this.#streamFrames.onHeaders(flags, streamId, bytes, start, end);
        break;
      case FrameType.priority:
        this.#streamFrames.onPriority(streamId, bytes, start, end);
        break;
      case FrameType.resetStream:
        this.#streamFrames.onReset(streamId, bytes, start, end);
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
        this.#streamFrames.onContinuation(flags, streamId, bytes, start, end);
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

  #onSettings(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ErrorCode.protocolError, "SETTINGS on a stream");
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) this.fail(ErrorCode.frameSizeError, wrongLength);
      return;
    }
    if ((end - start) % 6 !== 0) return this.fail(ErrorCode.frameSizeError, wrongLength);
    if (this.#settingsSeen && !this.#countIdleFrame()) return;
    const target = {
      announceTableOff: () => this.#scheduler.announceTableOff(),
      setPeerStreamsMax: (count: number) => {
        this.peerStreamsMax = count;
      },
      setInitialWindow: (size: number) => this.#setInitialWindow(size),
      fail: (code: ErrorCode, why: string) => this.fail(code, why),
    };
    if (!applySettings(target, { bytes, start, end, isServer: this.#isServer })) return;
    this.#settingsSeen = true;
    this.#control.settingsAck();
    this.#role.onSettings();
  }

  #setInitialWindow(value: number): boolean {
    const change = value - this.#scheduler.streamWindow;
    this.#scheduler.streamWindow = value;
    if (change === 0) return true;
    for (const stream of this.#table.list()) {
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
      if (readUint32(bytes, start) === 0 && readUint32(bytes, start + 4) === pingPurpose.drain) this.#onDrainPing();
      else this.#countIdleFrame();
      return;
    }
    this.#control.pingAck(bytes, start, end);
    if (!this.#isServer) {
      this.#countIdleFrame();
      return;
    }
    const { wrote } = this.#scheduler;
    this.#scheduler.wrote = false;
    if (!this.#pingPolicy.allows(this.nowMs, { wrote, streams: this.#table.size })) {
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
      for (const stream of this.#table.list()) {
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
      const stream = this.#table.get(streamId);
      if (stream === undefined) {
        if (this.#table.isIdle(streamId)) this.fail(ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream");
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
    return this.#isServer ? Math.min(this.#table.lastId, this.#table.acceptsUpTo) : 0;
  }

  #onRemoteEnd(stream: Http2Stream): void {
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
    this.#table.remove(stream);
    if (stream.unsentBytes > 0 || stream.waitingHeaders !== undefined) this.#scheduler.drop(stream);
    if (this.closing) this.#finishWhenDrained();
    this.#role.onStreamClosed();
  }

  #streamError(streamId: number, code: ErrorCode, why: string): void {
    this.#writeReset(streamId, code);
    const stream = this.#table.get(streamId);
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
    if (!this.#draining || this.#table.acceptsUpTo !== streamIdMax) return;
    this.#table.acceptsUpTo = this.#table.lastId;
    this.#control.goAway(this.#table.lastId, ErrorCode.noError, "");
    this.#finishWhenDrained();
  }

  #finishWhenDrained(): void {
    if (!this.closing || this.#over || this.#table.size > 0) return;
    if (this.#isServer && this.#draining && this.#table.acceptsUpTo === streamIdMax && !this.#peerGoingAway) return;
    this.#finish(this.#peerGoingAway ? "the peer went away" : "drained");
  }

  #finish(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#overWhy = why;
    this.#timeouts.stop();
    const closure: StreamClosure = { kind: "lost", why };
    for (const stream of this.#table.list()) {
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

  // --- for the timeouts ---

  /** The peer's first SETTINGS have come. */
  get greeted(): boolean {
    return this.#settingsSeen;
  }

  /** Ends the streams whose next bytes have been owed since `sinceMs` or longer. */
  failOwing(sinceMs: number): void {
    for (const stream of this.#table.list()) {
      if (stream.owedSinceMs >= 0 && stream.owedSinceMs <= sinceMs && !stream.closed) {
        this.#streamError(stream.id, ErrorCode.cancel, "the message was not finished in time");
      }
    }
  }

  sendKeepalive(): void {
    this.#control.ping(pingPurpose.keepalive);
  }

  // --- output ---

  #wantFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    this.#role.onOutput();
  }

  #writeReset(streamId: number, code: ErrorCode): void {
    this.#table.rememberReset(streamId);
    this.#control.reset(streamId, code);
  }
}
