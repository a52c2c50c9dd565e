/**
 * The two encodings of raft messages on a peer stream: `message` (everything but appends) and `msgapp v2` (appends,
 * with the common case of "the next entries of this term" cut down to the entries).
 *
 * Encoders return the bytes to write; decoders are fed chunks and call back once per message. A decoder throws
 * `StreamFormatError` on input that no correct peer sends; the stream must then be closed.
 *
 * Source: etcd server/etcdserver/api/rafthttp/message_codec.go, msgappv2_codec.go.
 */

import { decodeEntry, encodeEntry, encodeMessage, sizeEntry, sizeMessage } from "@etcd-ts/api/raftpb";
import { createMessage, type Entry, type Message, MessageType } from "@etcd-ts/raft";
import { writeUint64 } from "../uint64.js";
import { FrameReader } from "./frame-reader.js";
import { decodeRaftMessage } from "./raft-message.js";

/** Source: rafthttp readBytesLimit. */
const frameBytesMax = 512 * 1024 * 1024;
/** Entries in one append: bounded by the size of a message, so this only stops nonsense early. */
const entriesMax = 1 << 24;

const frameType = { linkHeartbeat: 0, appEntries: 1, append: 2 } as const;

export class StreamFormatError extends Error {
  override readonly name = "StreamFormatError";
}

export interface StreamEncoder {
  encode(message: Message): Uint8Array;
  /** What keeps an idle stream from looking dead. */
  encodeHeartbeat(): Uint8Array;
}

export interface StreamDecoder {
  push(chunk: Uint8Array): void;
}

function checkedLength(length: number): number {
  if (length > frameBytesMax) throw new StreamFormatError(`frame of ${length} bytes exceeds ${frameBytesMax}`);
  return length;
}

function safeNumber(value: number, what: string): number {
  if (value > Number.MAX_SAFE_INTEGER) throw new StreamFormatError(`${what} ${value} is out of range`);
  return value;
}

/** `[8-byte big-endian length][message]`. */
export function encodeMessageFrame(message: Message): Uint8Array {
  const size = sizeMessage(message);
  const frame = new Uint8Array(8 + size);
  writeUint64(frame, 0, size);
  encodeMessage(message, frame, 8);
  return frame;
}

/** Takes one frame off the reader; undefined when it has not all arrived. */
export function takeMessageFrame(reader: FrameReader, bytesMax: number = frameBytesMax): Message | undefined {
  const announced = reader.peekUint64(0);
  if (announced === undefined) return undefined;
  const length = checkedLength(announced);
  if (length > bytesMax) throw new StreamFormatError(`frame of ${length} bytes exceeds ${bytesMax}`);
  if (reader.available < 8 + length) return undefined;
  reader.skip(8);
  const bytes = reader.take(length);
  return bytes === undefined ? undefined : decodeRaftMessage(bytes);
}

/** A heartbeat without sender and receiver is a sign of life of the stream, not a message. */
export function isLinkHeartbeat(message: Message): boolean {
  return message.type === MessageType.heartbeat && message.from === 0n && message.to === 0n;
}

export class MessageStreamEncoder implements StreamEncoder {
  static readonly #heartbeat: Uint8Array = encodeMessageFrame(createMessage({ type: MessageType.heartbeat }));

  encode(message: Message): Uint8Array {
    return encodeMessageFrame(message);
  }

  encodeHeartbeat(): Uint8Array {
    return MessageStreamEncoder.#heartbeat;
  }
}

export class MessageStreamDecoder implements StreamDecoder {
  readonly #reader = new FrameReader();
  readonly #onMessage: (message: Message) => void;

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    for (;;) {
      const message = takeMessageFrame(this.#reader);
      if (message === undefined) return;
      if (!isLinkHeartbeat(message)) this.#onMessage(message);
    }
  }
}

export class AppendStreamEncoder implements StreamEncoder {
  #term = 0;
  #index = 0;

