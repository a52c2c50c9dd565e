/** A gRPC call as its handler sees it, on an HTTP/2 stream. */
import {
  type CallObserver,
  type MessageWriter,
  type MetadataEntries,
  type PeerInfo,
  type ServerCall,
  type Status,
  StatusCode,
  type StreamReceiver,
  sizeOfPieces,
} from "../call.js";
import type { Http2Connection } from "./connection.js";
import { type AnswerHead, answerHead, okFrame, trailersBlock, trailersOnlyBlock } from "./grpc-answer.js";
import type { GrpcRequest } from "./grpc-request.js";
import type { HeaderBlock } from "./hpack-decoder.js";
import { parseTrailers } from "./message-head.js";
import { type Gunzip, MessageReader, messagePrefixBytes } from "./message-reader.js";
import { ErrorCode, readUint32, writeUint32 } from "./protocol.js";
import type { Http2Stream, StreamClosure, StreamSink } from "./stream.js";
import type { TimerEntry, TimerWheel } from "./timer-wheel.js";

export interface ServerCallConfig {
  readonly connection: Http2Connection;
  readonly timers: TimerWheel;
  readonly gunzip: Gunzip | undefined;
  readonly peer: PeerInfo;
}

const deadlineStatus: Status = { code: StatusCode.deadlineExceeded, message: "context deadline exceeded" };
const okStatus: Status = { code: StatusCode.ok, message: "" };
const cancelStatus: Status = { code: StatusCode.cancelled, message: "context canceled" };

export class GrpcServerCall implements ServerCall, StreamSink, TimerEntry {
  ended = false;
  // For the timer wheel.
  deadlineMs = 0;
  previousTimer: TimerEntry | undefined = undefined;
  nextTimer: TimerEntry | undefined = undefined;

  readonly #config: ServerCallConfig;
  readonly #stream: Http2Stream;
  readonly #request: GrpcRequest;
  readonly #head: AnswerHead;
  #headersSent = false;
  /** Made when a message does not lie whole in one frame. */
  #reader: MessageReader | undefined;
  #receiver: StreamReceiver | undefined;
  /** The request message of a unary call has been handed on. */
  #requestSeen = false;
  #paused = false;
  #delivering = false;
  #halfCloseDue = false;
  /** Received bytes whose window has not been given back. */
  #unconsumedBytes = 0;
  /** What the connection counts as held for this call. */
  #countedBytes = 0;
  /** Of a call that was handed to its handler and has not ended. */
  #observer: CallObserver | undefined;
  #startedAt = 0;
  #cancelCallback: ((status: Status) => void) | undefined;
  #drainCallback: (() => void) | undefined;

  constructor(config: ServerCallConfig, stream: Http2Stream, request: GrpcRequest) {
    this.#config = config;
    this.#stream = stream;
    this.#request = request;
    this.#head = answerHead(request.contentType);
  }

  /** Hands the call to its handler. */
  start(endStream: boolean): void {
    const { handler, timeoutMs } = this.#request;
    const { connection, timers } = this.#config;
    if (timeoutMs !== undefined) timers.schedule(this, connection.nowMs + timeoutMs);
    if (handler.kind === "stream") {
      this.#observe(handler.observer);
      this.#receiver = handler.open(this);
    } else this.#stream.owedSinceMs = connection.nowMs;
    if (endStream) this.#halfClose();
  }

  // --- ServerCall ---

  get path(): string {
    return this.#request.path;
  }

  get metadata(): MetadataEntries {
    return this.#request.metadata;
  }

  get peer(): PeerInfo {
    return this.#config.peer;
  }

  get timeoutMs(): number | undefined {
    return this.#request.timeoutMs;
  }

  get unsentBytes(): number {
    return this.#stream.unsentBytes;
  }

  header(name: string): string | undefined {
    for (const [key, value] of this.#request.metadata) {
      if (key === name && typeof value === "string") return value;
    }
    return undefined;
  }

  send(sizeBytes: number, write: MessageWriter): boolean {
    if (this.ended) return false;
    this.#observer?.sent(sizeBytes);
    return this.#send(sizeBytes, write);
  }

  sendPieces(pieces: readonly Uint8Array[]): boolean {
    if (this.ended) return false;
    const sizeBytes = sizeOfPieces(pieces);
    this.#observer?.sent(sizeBytes);
    return this.#givePieces(sizeBytes, pieces);
  }

