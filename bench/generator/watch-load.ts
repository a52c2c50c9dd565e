/**
 * The watch load: many watchers of one key, and a writer that stays a few events ahead of the slowest of them. Every
 * watcher must see every revision of the key, once and in order.
 */

import { type CallHandler, Connection } from "./connection.js";
import { Histogram } from "./histogram.js";
import type { KeySpace } from "./key-space.js";
import { PutWork, Steps } from "./kv-work.js";
import { MessageReader, MessageWriter } from "./message.js";
import { Region } from "./region.js";
import { headerRevision } from "./response-header.js";
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

const headerTag = 0x0a;
const watchIdTag = 0x10;

/** An event that was checked: its field of the answer, the header's, its position, and the put it is of. */
interface KnownEvent {
  readonly position: number;
  readonly header: Region;
  readonly field: Region;
  readonly serial: number;
}

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
  /**
   * By position, modulo the ring's size. All watchers are given the same bytes, which are read once and then compared.
   */
  readonly #knownEvents: (KnownEvent | undefined)[] = new Array(ringSize).fill(undefined);
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
        onMessage: (region, start, end) => {
          if (this.#isKnown(stream, region, start, end)) {
            return;
          }
          if (this.#onResponse(stream, region, start, end) === "created" && ++created === watchers) {
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

  /** Takes an answer made of a header and an event that were read before; false for any other. */
  #isKnown(stream: number, region: Region, start: number, end: number): boolean {
    // A header is shorter than 128 bytes, and behind it there is at least an id of two.
    const headerSize = 2 + region.view.getUint8(start + 1);
    let at = start + headerSize;
    if (region.view.getUint8(start) !== headerTag || at + 2 > end) {
      return false;
    }
    let watchId = 0;
    if (region.view.getUint8(at) === watchIdTag) {
      let shift = 0;
      let byte = 0x80;
      for (at++; byte >= 0x80 && at < end && shift < 28; shift += 7) {
        byte = region.view.getUint8(at++);
        watchId |= (byte & 0x7f) << shift;
      }
    }
    const { watchers } = this.#options;
    const watcher = stream * watchers + watchId;
    const position = this.#positions[watcher] ?? 0;
    const known = watchId < watchers ? this.#known(position, region, at, end) : undefined;
    if (known === undefined || known.header.size !== headerSize || !known.header.isSame(0, headerSize, region, start)) {
      return false;
    }
    this.#onEvent(watcher, position, known.serial);
    return true;
  }

  /** The event that was checked at `position`, if its field is `[start, end)`. */
  #known(position: number, region: Region, start: number, end: number): KnownEvent | undefined {
    const known = this.#knownEvents[position % ringSize];
    const size = end - start;
    return known?.position === position && known.field.size === size && known.field.isSame(0, size, region, start)
      ? known
      : undefined;
  }

  #onResponse(stream: number, region: Region, start: number, end: number): "created" | "events" {
    const { watchers } = this.#options;
    const { bytes } = region;
    let revision = 0;
    let headerEnd = start;
    let watchId = 0;
    let isCreated = false;
    outer.reset(bytes, start, end);
    while (outer.next()) {
      if (outer.field === 1) {
        revision = headerRevision(region, outer.spanStart, outer.spanEnd);
        headerEnd = outer.spanEnd;
      } else if (outer.field === 2) {
        watchId = outer.value;
      } else if (outer.field === 3) {
        isCreated = true;
        this.#firstRevision = revision;
      } else if (outer.field === 11) {
        const watcher = stream * watchers + watchId;
        const position = this.#positions[watcher] ?? 0;
        let known = this.#known(position, region, outer.fieldStart, outer.spanEnd);
        if (known === undefined) {
          const serial = this.#checkEvent(watcher, region, outer.spanStart, outer.spanEnd);
          const header = Region.copyOf(bytes, start, headerEnd);
          known = { position, header, field: Region.copyOf(bytes, outer.fieldStart, outer.spanEnd), serial };
          this.#knownEvents[position % ringSize] = known;
        }
        this.#onEvent(watcher, position, known.serial);
      } else {
        throw new Error(`a watch answer has field ${outer.field}`);
      }
    }
    if (watchId >= watchers) {
      throw new Error(`watch id ${watchId} was never given`);
    }
    return isCreated ? "created" : "events";
  }

  /** Checks a put's event and returns the put's serial number. */
  #checkEvent(watcher: number, region: Region, start: number, end: number): number {
    let serial = -1;
    event.reset(region.bytes, start, end);
    while (event.next()) {
      if (event.field === 2) {
        serial = this.#checkKeyValue(watcher, region, event.spanStart, event.spanEnd);
      } else if (event.field === 1 && event.value !== 0) {
        throw new Error("a put was delivered as another event");
      }
    }
    if (serial < 0) {
      throw new Error(`watcher ${watcher} was given an event without a key`);
    }
    return serial;
  }

  #onEvent(watcher: number, position: number, serial: number): void {
    if (watcher % latencySampling === 0) {
      this.#latency.record(performance.now() - (this.#sentMs[serial % ringSize] ?? 0));
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
  #checkKeyValue(watcher: number, region: Region, start: number, end: number): number {
    const { keys } = this.#options;
    const { bytes } = region;
    let serial = -1;
    let modRevision = 0;
    keyValue.reset(bytes, start, end);
    while (keyValue.next()) {
      if (keyValue.field === 3) {
        modRevision = keyValue.value;
      } else if (keyValue.field === 5 && keys.isValueOf(0, region, keyValue.spanStart, keyValue.spanEnd)) {
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
