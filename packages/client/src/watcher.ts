/**
 * One watch as its user sees it: an iterator of answers that goes on over broken connections, without a gap and without
 * a repetition, until it is left, ends with an error, or the client is closed.
 */

import {
  createResponseHeader,
  type ResponseHeader,
  type WatchCreateRequestInit,
  type WatchResponse as WireWatchResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { Event } from "@etcd-ts/api/mvccpb";
import { AsyncQueue } from "./async-queue.js";

/** Events of one or more whole revisions, or none: all events up to `header.revision` have been delivered. */
export interface WatchResponse {
  readonly header: ResponseHeader;
  readonly events: readonly Event[];
}

/**
 * Events that may wait for a slow consumer. Above it the watch is cancelled on the server, and taken up again where it
 * stopped when the consumer has caught up: memory stays bounded and nothing is lost, unless it is compacted meanwhile.
 */
export const waitingEventsMax = 10_000;

/** What a watcher asks of the stream that carries it. */
export interface WatcherHost {
  /** The consumer has left, or the watcher has ended: forget it. */
  remove(watcher: Watcher): void;
  /** Stops the watch on the server; `resume` starts it again. */
  park(watcher: Watcher): void;
  resume(watcher: Watcher): void;
}

export class Watcher implements AsyncIterableIterator<WatchResponse> {
  /** Resolves when the server has registered the watch for the first time: what happens from then on is seen. */
  readonly created: Promise<ResponseHeader>;
  readonly #request: WatchCreateRequestInit;
  readonly #host: WatcherHost;
  readonly #queue: AsyncQueue<WatchResponse>;
  readonly #onCreated: (header: ResponseHeader) => void;
  readonly #onNotCreated: (error: unknown) => void;
  #nextRevision: number;
  #header: ResponseHeader = createResponseHeader();
  #fragments: Event[] = [];
  #waitingEvents = 0;
  #parked = false;
  #ended = false;

  /** `request.startRevision` 0 = from now on. */
  constructor(request: WatchCreateRequestInit, host: WatcherHost) {
    this.#request = request;
    this.#host = host;
    this.#nextRevision = request.startRevision ?? 0;
    this.#queue = new AsyncQueue({ onEmpty: () => this.#caughtUp(), onReturn: () => this.end() });
    const { promise, resolve, reject } = withResolvers<ResponseHeader>();
    this.created = promise;
    this.#onCreated = resolve;
    this.#onNotCreated = reject;
    // Whoever only iterates learns of the failure there.
    promise.catch(() => {});
  }

  /** The first revision that has not been delivered yet; 0 = the watch has not been registered. */
  get nextRevision(): number {
    return this.#nextRevision;
  }

  /** Of the last answer of any kind; zeros before there was one. */
  get header(): ResponseHeader {
    return this.#header;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get parked(): boolean {
    return this.#parked;
  }

  next(): Promise<IteratorResult<WatchResponse>> {
    return this.#queue.next();
  }

  /** Ends the watch. */
  return(): Promise<IteratorResult<WatchResponse>> {
    return this.#queue.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The events one by one, without the answers around them. */
  async *events(): AsyncGenerator<Event, void, undefined> {
    for await (const { events } of this) yield* events;
  }

  /** Of the stream: the request that starts the watch, or takes it up again. */
  createRequest(watchId: bigint): WatchCreateRequestInit {
    this.#fragments = [];
    return { ...this.#request, startRevision: this.#nextRevision, watchId, fragment: true };
  }

  /** Of the stream: the server has registered the watch as of `header.revision`. */
  registered(header: ResponseHeader): void {
    // Events after this revision are delivered, whether or not the stream lives to deliver the first.
    if (this.#nextRevision === 0) this.#nextRevision = header.revision + 1;
    this.#header = header;
    this.#onCreated(header);
  }

  /** Of the stream: events, or the news that there are none up to a revision. */
  received({ events, fragment }: WireWatchResponse, header: ResponseHeader): void {
    if (this.#ended || this.#parked) return;
    this.#header = header;
    const all = this.#fragments.length === 0 ? events : [...this.#fragments, ...events];
    if (fragment) {
      this.#fragments = [...all];
      return;
    }
    this.#fragments = [];
    const last = all.at(-1)?.kv?.modRevision ?? header.revision;
    this.#nextRevision = Math.max(this.#nextRevision, last + 1);
    this.#waitingEvents = this.#queue.size === 0 ? all.length : this.#waitingEvents + all.length;
    this.#queue.push({ header, events: all });
    if (this.#queue.size > 0 && this.#waitingEvents > waitingEventsMax) {
      this.#parked = true;
      this.#host.park(this);
    }
  }

  /** The watch is over; with an error, the consumer's loop throws it after what waits. */
  end(error?: unknown, header?: ResponseHeader): void {
    if (this.#ended) return;
    if (header !== undefined) this.#header = header;
    this.#ended = true;
    this.#onNotCreated(error ?? new Error("the watch has ended"));
    this.#queue.end(error);
    this.#host.remove(this);
  }

  #caughtUp(): void {
    this.#waitingEvents = 0;
    if (!this.#parked || this.#ended) return;
    this.#parked = false;
    this.#host.resume(this);
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
