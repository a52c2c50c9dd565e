/**
 * A server that knows the right answers without doing the work: no log, no store, no disk. What the generator reaches
 * against it is the generator's own ceiling.
 *
 * As a program it listens on a free port of 127.0.0.1, prints the port, and ends when its standard input does.
 */

import { createServer, type Server, type Socket } from "node:net";
import { pathToFileURL } from "node:url";
import { Flag, FrameReader, FrameType, FrameWriter, frameSizeMax, preface, windowMax, writeTo } from "./frames.js";
import { HpackDecoder } from "./hpack.js";
import { benchmarkKeys, type KeySpace } from "./key-space.js";
import { KvPath } from "./kv-work.js";
import { LeasePath } from "./lease-work.js";
import { MessageReader, MessageWriter } from "./message.js";
import { watchPath } from "./watch-load.js";

const messagePrefixSize = 5;
const messageSizeMax = 2 ** 20;
/** Credit is given back in steps of this size. */
const creditStep = 2 ** 24;
/** `:status: 200` and `content-type: application/grpc`, without the dynamic table. */
const answerHeaders = Buffer.from([0x88, 0x0f, 0x10, 16, ...Buffer.from("application/grpc")]);
/** `grpc-status: 0`. */
const answerTrailers = Buffer.from([0x00, 11, ...Buffer.from("grpc-status"), 1, 48]);

interface NullStream {
  readonly path: string;
  hasAnswered: boolean;
}

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
    const answer = this.#start();
    if (last < 0) {
      this.#keyValue(first);
      return answer.span(2, this.#part.bytes, this.#part.size).uint(4, 1);
    }
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
      session.send(streamId, this.#start().uint(2, watchId).span(11, event), false);
      session.planFlush();
    }
  }

  #start(): MessageWriter {
    this.#header.reset().uint(1, 1).uint(2, 1).uint(3, this.#revision).uint(4, 2);
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
class Session {
  readonly #store: NullStore;
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  readonly #decoder = new HpackDecoder();
  readonly #paths = new Map<string, string>();
  readonly #streams = new Map<number, NullStream>();
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
    this.#writer.frame(FrameType.settings, 0, 0, 0);
    this.#writer.windowUpdate(0, windowMax - 65_535);
    this.flush();
  }

  /** Writes one message of a call; the last one is followed by the trailers. */
  send(streamId: number, message: MessageWriter, isLast: boolean): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined && !stream.hasAnswered) {
      stream.hasAnswered = true;
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
    if (isLast) {
      this.#streams.delete(streamId);
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
      const copied = chunk.copy(this.#reader.free(), 0, start);
      start += copied;
      this.#reader.read(copied, this.#onFrame);
    }
    this.flush();
  }

  readonly #onFrame = (type: number, flags: number, id: number, start: number, end: number): void => {
    if (type === FrameType.headers) {
      this.#streams.set(id, { path: this.#path(start, end), hasAnswered: false });
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
  };

  #onMessage(id: number, isLast: boolean, start: number, end: number): void {
    const bytes = this.#reader.input;
    const store = this.#store;
    switch (this.#streams.get(id)?.path) {
      case KvPath.put:
        return this.send(id, store.put(bytes, start, end), isLast);
      case KvPath.range:
        return this.send(id, store.range(bytes, start, end), isLast);
      case KvPath.txn:
        return this.send(id, store.txn(), isLast);
      case LeasePath.grant:
        return this.send(id, store.leaseGrant(bytes, start, end), isLast);
      case LeasePath.keepAlive:
        return this.send(id, store.leaseKeepAlive(bytes, start, end), isLast);
      case watchPath:
        return this.send(id, store.watch(this, id), isLast);
      default:
        throw new Error("the null server was asked for a method it does not know");
    }
  }

  #path(start: number, end: number): string {
    const block = this.#reader.input.toString("latin1", start, end);
    const known = this.#paths.get(block);
    if (known !== undefined) {
      return known;
    }
    const generation = this.#decoder.generation;
    const fields = this.#decoder.decode(this.#reader.input, start, end);
    const path = fields.find(([name]) => name === ":path")?.[1] ?? "";
    if (generation === this.#decoder.generation) {
      this.#paths.set(block, path);
    } else {
      this.#paths.clear();
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
