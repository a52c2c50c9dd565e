/**
 * One HTTP/2 connection that makes gRPC calls as fast as Node can: requests go into one output buffer, flushed once per
 * turn; answers are read in place; header blocks seen before are not decoded again.
 *
 * It speaks enough of the protocol for etcd's servers (flow control in both directions, settings, pings, resets), not
 * for any peer: a server that splits header blocks or pads frames is refused.
 *
 * Source: RFC 9113, grpc/grpc doc/PROTOCOL-HTTP2.md.
 */

import { connect, type Socket } from "node:net";
import {
  Flag,
  type FrameHandler,
  FrameReader,
  FrameType,
  FrameWriter,
  frameSizeMax,
  input,
  inputTarget,
  preface,
  readSettings,
  SettingsId,
  windowDefault,
  windowMax,
  writeTo,
} from "./frames.js";
import { type HeaderField, HpackDecoder, HpackEncoder } from "./hpack.js";
import { Region } from "./region.js";
import { type Stream, StreamTable } from "./stream-table.js";

/** What comes back of one call. Errors thrown here close the connection and fail the run. */
export interface CallHandler {
  /** One message at `[start, end)`, valid until this returns. */
  onMessage(region: Region, start: number, end: number): void;
  /** The end of the call: a gRPC status code and its text. */
  onEnd(status: number, text: string): void;
}

const messagePrefixSize = 5;
/** The server may send this much before it needs more credit; given back when half is used. */
const connectionCredit = 2 ** 30;

interface Trailers {
  readonly isFinal: boolean;
  readonly status: number;
  readonly text: string;
}

interface Blocked {
  readonly stream: Stream;
  readonly id: number;
  readonly message: Buffer;
  readonly endStream: boolean;
}

/** A header block met before: its bytes, the decoder's generation at that time, and what it said. */
interface KnownBlock {
  readonly block: Region;
  readonly generation: number;
  readonly meaning: Trailers;
}

export class Connection implements FrameHandler {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #streams = new StreamTable();
  readonly #encoder = new HpackEncoder();
  readonly #requestBlocks = new Map<string, { block: Uint8Array; generation: number }>();
  readonly #decoder = new HpackDecoder();
  readonly #known: KnownBlock[] = [];
  readonly #blocked: Blocked[] = [];
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  #isFlushPlanned = false;
  #sendWindow = windowDefault;
  #streamWindowInitial = windowDefault;
  #received = 0;
  #onFailure: (error: Error) => void = () => {};
  #isClosed = false;
  /**
   * When the answers being handled were read. A call is timed from the turn that made it to the turn that reads its
   * answer, the generator's own work in the first one included: the clock is read once a turn, not twice a call.
   */
  turnMs: number = performance.now();