  #givePieces(sizeBytes: number, pieces: readonly Uint8Array[]): boolean {
    if (!this.#maySend(sizeBytes)) return false;
    if (!this.#headersSent) this.#sendHeaders();
    const { connection } = this.#config;
    const at = connection.reserveData(this.#stream, messagePrefixBytes);
    writePrefix(connection.target, at, sizeBytes);
    for (const piece of pieces) connection.give(this.#stream, piece);
    return !this.#stream.choked;
  }

  #send(sizeBytes: number, write: MessageWriter): boolean {
    if (!this.#maySend(sizeBytes)) return false;
    if (!this.#headersSent) this.#sendHeaders();
    this.#writeMessage(sizeBytes, write);
    return !this.#stream.choked;
  }

  respond(sizeBytes: number, write: MessageWriter): void {
    if (this.ended) return;
    if (this.#observer !== undefined) {
      this.#observer.sent(sizeBytes);
      // Whatever becomes of the message, the handler's answer was a good one.
      this.#observeEnd(StatusCode.ok);
    }
    const { connection } = this.#config;
    if (!this.#headersSent && sizeBytes <= connection.limits.sendMessageBytesMax) {
      const at = connection.reserveAnswer(this.#stream, this.#head.frame, sizeBytes + messagePrefixBytes, okFrame);
      if (at >= 0) {
        this.#finish(StatusCode.ok);
        writeMessage(connection.target, at, sizeBytes, write);
        return;
      }
    }
    this.#send(sizeBytes, write);
    this.end(okStatus);
  }

  respondPieces(pieces: readonly Uint8Array[]): void {
    if (this.ended) return;
    const sizeBytes = sizeOfPieces(pieces);
    this.#observer?.sent(sizeBytes);
    this.#observeEnd(StatusCode.ok);
    this.#givePieces(sizeBytes, pieces);
    this.end(okStatus);
  }

  end(status: Status): void {
    if (this.ended) return;
    this.#finish(status.code);
    const { connection } = this.#config;
    if (this.#headersSent) connection.endStream(this.#stream, trailersBlock(status));
    else connection.sendHeaders(this.#stream, trailersOnlyBlock(this.#head, status), true);
  }

  pauseReceiving(): void {
    this.#paused = true;
  }

  resumeReceiving(): void {
    if (!this.#paused || this.ended) return;
    this.#paused = false;
    if (this.#delivering) return;
    this.#delivering = true;
    const wrong = this.#reader?.resume(this);
    this.#delivering = false;
    this.#settle(wrong);
  }

  onCancel(callback: (status: Status) => void): void {
    this.#cancelCallback = callback;
  }

  onDrain(callback: () => void): void {
    this.#drainCallback = callback;
  }

  // --- StreamSink ---

  onHeaders(block: HeaderBlock): void {
    // Only trailers can come here; gRPC clients send none, and what they say is of no interest.
    if (parseTrailers(block) === undefined) {
      this.#config.connection.failStream(this.#stream, ErrorCode.protocolError, "malformed trailers");
      return;
    }
    if (!this.ended) this.#halfClose();
  }

  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const size = end - start;
    this.#unconsumedBytes += size;
    if (this.#reader === undefined && !this.#paused && isWholeMessage(bytes, start, end, this.#sizeMax)) {
      this.#delivering = true;
      this.onMessage(bytes.subarray(start + messagePrefixBytes, end));
      this.#delivering = false;
      if (endStream) this.#halfCloseDue = true;
      this.#settle(undefined);
      return;
    }
    this.#onPartialData(bytes, start, end, endStream);
  }

  onClosed(closure: StreamClosure): void {
    if (this.ended) return;
    const status = closure.kind === "failed" ? { code: StatusCode.internal, message: closure.why } : cancelStatus;
    this.#finish(status.code);
    this.#cancelCallback?.(status);
  }

  onWritable(): void {
    if (!this.ended) this.#drainCallback?.();
  }

  // --- MessageSink ---

  onMessage(message: Uint8Array): boolean {
    const { handler } = this.#request;
    if (handler.kind === "stream") {
      this.#observer?.received(message.length);
      this.#receiver?.onMessage(message);
    } else if (!this.#requestSeen) {
      this.#requestSeen = true;
      this.#stream.owedSinceMs = -1;
      this.#observe(handler.observer);
      this.#observer?.received(message.length);
      handler.handle(this, message);
    }
    return !this.#paused && !this.ended;
  }

  // --- TimerEntry ---

  onDeadline(): void {
    if (this.ended) return;
    // Trailers behind data that the client does not read would not reach it.
    if (this.#stream.unsentBytes === 0) this.end(deadlineStatus);
    else this.#abort(ErrorCode.cancel, deadlineStatus.code);
    this.#cancelCallback?.(deadlineStatus);
  }

  #observe(observer: CallObserver | undefined): void {
    if (observer === undefined) return;
    this.#observer = observer;
    this.#startedAt = observer.started(this);
  }

  #observeEnd(code: StatusCode): void {
    if (this.#observer === undefined) return;
    this.#observer.ended(code, this.#startedAt);
    this.#observer = undefined;
  }

  // --- receiving ---

  get #sizeMax(): number {
    return this.#config.connection.limits.receiveMessageBytesMax;
  }

  #onPartialData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.#reader ??= new MessageReader({
      sizeMax: this.#sizeMax,
      encoding: this.#request.encoding,
      gunzip: this.#config.gunzip,
      server: true,
    });
    if (endStream) this.#halfCloseDue = true;
    let wrong: Status | undefined;
    if (this.#paused) this.#reader.hold(bytes, start, end);
    else {
      this.#delivering = true;
      wrong = this.#reader.push(bytes, start, end, this);
      this.#delivering = false;
    }
    this.#settle(wrong);
  }

  /** After messages have been handed on: windows, limits, the end. */
  #settle(wrong: Status | undefined): void {
    const { connection } = this.#config;
    if (this.ended) {
      this.#giveBack();
      return;
    }
    if (wrong !== undefined) {
      this.#refuse(wrong);
      return;
    }
    this.#countHeld();
    if (this.ended || this.#paused) return;
    this.#giveBack();
    const held = this.#reader?.heldBytes ?? 0;
    const owes = this.#request.handler.kind === "stream" ? held > 0 : !this.#requestSeen;
    if (!owes) this.#stream.owedSinceMs = -1;
    else if (this.#stream.owedSinceMs < 0) this.#stream.owedSinceMs = connection.nowMs;
    if (this.#halfCloseDue) this.#halfClose();
  }

  #giveBack(): void {
    if (this.#unconsumedBytes === 0) return;
    this.#config.connection.consume(this.#stream, this.#unconsumedBytes);
    this.#unconsumedBytes = 0;
  }

  #countHeld(): void {
    const { connection } = this.#config;
    const held = this.#reader?.heldBytes ?? 0;
    connection.partialMessageBytes += held - this.#countedBytes;
    this.#countedBytes = held;
    if (connection.partialMessageBytes > connection.limits.partialMessageBytesMax) {
      this.#refuse({ code: StatusCode.resourceExhausted, message: "grpc: too many unfinished messages" });
    }
  }

  #halfClose(): void {
    this.#halfCloseDue = false;
    this.#stream.owedSinceMs = -1;
    const { handler } = this.#request;
    // grpc-go does not look at less than a whole prefix.
    if ((this.#reader?.heldBytes ?? 0) >= messagePrefixBytes) {
      const code = handler.kind === "stream" ? StatusCode.internal : StatusCode.unknown;
      this.#refuse({ code, message: "unexpected EOF" });
    } else if (handler.kind === "stream") this.#receiver?.onHalfClose();
    else if (!this.#requestSeen) this.#refuse({ code: StatusCode.unknown, message: "EOF" });
  }

  /** Ends the call for what the client has sent, and tells the handler if it knows of the call. */
  #refuse(status: Status): void {
    this.end(status);
    if (this.#requestSeen || this.#receiver !== undefined) this.#cancelCallback?.(status);
  }

  // --- sending ---

  /** False when the call had to be ended instead. */
  #maySend(sizeBytes: number): boolean {
    const { connection } = this.#config;
    const sizeMax = connection.limits.sendMessageBytesMax;
    if (sizeBytes > sizeMax) {
      const message = `grpc: trying to send message larger than max (${sizeBytes} vs. ${sizeMax})`;
      this.end({ code: StatusCode.resourceExhausted, message });
      return false;
    }
    if (connection.withinCaps(this.#stream)) return true;
    this.#abort(ErrorCode.enhanceYourCalm, StatusCode.resourceExhausted);
    this.#cancelCallback?.({ code: StatusCode.resourceExhausted, message: "the client does not read fast enough" });
    return false;
  }

  #abort(code: ErrorCode, status: StatusCode): void {
    this.#finish(status);
    this.#config.connection.reset(this.#stream, code);
  }

  #sendHeaders(): void {
    this.#headersSent = true;
    this.#config.connection.sendHeaders(this.#stream, this.#head.block, false);
  }

  #writeMessage(sizeBytes: number, write: MessageWriter): void {
    const { connection } = this.#config;
    const at = connection.reserveData(this.#stream, sizeBytes + messagePrefixBytes);
    writeMessage(connection.target, at, sizeBytes, write);
  }

  #finish(code: StatusCode): void {
    this.ended = true;
    this.#observeEnd(code);
    const { connection, timers } = this.#config;
    timers.cancel(this);
    connection.partialMessageBytes -= this.#countedBytes;
    this.#countedBytes = 0;
    this.#stream.owedSinceMs = -1;
    if (!this.#delivering) this.#giveBack();
  }
}

/** Writes the length prefix and the message. The target is read first: the writer may cause other output. */
export function writeMessage(target: Uint8Array, at: number, sizeBytes: number, write: MessageWriter): void {
  writePrefix(target, at, sizeBytes);
  write(target, at + messagePrefixBytes);
}

function writePrefix(target: Uint8Array, at: number, sizeBytes: number): void {
  target[at] = 0;
  writeUint32(target, at + 1, sizeBytes);
}

/** The usual case: a frame that is exactly one plain message within the limit. */
export function isWholeMessage(bytes: Uint8Array, start: number, end: number, sizeMax: number): boolean {
  const size = end - start - messagePrefixBytes;
  return size >= 0 && bytes[start] === 0 && readUint32(bytes, start + 1) === size && size <= sizeMax;
}
