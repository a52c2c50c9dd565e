/**
 * The watch load: many watchers of one key, and a writer that stays a few events ahead of the slowest of them. Every
 * watcher must see every revision of the key, once and in order.
 */

import { type CallHandler, Connection } from "./connection.js";
import { Histogram } from "./histogram.js";
import type { KeySpace } from "./key-space.js";
import { headerRevision, PutWork, Steps } from "./kv-work.js";
import { MessageReader, MessageWriter } from "./message.js";
import { Revisions } from "./revisions.js";

export const watchPath = "/etcdserverpb.Watch/Watch";

export interface WatchOptions {
  readonly host: string;
  readonly port: number;
  /** Watch streams, each on a connection of its own. */
  readonly streams: number;
  /** Watchers per stream. */
  readonly watchers: number;
  readonly seconds: number;
  /** Must hold one key. */
  readonly keys: KeySpace;
}

/** Puts that may be on their way to the slowest watcher. */
const putsInFlight = 16;
/** More than can be in flight, so that slots are free again when they come round. */
const ringSize = 64;
/** One watcher in so many has its latencies recorded: reading the clock costs as much as reading an event. */
const latencySampling = 16;

const outer = new MessageReader();
const event = new MessageReader();
const keyValue = new MessageReader();

/** `calls` counts events delivered; the latency is from sending the put to the event. */
export async function runWatches(
  options: WatchOptions,
): Promise<{ calls: number; seconds: number; latency: Histogram }> {
  const load = new WatchLoad(options);
  try {
    await load.open();
    return await load.run();
  } finally {
    load.close();
  }
}

class WatchLoad {
  readonly #options: WatchOptions;
  readonly #connections: Connection[] = [];
  readonly #latency = new Histogram();
  readonly #put: PutWork;
  /** Send times by the put's serial number. The server may commit puts in another order than they were sent. */
  readonly #sentMs = new Float64Array(ringSize);
  /** How many watchers have seen a revision, by its distance from the first. */
  readonly #seen = new Uint32Array(ringSize);
  /** How many events each watcher has seen. */
  readonly #positions: Uint32Array;
  /** The revision before the first put, told by the answers to the watches. */
  #firstRevision = 0;
  /** Events that every watcher has seen. */
  #done = 0;
  #sent = 0;
  #events = 0;
  #writer: Connection | undefined;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #fail: (error: Error) => void = () => {};
  #finish: () => void = () => {};
  readonly #ended: Promise<void>;

  constructor(options: WatchOptions) {
    this.#options = options;
    const load = { keys: options.keys, revisions: new Revisions(), steps: new Steps() };
    this.#put = new PutWork(load);
    this.#positions = new Uint32Array(options.streams * options.watchers);
    this.#ended = new Promise<void>((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.#ended.catch(() => {});
  }