  private constructor(host: string, port: number) {
    this.#authority = `${host}:${port}`;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: inputTarget, callback: (byteCount) => this.#onRead(byteCount) },
    });
    this.#writer = new FrameWriter(writeTo(this.#socket));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error(`${this.#authority} closed the connection`)));
  }

  /** Connects and sends the preface. `onFailure` is told once when the connection is lost or the peer misbehaves. */
  static async open(host: string, port: number, onFailure: (error: Error) => void): Promise<Connection> {
    const connection = new Connection(host, port);
    await new Promise<void>((resolve, reject) => {
      connection.#onFailure = reject;
      connection.#socket.once("connect", resolve);
    });
    connection.#onFailure = onFailure;
    connection.#greet();
    return connection;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** Starts a call of one message, `message[0, size)`, which is copied. */
  unary(path: string, message: Uint8Array, size: number, handler: CallHandler): void {
    const stream = this.#open(path, handler);
    this.#sendMessage(stream, message, size, true);
  }

  /** Starts a call whose messages are written one by one. It ends with the connection. */
  stream(path: string, handler: CallHandler): { write(message: Uint8Array, size: number): void } {
    const stream = this.#open(path, handler);
    const { id } = stream;
    this.#planFlush();
    return {
      write: (message, size) => {
        if (stream.id !== id) {
          throw new Error("a message was written to a call that has ended");
        }
        this.#sendMessage(stream, message, size, false);
      },
    };
  }

  #greet(): void {
    this.#writer.text(preface);
    this.#writer.frame(FrameType.settings, 0, 0, 12);
    this.#writer.uint16(SettingsId.enablePush);
    this.#writer.uint32(0);
    this.#writer.uint16(SettingsId.initialWindowSize);
    this.#writer.uint32(windowMax);
    this.#writer.windowUpdate(0, connectionCredit - windowDefault);
    this.#planFlush();
  }

  #open(path: string, handler: CallHandler): Stream {
    const stream = this.#streams.open(handler, this.#streamWindowInitial);
    const block = this.#requestBlock(path);
    this.#writer.frame(FrameType.headers, Flag.endHeaders, stream.id, block.length);
    this.#writer.bytes(block);
    return stream;
  }

  #requestBlock(path: string): Uint8Array {
    let known = this.#requestBlocks.get(path);
    if (known === undefined || known.generation !== this.#encoder.generation) {
      const block = this.#encoder.encode([
        [":method", "POST"],
        [":scheme", "http"],
        [":path", path],
        [":authority", this.#authority],
        ["content-type", "application/grpc"],
        ["te", "trailers"],
      ]);
      // A block that inserts fields is right once; the next one of this path refers to them.
      known = { block, generation: known === undefined ? -1 : this.#encoder.generation };
      this.#requestBlocks.set(path, known);
    }
    return known.block;
  }

  #sendMessage(stream: Stream, message: Uint8Array, size: number, endStream: boolean): void {
    const length = messagePrefixSize + size;
    if (this.#blocked.length > 0 || length > this.#sendWindow || length > stream.sendWindow || length > frameSizeMax) {
      const copy = Buffer.allocUnsafe(length);
      copy[0] = 0;
      copy.writeUInt32BE(size, 1);
      copy.set(message.subarray(0, size), messagePrefixSize);
      this.#blocked.push({ stream, id: stream.id, message: copy, endStream });
      this.#sendBlocked();
    } else {
      this.#sendWindow -= length;
      stream.sendWindow -= length;
      this.#writer.frame(FrameType.data, endStream ? Flag.endStream : 0, stream.id, length);
      this.#writer.uint8(0);
      this.#writer.uint32(size);
      this.#writer.bytes(message, 0, size);
    }
    this.#planFlush();
  }

  /** Sends what flow control held back, oldest first, in frames of the largest size. */
  #sendBlocked(): void {
    for (let next = this.#blocked[0]; next !== undefined; next = this.#blocked[0]) {
      if (next.stream.id !== next.id) {
        this.#blocked.shift();
        continue;
      }
      const length = Math.min(next.message.length, this.#sendWindow, next.stream.sendWindow, frameSizeMax);
      if (length <= 0) {
        return;
      }
      const isLast = length === next.message.length;
      this.#sendWindow -= length;
      next.stream.sendWindow -= length;
      this.#writer.frame(FrameType.data, isLast && next.endStream ? Flag.endStream : 0, next.stream.id, length);
      this.#writer.bytes(next.message, 0, length);
      if (isLast) {
        this.#blocked.shift();
      } else {
        this.#blocked[0] = { ...next, message: next.message.subarray(length) };
      }
    }
  }

  #onRead(byteCount: number): boolean {
    this.turnMs = performance.now();
    // Requests started while answers are read go out together below.
    this.#isFlushPlanned = true;
    try {
      this.#reader.read(byteCount, this);
      this.#flush();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  /** For the frame reader only. */
  onFrame(type: number, flags: number, id: number, start: number, end: number): void {
    switch (type) {
      case FrameType.data:
        return this.#onData(flags, id, start, end);
      case FrameType.headers:
        return this.#onHeaders(flags, id, start, end);
      case FrameType.windowUpdate:
        return this.#onWindowUpdate(id, input.view.getInt32(start) & windowMax);
      case FrameType.settings:
        return this.#onSettings(flags, start, end);
      case FrameType.ping:
        return this.#onPing(flags, start, end);
      case FrameType.resetStream: {
        const stream = this.#streams.get(id);
        if (stream !== undefined) {
          this.#end(stream, 1, `reset by the server with code ${input.view.getUint32(start)}`);
        }
        return;
      }
      case FrameType.goAway:
        throw new Error(`the server sent GOAWAY: ${input.bytes.toString("latin1", start + 8, end)}`);
      case FrameType.continuation:
      case FrameType.pushPromise:
        throw new Error(`the server sent a frame of type ${type}`);
      default:
        return;
    }
  }

  #onData(flags: number, id: number, start: number, end: number): void {
    if ((flags & Flag.padded) !== 0) {
      throw new Error("the server padded a DATA frame");
    }
    this.#received += end - start;
    if (this.#received >= connectionCredit / 2) {
      this.#writer.windowUpdate(0, this.#received);
      this.#received = 0;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      return;
    }
    const rest = stream.partialSize === 0 ? this.#deliver(stream, input, start, end) : start;
    if (rest < end) {
      this.#append(stream, rest, end);
    }
    if ((flags & Flag.endStream) !== 0) {
      throw new Error("the server ended a call without trailers");
    }
  }

  /** Hands out the whole messages at `[start, end)` and returns where the first incomplete one starts. */
  #deliver(stream: Stream, region: Region, start: number, end: number): number {
    let at = start;
    while (end - at >= messagePrefixSize) {
      if (region.view.getUint8(at) !== 0) {
        throw new Error("the server sent a compressed message");
      }
      const message = at + messagePrefixSize;
      const messageEnd = message + region.view.getUint32(at + 1);
      if (messageEnd > end) {
        break;
      }
      stream.handler.onMessage(region, message, messageEnd);
      at = messageEnd;
    }
    return at;
  }

  /** Puts a message together that arrives in parts. */
  #append(stream: Stream, start: number, end: number): void {
    const needed = stream.partialSize + end - start;
    let partial = stream.partial ?? new Region(Math.max(needed, 4 * frameSizeMax));
    if (needed > partial.size) {
      const larger = new Region(2 * needed);
      partial.bytes.copy(larger.bytes, 0, 0, stream.partialSize);
      partial = larger;
    }
    stream.partial = partial;
    input.bytes.copy(partial.bytes, stream.partialSize, start, end);
    const rest = this.#deliver(stream, partial, 0, needed);
    if (rest > 0) {
      partial.bytes.copyWithin(0, rest, needed);
    }
    stream.partialSize = needed - rest;
  }

  #end(stream: Stream, status: number, text: string): void {
    const { handler } = stream;
    this.#streams.close(stream);
    handler.onEnd(status, text);
  }

  #onHeaders(flags: number, id: number, start: number, end: number): void {
    if ((flags & Flag.endHeaders) === 0 || (flags & (Flag.padded | Flag.priority)) !== 0) {
      throw new Error(`the server sent HEADERS with flags ${flags}`);
    }
    const meaning = this.#meaning(start, end);
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      return;
    }
    if ((flags & Flag.endStream) !== 0) {
      this.#end(stream, meaning.isFinal ? meaning.status : 2, meaning.text);
    } else if (meaning.isFinal || stream.sawHeaders) {
      throw new Error("the server sent trailers that do not end the call");
    } else {
      stream.sawHeaders = true;
    }
  }

  #meaning(start: number, end: number): Trailers {
    const { generation } = this.#decoder;
    const size = end - start;
    for (let i = 0; i < this.#known.length; i++) {
      const known = this.#known[i] as KnownBlock;
      if (known.block.size === size && known.generation === generation && known.block.isSame(0, size, input, start)) {
        return known.meaning;
      }
    }
    const meaning = trailersOf(this.#decoder.decode(input.bytes, start, end));
    if (generation === this.#decoder.generation) {
      // Two blocks are current at a time, the answer's headers and its trailers; errors with texts come and go.
      this.#known.unshift({ block: Region.copyOf(input.bytes, start, end), generation, meaning });
      this.#known.length = Math.min(this.#known.length, 4);
    }
    return meaning;
  }

  #onSettings(flags: number, start: number, end: number): void {
    if ((flags & Flag.ack) !== 0) {
      return;
    }
    for (const { id, value } of readSettings(start, end)) {
      if (id === SettingsId.initialWindowSize) {
        for (const stream of this.#streams.all()) {
          stream.sendWindow += value - this.#streamWindowInitial;
        }
        this.#streamWindowInitial = value;
      }
    }
    this.#writer.frame(FrameType.settings, Flag.ack, 0, 0);
    this.#sendBlocked();
  }

  #onPing(flags: number, start: number, end: number): void {
    if ((flags & Flag.ack) === 0) {
      this.#writer.frame(FrameType.ping, Flag.ack, 0, end - start);
      this.#writer.bytes(input.bytes, start, end);
    }
  }

  #onWindowUpdate(id: number, credit: number): void {
    if (id === 0) {
      this.#sendWindow += credit;
    } else {
      const stream = this.#streams.get(id);
      if (stream !== undefined) {
        stream.sendWindow += credit;
      }
    }
    this.#sendBlocked();
  }

  #planFlush(): void {
    if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      queueMicrotask(() => this.#flush());
    }
  }

  #flush(): void {
    this.#isFlushPlanned = false;
    if (!this.#isClosed) {
      this.#writer.flush();
    }
  }

  #fail(error: Error): void {
    if (!this.#isClosed) {
      this.close();
      this.#onFailure(error);
    }
  }
}

function trailersOf(fields: readonly HeaderField[]): Trailers {
  let httpStatus = "200";
  let status: number | undefined;
  let text = "";
  for (const [name, value] of fields) {
    if (name === ":status") {
      httpStatus = value;
    } else if (name === "grpc-status") {
      status = Number(value);
    } else if (name === "grpc-message") {
      text = decodeURIComponent(value);
    }
  }
  if (httpStatus !== "200") {
    return { isFinal: true, status: 2, text: `HTTP status ${httpStatus}` };
  }
  return { isFinal: status !== undefined, status: status ?? 2, text };
}
