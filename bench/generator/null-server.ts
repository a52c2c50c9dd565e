/**
 * A server that knows the right answers without doing the work: no log, no store, no disk. What the generator reaches
 * against it is the generator's own ceiling.
 *
 * As a program it listens on a free port of 127.0.0.1, prints the port, and ends when its standard input does.
 */

import { createServer, type Server, type Socket } from "node:net";
import { pathToFileURL } from "node:url";
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
  SettingsId,
  windowMax,
  writeTo,
} from "./frames.js";
import { HpackDecoder } from "./hpack.js";
import { benchmarkKeys, type KeySpace } from "./key-space.js";
import { KvPath } from "./kv-work.js";
import { LeasePath } from "./lease-work.js";
import { MessageReader, MessageWriter } from "./message.js";
import { Region } from "./region.js";
import { watchPath } from "./watch-load.js";

const messagePrefixSize = 5;
const messageSizeMax = 2 ** 20;
/** Credit is given back in steps of this size. */
const creditStep = 2 ** 24;
/** `:status: 200` and `content-type: application/grpc`, without the dynamic table. */
const answerHeaders = Buffer.from([0x88, 0x0f, 0x10, 16, ...Buffer.from("application/grpc")]);
/** `grpc-status: 0`. */
const answerTrailers = Buffer.from([0x00, 11, ...Buffer.from("grpc-status"), 1, 48]);

/** A request's header block met before. */
interface KnownPath {
  readonly block: Region;
  readonly path: string;
}

/** The answer to a get of any key at one revision, with the places of the key's number in it. */
interface GetAnswer {
  readonly revision: number;
  readonly message: MessageWriter;
  readonly keyOffset: number;
  readonly valueOffset: number;
}

const onlyOne = { isFirst: true, isLast: true };
const betweenOthers = { isFirst: false, isLast: false };

interface Watcher {
  readonly session: Session;
  readonly streamId: number;
  readonly watchId: number;
}

/** What the sessions share: the revision counter and the watchers. */
class NullStore {
  readonly keys: KeySpace = benchmarkKeys(1);
  readonly watchers: Watcher[] = [];
  readonly #ranges = new Map<number, Uint8Array>();
  readonly #reader = new MessageReader();
  readonly #header = new MessageWriter(64);
  #headerRevision = 0;
  #getAnswer: GetAnswer | undefined;
  readonly #part = new MessageWriter(4096);
  readonly #value = new Uint8Array(this.keys.valueSize);
  readonly #answer = new MessageWriter(messageSizeMax);
  #revision = 100_000;
  #lease = 1000;
  /** All leases of a load have the same TTL. */
  #leaseTtl = 0;

  put(bytes: Uint8Array, start: number, end: number): MessageWriter {
    this.#revision++;
    if (this.watchers.length > 0) {
      this.#notify(bytes, start, end);
    }
    return this.#start();
  }

  txn(): MessageWriter {
    this.#revision++;
    const answer = this.#start().uint(2, 1);
    const response = this.#part.reset().span(1, this.#header.bytes, this.#header.size);
    const operation = new MessageWriter(response.size + 16).span(2, response.bytes, response.size);
    return answer.span(3, operation.bytes, operation.size);
  }

  range(bytes: Uint8Array, start: number, end: number): MessageWriter {
    const first = this.#keyAt(bytes, start, end, 1);
    const last = this.#keyAt(bytes, start, end, 2);
    if (last < 0) {
      return this.#get(first);
    }
    const answer = this.#start();
    let body = this.#ranges.get(first);
    if (body === undefined) {
      const from = answer.size;
      for (let index = first; index < last; index++) {
        this.#keyValue(index);
        answer.span(2, this.#part.bytes, this.#part.size);
      }
      answer.uint(4, last - first);
      body = answer.bytes.slice(from, answer.size);
      this.#ranges.set(first, body);
      return answer;
    }
    answer.bytes.set(body, answer.size);
    answer.size += body.length;
    return answer;
  }

  #get(index: number): MessageWriter {
    if (this.#getAnswer?.revision !== this.#revision) {
      this.#keyValue(0);
      const answer = this.#start().span(2, this.#part.bytes, this.#part.size);
      // The value is the last field of its message.
      const valueOffset = answer.size - this.keys.valueSize;
      const keyOffset = answer.size - this.#part.size + 2;
      const size = answer.uint(4, 1).size;
      const message = new MessageWriter(size);
      message.bytes.set(answer.bytes.subarray(0, size));
      message.size = size;
      this.#getAnswer = { revision: this.#revision, message, keyOffset, valueOffset };
    }
    const { message, keyOffset, valueOffset } = this.#getAnswer;
    this.keys.patchKey(message.bytes, keyOffset, index);
    this.keys.patchValue(message.bytes, valueOffset, index, 0);
    return message;
  }

