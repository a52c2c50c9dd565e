/** A gRPC call as its client sees it, on an HTTP/2 stream. */
import { type MessageWriter, type Status, StatusCode } from "../call.js";
import type { CancelSignal, ClientCall, ClientCallOptions, ClientReceiver, ClientStatus } from "../client-call.js";
import type { Http2Connection } from "./connection.js";
import { type AnswerHeaders, readAnswerHeaders, readTrailers, statusOfResetCode } from "./grpc-response.js";
import type { HeaderBlock } from "./hpack-decoder.js";
import { parseResponse, parseTrailers, type ResponseHead } from "./message-head.js";
import { type Gunzip, MessageReader, messagePrefixBytes } from "./message-reader.js";
import { ErrorCode } from "./protocol.js";
import { isWholeMessage, writeMessage } from "./server-call.js";
import type { Http2Stream, StreamClosure, StreamSink } from "./stream.js";
import { slotMs, type TimerEntry, type TimerWheel } from "./timer-wheel.js";

export interface ClientCallConfig {
  readonly connection: Http2Connection;
  readonly timers: TimerWheel;
  readonly gunzip: Gunzip | undefined;
}

const cancelStatus: Status = { code: StatusCode.cancelled, message: "context canceled" };
const deadlineStatus: Status = { code: StatusCode.deadlineExceeded, message: "context deadline exceeded" };

/** What a header block of an answer came to. Kept as the block's memo. */
interface Judged {
  readonly head: ResponseHead;
  readonly headers: AnswerHeaders;
}

export class GrpcClientCall implements ClientCall, StreamSink, TimerEntry {
  ended = false;
  // For the timer wheel.
  deadlineMs = 0;
  previousTimer: TimerEntry | undefined = undefined;
  nextTimer: TimerEntry | undefined = undefined;

  readonly #config: ClientCallConfig;
  readonly #receiver: ClientReceiver;
  readonly #sizeMax: number;
  /** Undefined while the call waits for its turn. */
  #stream: Http2Stream | undefined;
  /** What was sent before the stream was opened. */
  #early: { readonly bytes: Uint8Array; readonly last: boolean }[] = [];
  #halfClosed = false;
  #headersSeen = false;
  #encoding: string | undefined;
  #reader: MessageReader | undefined;
  #paused = false;
  #delivering = false;
  #unconsumedBytes = 0;
  /** The server's status, which waits for messages that are held back. */
  #statusDue: Status | undefined;
  #signal: CancelSignal | undefined;
  readonly #onAbort = (): void => this.cancel();

  constructor(config: ClientCallConfig, options: ClientCallOptions, receiver: ClientReceiver) {
    this.#config = config;
    this.#receiver = receiver;
    this.#sizeMax = options.receiveMessageBytesMax ?? config.connection.limits.receiveMessageBytesMax;
    this.#signal = options.signal;
  }

