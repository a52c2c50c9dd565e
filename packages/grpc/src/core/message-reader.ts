/**
 * Cuts a stream's data into gRPC messages. A message that lies whole in the data is handed on as a view of it; others
 * are put together in a buffer that grows with what has really come. Source: gRPC over HTTP/2,
 * "Length-Prefixed-Message".
 */
import { type Status, StatusCode } from "../call.js";
import { readUint32 } from "./protocol.js";
import { quote } from "./timeout.js";

export const messagePrefixBytes = 5;

/** Inflates a gzip member: its bytes, or why not. Must not produce more than `sizeMax` bytes. */
export type Gunzip = (bytes: Uint8Array, sizeMax: number) => Uint8Array | "too large" | "invalid";

/** Who gets the messages. `message` is valid only during the call. */
export interface MessageSink {
  /** False: keep the rest for later. */
  onMessage(message: Uint8Array): boolean;
}

export interface MessageReaderConfig {
  readonly sizeMax: number;
  /** grpc-encoding of the peer; undefined or "identity" = none. */
  readonly encoding: string | undefined;
  readonly gunzip: Gunzip | undefined;
  readonly server: boolean;
}

export class MessageReader {
  readonly #config: MessageReaderConfig;
  /** Bytes of an unfinished message, or all that came since the sink has stopped. */
  #held: Uint8Array | undefined;
  #heldStart = 0;
  #heldEnd = 0;

  constructor(config: MessageReaderConfig) {
    this.#config = config;
  }

  /** Bytes held back. */
  get heldBytes(): number {
    return this.#heldEnd - this.#heldStart;
  }

  /** Hands on what is whole in held and new bytes; a status is why the call must end. */
  push(bytes: Uint8Array, start: number, end: number, sink: MessageSink): Status | undefined {
    if (this.heldBytes === 0) {
      const at = this.#deliver(bytes, start, end, sink);
      if (typeof at !== "number") return at;
      if (at < end) this.#hold(bytes, at, end);
      return undefined;
    }
    this.#hold(bytes, start, end);
    return this.resume(sink);
  }

  /** Keeps bytes without looking at them. */
  hold(bytes: Uint8Array, start: number, end: number): void {
    if (end > start) this.#hold(bytes, start, end);
  }

  /** Hands on what is whole in the held bytes. */
  resume(sink: MessageSink): Status | undefined {
    const held = this.#held;
    if (held === undefined || this.heldBytes === 0) return undefined;
    const at = this.#deliver(held, this.#heldStart, this.#heldEnd, sink);
    if (typeof at !== "number") return at;
    this.#heldStart = at;
    if (this.heldBytes === 0) {
      this.#held = undefined;
      this.#heldStart = 0;
      this.#heldEnd = 0;
    }
    return undefined;
  }

  /** Returns where the first message that is not whole begins. */
  #deliver(bytes: Uint8Array, start: number, end: number, sink: MessageSink): number | Status {
    let at = start;
    while (end - at >= messagePrefixBytes) {
      const length = readUint32(bytes, at + 1);
      if (length > this.#config.sizeMax) return tooLarge(length, this.#config.sizeMax);
      const format = bytes[at] as number;
      const wrong = format === 0 ? undefined : this.#checkFormat(format);
      if (wrong !== undefined) return wrong;
      const from = at + messagePrefixBytes;
      if (end - from < length) break;
      at = from + length;
      const body = bytes.subarray(from, at);
      const message = format === 0 ? body : this.#inflate(body);
      if (!(message instanceof Uint8Array)) return message;
      if (!sink.onMessage(message)) break;
    }
    return at;
  }

  #checkFormat(format: number): Status | undefined {
    const { encoding, gunzip, server } = this.#config;
    if (format !== 1) {
      return { code: StatusCode.internal, message: `grpc: received unexpected payload format ${format}` };
    }
    if (encoding === undefined || encoding === "identity") {
      return { code: StatusCode.internal, message: "grpc: compressed flag set with identity or empty encoding" };
    }
    if (encoding !== "gzip" || gunzip === undefined) return unknownEncoding(encoding, server);
    return undefined;
  }

  #inflate(body: Uint8Array): Uint8Array | Status {
    const { gunzip, sizeMax } = this.#config;
    const message = gunzip?.(body, sizeMax) ?? "invalid";
    if (message === "too large") {
      return {
        code: StatusCode.resourceExhausted,
        message: `grpc: received message after decompression larger than max ${sizeMax}`,
      };
    }
    if (message === "invalid") {
      return { code: StatusCode.internal, message: "grpc: failed to decompress the message: gzip: invalid header" };
    }
    return message;
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const heldBytes = this.heldBytes;
    if (this.#held === undefined || this.#held.length - this.#heldEnd < size) {
      const grown = new Uint8Array(this.#capacity(heldBytes + size, bytes, start, end));
      if (this.#held !== undefined) grown.set(this.#held.subarray(this.#heldStart, this.#heldEnd));
      this.#held = grown;
      this.#heldStart = 0;
      this.#heldEnd = heldBytes;
    }
    this.#held.set(bytes.subarray(start, end), this.#heldEnd);
    this.#heldEnd += size;
  }

  /**
   * Twice what is needed, but not more than the message that is being read announces, unless there are others behind it
   * already.
   */
  #capacity(needed: number, bytes: Uint8Array, start: number, end: number): number {
    let announced = Number.MAX_SAFE_INTEGER;
    if (this.#held !== undefined && this.heldBytes >= messagePrefixBytes) {
      announced = messagePrefixBytes + readUint32(this.#held, this.#heldStart + 1);
    } else if (this.heldBytes === 0 && end - start >= messagePrefixBytes) {
      announced = messagePrefixBytes + readUint32(bytes, start + 1);
    }
    return needed <= announced ? Math.min(2 * needed, announced) : 2 * needed;
  }
}

export function tooLarge(length: number, sizeMax: number): Status {
  return {
    code: StatusCode.resourceExhausted,
    message: `grpc: received message larger than max (${length} vs. ${sizeMax})`,
  };
}

export function unknownEncoding(encoding: string, server: boolean): Status {
  return {
    code: server ? StatusCode.unimplemented : StatusCode.internal,
    message: `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`,
  };
}