  leaseGrant(bytes: Uint8Array, start: number, end: number): MessageWriter {
    this.#leaseTtl = this.#uintAt(bytes, start, end, 1);
    return this.#start()
      .uint(2, ++this.#lease)
      .uint(3, this.#leaseTtl);
  }

  leaseKeepAlive(bytes: Uint8Array, start: number, end: number): MessageWriter {
    return this.#start()
      .uint(2, this.#uintAt(bytes, start, end, 1))
      .uint(3, this.#leaseTtl);
  }

  /** Answers every WatchRequest as a creation. */
  watch(session: Session, streamId: number): MessageWriter {
    const watchId = this.watchers.filter(
      (watcher) => watcher.streamId === streamId && watcher.session === session,
    ).length;
    this.watchers.push({ session, streamId, watchId });
    return this.#start().uint(2, watchId).uint(3, 1);
  }

  forget(session: Session): void {
    const kept = this.watchers.filter((watcher) => watcher.session !== session);
    this.watchers.splice(0, this.watchers.length, ...kept);
  }

  #notify(bytes: Uint8Array, start: number, end: number): void {
    // The put's own fields 1 and 2 are the key and the value; the event's value has field 5.
    const keyValue = this.#part.reset();
    this.#reader.reset(bytes, start, end);
    while (this.#reader.next()) {
      const field = this.#reader.field === 2 ? 5 : this.#reader.field;
      keyValue.span(field, bytes.subarray(this.#reader.spanStart, this.#reader.spanEnd));
    }
    keyValue.uint(2, this.#revision).uint(3, this.#revision).uint(4, 1);
    const event = new MessageWriter(keyValue.size + 16).span(2, keyValue.bytes, keyValue.size).finish();
    for (const { session, streamId, watchId } of this.watchers) {
      session.send(streamId, this.#start().uint(2, watchId).span(11, event), betweenOthers);
      session.planFlush();
    }
  }

  #start(): MessageWriter {
    if (this.#headerRevision !== this.#revision) {
      this.#headerRevision = this.#revision;
      this.#header.reset().uint(1, 1).uint(2, 1).uint(3, this.#revision).uint(4, 2);
    }
    return this.#answer.reset().span(1, this.#header.bytes, this.#header.size);
  }

  #keyValue(index: number): void {
    const key = new Uint8Array(this.keys.keySize);
    this.keys.writeKey(key, 0, index);
    this.keys.writeValue(this.#value, 0, index, 0);
    this.#part.reset().span(1, key).uint(2, this.#revision).uint(3, this.#revision).uint(4, 1).span(5, this.#value);
  }

  #keyAt(bytes: Uint8Array, start: number, end: number, field: number): number {
    this.#reader.reset(bytes, start, end);
    while (this.#reader.next()) {
      if (this.#reader.field === field) {
        return this.keys.readKey(bytes, this.#reader.spanStart, this.#reader.spanEnd);
      }
    }
    return -1;
  }

  #uintAt(bytes: Uint8Array, start: number, end: number, field: number): number {
    this.#reader.reset(bytes, start, end);
    while (this.#reader.next()) {
      if (this.#reader.field === field) {
        return this.#reader.value;
      }
    }
    return 0;
  }
}

/** One connection. */
class Session implements FrameHandler {
  readonly #store: NullStore;
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  readonly #decoder = new HpackDecoder();
  readonly #paths: KnownPath[] = [];
  /** The last stream opened, 0 when its message has come: most calls are made of two frames in a row. */
  #newId = 0;
  #newPath = "";
  /** Other open streams. */
  readonly #streams = new Map<number, { readonly path: string; readonly isAnswered: boolean }>();
  #greeted = 0;
  #received = 0;
  #isFlushPlanned = false;

  constructor(store: NullStore, socket: Socket) {
    this.#store = store;
    this.#writer = new FrameWriter(writeTo(socket));
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => store.forget(this));
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    // A stream's window is never renewed, and a message that did not fit into it would come in two frames.
    this.#writer.frame(FrameType.settings, 0, 0, 6);
    this.#writer.uint16(SettingsId.initialWindowSize);
    this.#writer.uint32(windowMax);
    this.#writer.windowUpdate(0, windowMax - 65_535);
    this.flush();
  }

  /** Writes one message of a call; the first one comes after the headers, the last one before the trailers. */
  send(streamId: number, message: MessageWriter, place: { readonly isFirst: boolean; readonly isLast: boolean }): void {
    if (place.isFirst) {
      this.#writer.frame(FrameType.headers, Flag.endHeaders, streamId, answerHeaders.length);
      this.#writer.bytes(answerHeaders);
    }
    const firstSize = Math.min(message.size, frameSizeMax - messagePrefixSize);
    this.#writer.frame(FrameType.data, 0, streamId, messagePrefixSize + firstSize);
    this.#writer.uint8(0);
    this.#writer.uint32(message.size);
    this.#writer.bytes(message.bytes, 0, firstSize);
    for (let at = firstSize; at < message.size; at += frameSizeMax) {
      const size = Math.min(frameSizeMax, message.size - at);
      this.#writer.frame(FrameType.data, 0, streamId, size);
      this.#writer.bytes(message.bytes, at, at + size);
    }
    if (place.isLast) {
      this.#writer.frame(FrameType.headers, Flag.endHeaders | Flag.endStream, streamId, answerTrailers.length);
      this.#writer.bytes(answerTrailers);
    }
  }

  flush(): void {
    this.#writer.flush();
  }

  /** Flushes at the end of the turn: events of several puts go out in one write. */
  planFlush(): void {
    if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      setImmediate(() => {
        this.#isFlushPlanned = false;
        this.flush();
      });
    }
  }

  #onData(chunk: Buffer): void {
    let start = 0;
    if (this.#greeted < preface.length) {
      start = Math.min(preface.length - this.#greeted, chunk.length);
      this.#greeted += start;
    }
    while (start < chunk.length) {
      const copied = chunk.copy(inputTarget, 0, start);
      start += copied;
      this.#reader.read(copied, this);
    }
    this.flush();
  }

  /** For the frame reader only. */
  onFrame(type: number, flags: number, id: number, start: number, end: number): void {
    if (type === FrameType.headers) {
      if (this.#newId !== 0) {
        this.#streams.set(this.#newId, { path: this.#newPath, isAnswered: false });
      }
      this.#newId = id;
      this.#newPath = this.#path(start, end);
    } else if (type === FrameType.data) {
      this.#received += end - start;
      if (this.#received > creditStep) {
        this.#writer.windowUpdate(0, this.#received);
        this.#received = 0;
      }
      this.#onMessage(id, (flags & Flag.endStream) !== 0, start + messagePrefixSize, end);
    } else if (type === FrameType.settings && (flags & Flag.ack) === 0) {
      this.#writer.frame(FrameType.settings, Flag.ack, 0, 0);
    }
  }

  #onMessage(id: number, isLast: boolean, start: number, end: number): void {
    if (id === this.#newId && isLast) {
      this.#newId = 0;
      this.send(id, this.#answer(this.#newPath, id, start, end), onlyOne);
      return;
    }
    const stream = id === this.#newId ? { path: this.#newPath, isAnswered: false } : this.#streams.get(id);
    if (stream === undefined) {
      throw new Error(`stream ${id} is not open`);
    }
    if (id === this.#newId) this.#newId = 0;
    if (!stream.isAnswered) {
      this.#streams.set(id, { path: stream.path, isAnswered: true });
    }
    if (isLast) {
      this.#streams.delete(id);
    }
    this.send(id, this.#answer(stream.path, id, start, end), { isFirst: !stream.isAnswered, isLast });
  }

  #answer(path: string, id: number, start: number, end: number): MessageWriter {
    const { bytes } = input;
    const store = this.#store;
    switch (path) {
      case KvPath.put:
        return store.put(bytes, start, end);
      case KvPath.range:
        return store.range(bytes, start, end);
      case KvPath.txn:
        return store.txn();
      case LeasePath.grant:
        return store.leaseGrant(bytes, start, end);
      case LeasePath.keepAlive:
        return store.leaseKeepAlive(bytes, start, end);
      case watchPath:
        return store.watch(this, id);
      default:
        throw new Error("the null server was asked for a method it does not know");
    }
  }

  #path(start: number, end: number): string {
    const size = end - start;
    for (let i = 0; i < this.#paths.length; i++) {
      const known = this.#paths[i] as KnownPath;
      if (known.block.size === size && known.block.isSame(0, size, input, start)) {
        return known.path;
      }
    }
    const generation = this.#decoder.generation;
    const fields = this.#decoder.decode(input.bytes, start, end);
    const path = fields.find(([name]) => name === ":path")?.[1] ?? "";
    if (generation === this.#decoder.generation) {
      this.#paths.push({ block: Region.copyOf(input.bytes, start, end), path });
    } else {
      this.#paths.length = 0;
    }
    return path;
  }
}

/** Starts a null server on a free port of 127.0.0.1. */
export async function startNullServer(): Promise<{ server: Server; port: number }> {
  const store = new NullStore();
  const server = createServer((socket) => new Session(store, socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("a TCP server has no port");
  }
  return { server, port: address.port };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { port } = await startNullServer();
  console.log(port);
  process.stdin.on("end", () => process.exit(0)).resume();
}