  /** Watches the signal and the deadline. */
  arm(timeoutMs: number | undefined, nowMs: number): void {
    if (this.#signal?.aborted === true) return this.cancel();
    this.#signal?.addEventListener("abort", this.#onAbort);
    if (timeoutMs !== undefined) this.#config.timers.schedule(this, nowMs + timeoutMs);
  }

  /** The call's stream has been opened. */
  opened(stream: Http2Stream): void {
    this.#stream = stream;
    const early = this.#early;
    this.#early = [];
    for (const { bytes, last } of early) {
      const write: MessageWriter = (target, at) => target.set(bytes, at);
      if (last) this.#writeLast(stream, bytes.length, write);
      else this.#write(stream, bytes.length, write);
    }
    if (this.#halfClosed) this.#config.connection.endStream(stream, undefined);
  }

  /** The call ends before its stream was opened, or with it. */
  fail(status: Status, unprocessed: boolean): void {
    if (!this.ended) this.#finish({ ...status, unprocessed });
  }

  // --- ClientCall ---

  get unsentBytes(): number {
    return this.#stream?.unsentBytes ?? 0;
  }

  send(sizeBytes: number, write: MessageWriter): boolean {
    const stream = this.#stream;
    if (!this.#maySend(sizeBytes)) return false;
    if (stream === undefined) {
      this.#sendEarly(sizeBytes, write, { last: false });
      return true;
    }
    this.#write(stream, sizeBytes, write);
    return !stream.choked;
  }

  sendLast(sizeBytes: number, write: MessageWriter): void {
    if (!this.#maySend(sizeBytes)) return;
    this.#halfClosed = true;
    if (this.#stream === undefined) this.#sendEarly(sizeBytes, write, { last: true });
    else this.#writeLast(this.#stream, sizeBytes, write);
  }

  halfClose(): void {
    if (this.ended || this.#halfClosed) return;
    this.#halfClosed = true;
    if (this.#stream !== undefined) this.#config.connection.endStream(this.#stream, undefined);
  }

  cancel(): void {
    this.#abort(cancelStatus);
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

  // --- StreamSink ---

  onHeaders(block: HeaderBlock, endStream: boolean): void {
    if (this.#headersSeen) {
      if (!endStream) return this.#malformed("a HEADERS frame cannot appear in the middle of a stream");
      const fields = parseTrailers(block);
      if (fields === undefined) return this.#malformed("malformed trailers");
      return this.#onStatus(readTrailers(fields));
    }
    const judged = judge(block);
    if (judged === undefined) return this.#malformed("malformed header: missing HTTP status");
    const { head, headers } = judged;
    if (head.status < 200) {
      if (endStream) this.#malformed(`protocol error: informational header with status code ${head.status}`);
      return;
    }
    this.#headersSeen = true;
    if (headers.refused !== undefined) return this.#abort(headers.refused);
    if (endStream) return this.#onStatus(readTrailers(head.fields));
    this.#encoding = headers.encoding;
    this.#receiver.onHeaders?.(headers.metadata);
  }

  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (!this.#headersSeen) return this.#malformed("received DATA before headers");
    this.#unconsumedBytes += end - start;
    let wrong: Status | undefined;
    if (this.#reader === undefined && !this.#paused && isWholeMessage(bytes, start, end, this.#sizeMax)) {
      this.#delivering = true;
      this.#receiver.onMessage(bytes.subarray(start + messagePrefixBytes, end));
      this.#delivering = false;
    } else if (start < end) wrong = this.#onPartialData(bytes, start, end);
    this.#settle(wrong);
    if (endStream && !this.ended) this.#onStatus(readTrailers([]));
  }

  onClosed(closure: StreamClosure): void {
    // The status has come already; it only waits for the messages before it.
    if (this.#statusDue !== undefined) return;
    switch (closure.kind) {
      case "reset": {
        if (closure.code === ErrorCode.cancel && this.#isDeadlineDue()) return this.fail(deadlineStatus, false);
        const refused = closure.code === ErrorCode.refusedStream;
        return this.fail(statusOfResetCode(closure.code), refused);
      }
      case "failed":
        return this.fail({ code: StatusCode.internal, message: closure.why }, false);
      case "unprocessed": {
        const message = "the stream is rejected because server is draining the connection";
        return this.fail({ code: StatusCode.unavailable, message }, true);
      }
      case "lost":
        return this.fail({ code: StatusCode.unavailable, message: closure.why }, false);
    }
  }

  /**
   * The server keeps the same deadline and resets the call when it passes, at times before the wheel's slot does;
   * grpc-go takes such a reset for the deadline too.
   */
  #isDeadlineDue(): boolean {
    return this.deadlineMs > 0 && this.#config.timers.nowMs + slotMs >= this.deadlineMs;
  }

  onWritable(): void {
    if (!this.ended) this.#receiver.onDrain?.();
  }

  // --- MessageSink ---

  onMessage(message: Uint8Array): boolean {
    this.#receiver.onMessage(message);
    return !this.#paused && !this.ended;
  }

  // --- TimerEntry ---

  onDeadline(): void {
    this.#abort(deadlineStatus);
  }

  // --- receiving ---

  #onPartialData(bytes: Uint8Array, start: number, end: number): Status | undefined {
    this.#reader ??= new MessageReader({
      sizeMax: this.#sizeMax,
      encoding: this.#encoding,
      gunzip: this.#config.gunzip,
      server: false,
    });
    if (this.#paused) {
      this.#reader.hold(bytes, start, end);
      return undefined;
    }
    this.#delivering = true;
    const wrong = this.#reader.push(bytes, start, end, this);
    this.#delivering = false;
    return wrong;
  }

  #settle(wrong: Status | undefined): void {
    if (this.ended) return this.#giveBack();
    if (wrong !== undefined) return this.#abort(wrong);
    if (this.#paused) return;
    this.#giveBack();
    if (this.#statusDue !== undefined) this.#onStatus(this.#statusDue);
  }

  #giveBack(): void {
    if (this.#stream === undefined || this.#unconsumedBytes === 0) return;
    this.#config.connection.consume(this.#stream, this.#unconsumedBytes);
    this.#unconsumedBytes = 0;
  }

  #onStatus(status: Status): void {
    const held = this.#reader?.heldBytes ?? 0;
    if (held > 0 && this.#paused) {
      this.#statusDue = status;
      return;
    }
    const truncated = held > 0 && status.code === StatusCode.ok;
    const final: Status = truncated ? { code: StatusCode.internal, message: "unexpected EOF" } : status;
    // The server is done with the call; we need not be.
    if (this.#stream !== undefined) this.#config.connection.reset(this.#stream, ErrorCode.noError);
    this.#finish({ ...final, unprocessed: false });
  }

  #malformed(message: string): void {
    if (this.ended) return;
    const stream = this.#stream;
    this.#finish({ code: StatusCode.internal, message, unprocessed: false });
    if (stream !== undefined) this.#config.connection.failStream(stream, ErrorCode.protocolError, message);
  }

  // --- sending ---

  #maySend(sizeBytes: number): boolean {
    if (this.ended || this.#halfClosed) return false;
    const { connection } = this.#config;
    const sizeMax = connection.limits.sendMessageBytesMax;
    if (sizeBytes > sizeMax) {
      const message = `trying to send message larger than max (${sizeBytes} vs. ${sizeMax})`;
      this.#abort({ code: StatusCode.resourceExhausted, message });
      return false;
    }
    const earlyBytes = this.#early.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const stream = this.#stream;
    const within =
      stream === undefined ? earlyBytes <= connection.limits.unsentStreamBytesMax : connection.withinCaps(stream);
    if (!within) this.#abort({ code: StatusCode.resourceExhausted, message: "the server does not read fast enough" });
    return within;
  }

  #sendEarly(sizeBytes: number, write: MessageWriter, { last }: { last: boolean }): void {
    const bytes = new Uint8Array(sizeBytes);
    write(bytes, 0);
    this.#early.push({ bytes, last });
  }

  #write(stream: Http2Stream, sizeBytes: number, write: MessageWriter): void {
    if (stream.closed || stream.localEnding) return;
    const { connection } = this.#config;
    const at = connection.reserveData(stream, sizeBytes + messagePrefixBytes);
    writeMessage(connection.target, at, sizeBytes, write);
  }

  #writeLast(stream: Http2Stream, sizeBytes: number, write: MessageWriter): void {
    if (stream.closed || stream.localEnding) return;
    const { connection } = this.#config;
    const at = connection.reserveLastData(stream, sizeBytes + messagePrefixBytes);
    writeMessage(connection.target, at, sizeBytes, write);
  }

  // --- the end ---

  #abort(status: Status): void {
    if (this.ended) return;
    const unprocessed = this.#stream === undefined;
    if (this.#stream !== undefined) this.#config.connection.reset(this.#stream, ErrorCode.cancel);
    this.#finish({ ...status, unprocessed });
  }

  #finish(status: ClientStatus): void {
    this.ended = true;
    this.#config.timers.cancel(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    if (!this.#delivering) this.#giveBack();
    this.#early = [];
    this.#receiver.onEnd(status);
  }
}

function judge(block: HeaderBlock): Judged | undefined {
  const memo = block.memo as Judged | undefined;
  if (memo !== undefined) return memo;
  const head = parseResponse(block);
  if (head === undefined) return undefined;
  const judged = { head, headers: readAnswerHeaders(head) };
  block.memo = judged;
  return judged;
}

/** One block of two: what was encoded once, and what changes from call to call. */
export function joinBlocks(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (second.length === 0) return first;
  const block = new Uint8Array(first.length + second.length);
  block.set(first);
  block.set(second, first.length);
  return block;
}