  encode(message: Message): Uint8Array {
    const follows = message.index === this.#index && message.logTerm === this.#term && message.logTerm === message.term;
    if (follows) return this.#encodeEntries(message);
    this.#term = message.term;
    this.#index = message.entries.at(-1)?.index ?? message.index;
    const frame = encodeMessageFrame(message);
    const bytes = new Uint8Array(1 + frame.length);
    bytes[0] = frameType.append;
    bytes.set(frame, 1);
    return bytes;
  }

  encodeHeartbeat(): Uint8Array {
    return new Uint8Array([frameType.linkHeartbeat]);
  }

  #encodeEntries(message: Message): Uint8Array {
    let size = 1 + 8 + 8;
    for (const entry of message.entries) size += 8 + sizeEntry(entry);
    const bytes = new Uint8Array(size);
    bytes[0] = frameType.appEntries;
    writeUint64(bytes, 1, message.entries.length);
    let offset = 9;
    for (const entry of message.entries) {
      const end = encodeEntry(entry, bytes, offset + 8);
      writeUint64(bytes, offset, end - offset - 8);
      offset = end;
    }
    writeUint64(bytes, offset, message.commit);
    this.#index += message.entries.length;
    return bytes;
  }
}

export class AppendStreamDecoder implements StreamDecoder {
  readonly #reader = new FrameReader();
  readonly #local: bigint;
  readonly #remote: bigint;
  readonly #onMessage: (message: Message) => void;
  #term = 0;
  #index = 0;
  /** Entries of an `appEntries` frame that is arriving, and how many are to come. */
  #partial: { readonly entries: Entry[]; remaining: number } | undefined;

  constructor(local: bigint, remote: bigint, onMessage: (message: Message) => void) {
    this.#local = local;
    this.#remote = remote;
    this.#onMessage = onMessage;
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    while (this.#step());
  }

  /** Decodes one piece; false when it has not all arrived. */
  #step(): boolean {
    if (this.#partial !== undefined) return this.#stepEntries(this.#partial);
    const type = this.#reader.peekByte(0);
    if (type === undefined) return false;
    switch (type) {
      case frameType.linkHeartbeat:
        this.#reader.skip(1);
        return true;
      case frameType.appEntries: {
        const count = this.#reader.peekUint64(1);
        if (count === undefined) return false;
        if (count > entriesMax) throw new StreamFormatError(`append of ${count} entries exceeds ${entriesMax}`);
        this.#reader.skip(9);
        this.#partial = { entries: [], remaining: count };
        return true;
      }
      case frameType.append: {
        const length = this.#reader.peekUint64(1);
        if (length === undefined || this.#reader.available < 9 + checkedLength(length)) return false;
        this.#reader.skip(1);
        const message = takeMessageFrame(this.#reader);
        if (message === undefined) return false;
        this.#term = message.term;
        this.#index = message.entries.at(-1)?.index ?? message.index;
        this.#onMessage(message);
        return true;
      }
      default:
        throw new StreamFormatError(`unknown type ${type} in an append stream`);
    }
  }

  #stepEntries(partial: { readonly entries: Entry[]; remaining: number }): boolean {
    if (partial.remaining > 0) {
      const announced = this.#reader.peekUint64(0);
      if (announced === undefined) return false;
      const length = checkedLength(announced);
      if (this.#reader.available < 8 + length) return false;
      this.#reader.skip(8);
      const entry = this.#reader.decode(length, decodeEntry);
      if (entry === undefined) return false;
      partial.entries.push(entry);
      partial.remaining--;
      return true;
    }
    const commit = this.#reader.peekUint64(0);
    if (commit === undefined) return false;
    this.#reader.skip(8);
    this.#partial = undefined;
    const message = createMessage({
      type: MessageType.app,
      from: this.#remote,
      to: this.#local,
      term: this.#term,
      logTerm: this.#term,
      index: this.#index,
      entries: partial.entries,
      commit: safeNumber(commit, "commit index"),
    });
    this.#index += partial.entries.length;
    this.#onMessage(message);
    return true;
  }
}