  async open(): Promise<void> {
    const { host, port, streams } = this.#options;
    this.#writer = await Connection.open(host, port, this.#fail);
    for (let stream = 0; stream < streams; stream++) {
      const connection = await Connection.open(host, port, this.#fail);
      this.#connections.push(connection);
      await Promise.race([this.#watch(connection, stream), this.#ended]);
    }
  }

  async run(): Promise<{ calls: number; seconds: number; latency: Histogram }> {
    const startedMs = performance.now();
    this.#deadlineMs = startedMs + this.#options.seconds * 1000;
    this.#fill();
    await this.#ended;
    return { calls: this.#events, seconds: (performance.now() - startedMs) / 1000, latency: this.#latency };
  }

  close(): void {
    this.#writer?.close();
    for (const connection of this.#connections) {
      connection.close();
    }
  }

  /** Resolves when all watchers of the stream are created. */
  #watch(connection: Connection, stream: number): Promise<void> {
    const { keys, watchers } = this.#options;
    return new Promise((resolve) => {
      let created = 0;
      const handler: CallHandler = {
        onMessage: (bytes, start, end) => {
          if (this.#onResponse(stream, bytes, start, end) === "created" && ++created === watchers) {
            resolve();
          }
        },
        onEnd: (status, text) => this.#fail(new Error(`a watch stream ended with status ${status}: ${text}`)),
      };
      const key = new Uint8Array(keys.keySize);
      keys.writeKey(key, 0, 0);
      const create = new MessageWriter(keys.keySize + 16).span(1, key).finish();
      const request = new MessageWriter(create.length + 16).span(1, create).finish();
      const call = connection.stream(watchPath, handler);
      for (let i = 0; i < watchers; i++) {
        call.write(request, request.length);
      }
    });
  }

  #onResponse(stream: number, bytes: Buffer, start: number, end: number): "created" | "events" {
    const { watchers } = this.#options;
    let revision = 0;
    let watchId = 0;
    let isCreated = false;
    outer.reset(bytes, start, end);
    while (outer.next()) {
      if (outer.field === 1) {
        revision = headerRevision(bytes, outer.spanStart, outer.spanEnd);
      } else if (outer.field === 2) {
        watchId = outer.value;
      } else if (outer.field === 3) {
        isCreated = true;
        this.#firstRevision = revision;
      } else if (outer.field === 11) {
        this.#onEvent(stream * watchers + watchId, bytes, outer.spanStart, outer.spanEnd);
      } else {
        throw new Error(`a watch answer has field ${outer.field}`);
      }
    }
    if (watchId >= watchers) {
      throw new Error(`watch id ${watchId} was never given`);
    }
    return isCreated ? "created" : "events";
  }

  #onEvent(watcher: number, bytes: Buffer, start: number, end: number): void {
    const position = this.#positions[watcher] ?? 0;
    event.reset(bytes, start, end);
    while (event.next()) {
      if (event.field === 2) {
        const serial = this.#checkKeyValue(watcher, bytes, event.spanStart, event.spanEnd);
        if (watcher % latencySampling === 0) {
          this.#latency.record(performance.now() - (this.#sentMs[serial % ringSize] ?? 0));
        }
      } else if (event.field === 1 && event.value !== 0) {
        throw new Error("a put was delivered as another event");
      }
    }
    this.#events++;
    this.#positions[watcher] = position + 1;
    const seen = (this.#seen[position % ringSize] ?? 0) + 1;
    this.#seen[position % ringSize] = seen;
    if (seen === this.#positions.length) {
      this.#seen[position % ringSize] = 0;
      this.#done++;
      this.#fill();
    }
  }

  /** Nothing else is written, so that a lost, doubled or misplaced event shows as a wrong revision. */
  #checkKeyValue(watcher: number, bytes: Buffer, start: number, end: number): number {
    const { keys } = this.#options;
    let serial = -1;
    let modRevision = 0;
    keyValue.reset(bytes, start, end);
    while (keyValue.next()) {
      if (keyValue.field === 3) {
        modRevision = keyValue.value;
      } else if (keyValue.field === 5 && keys.isValueOf(0, bytes, keyValue.spanStart, keyValue.spanEnd)) {
        serial = keys.serialOf(bytes, keyValue.spanStart);
      }
    }
    const expected = this.#firstRevision + 1 + (this.#positions[watcher] ?? 0);
    if (modRevision !== expected || serial < 0) {
      throw new Error(`watcher ${watcher} was given revision ${modRevision} where ${expected} is next`);
    }
    return serial;
  }

  #fill(): void {
    while (this.#sent - this.#done < putsInFlight && performance.now() < this.#deadlineMs) {
      const request = this.#put.prepare();
      if (request === undefined) {
        break;
      }
      this.#sentMs[this.#sent++ % ringSize] = performance.now();
      this.#writer?.unary(request.path, request.message, request.size, {
        onMessage: () => {},
        onEnd: (status, text) => {
          if (status !== 0) {
            this.#fail(new Error(`a put ended with status ${status}: ${text}`));
          }
        },
      });
    }
    if (this.#sent === this.#done) {
      this.#finish();
    }
  }
}
