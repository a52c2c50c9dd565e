/**
 * One Watch call's way out: the messages waiting for its client, in order, and the watchers of the stream by id.
 *
 * The rpc layer takes responses with `next` for as long as its connection has room and is told by `onReady` when there
 * is something to take again. While it does not take, further events of a watcher are merged into its waiting message;
 * when the stream is full (see limits.ts), watchers fall behind and catch up from the store once it drains. Nothing is
 * ever skipped: a watcher gets every event, or a cancellation.
 *
 * There is one queue for replies, events and progress. So a watcher's `created` precedes its events without further
 * care, and a progress notification is preceded by all it promises.
 */

import { assert } from "../assert.js";
import { mergedBytesMax, mergedEventsMax, streamRepliesMax } from "./limits.js";
import { PackedEvents } from "./packed-events.js";
import type { HeaderFields } from "./response-headers.js";
import type { WatchEvent } from "./watch-event.js";
import {
  EventsMessage,
  EventsResponse,
  encodeReply,
  envelopeBytes,
  PackedMessage,
  PackedResponse,
  type QueuedMessage,
  ReplyMessage,
  ReplyResponse,
  type WatchResponse,
} from "./watch-message.js";
import type { Watcher } from "./watcher.js";

/** Undelivered events and bytes of them from which on a stream takes no more. */
export interface StreamLimits {
  readonly eventsMax?: number;
  readonly bytesMax?: number;
}

export interface WatchStreamOptions extends StreamLimits {
  /** When the stream was opened, monotonic ms. */
  readonly nowMs: number;
  /** Between automatic progress notifications: the flag's interval plus this stream's share of jitter. */
  readonly progressIntervalMs: number;
  /** Above this size a response to a watcher with `fragment` is split: `--max-request-bytes` plus 512 KiB. */
  readonly fragmentBytes: number;
}

/** Events of one watcher up to a revision; `bytes` in the form the watcher gets. */
export interface EventBatch {
  readonly events: readonly WatchEvent[];
  readonly bytes: number;
  /** The last revision covered. */
  readonly revision: number;
}

/** The same, of many. */
export interface PackedBatch {
  readonly events: PackedEvents;
  readonly bytes: number;
  readonly revision: number;
}

export type Batch = EventBatch | PackedBatch;

/** What a stream tells the hub. */
export interface StreamOwner {
  /** A full stream has room again. */
  drained(stream: WatchStream): void;
}

const everyWatcher = -1n;

export class WatchStream {
  readonly progressIntervalMs: number;
  readonly #owner: StreamOwner;
  readonly #fragmentBytes: number;
  readonly #eventsMax: number;
  readonly #bytesMax: number;
  readonly #watchers = new Map<bigint, Watcher>();

  #head: QueuedMessage | undefined;
  #last: QueuedMessage | undefined;
  #queuedEvents = 0;
  #queuedBytes = 0;
  #queuedReplies = 0;
  /** Moves on with each stream-wide progress notification. */
  #epoch = 0;
  /** A message that is being sent in pieces, and the first event not yet sent. */
  #splitting: { readonly message: EventsMessage; from: number } | undefined;
  #onReady: () => void = () => {};
  #isAwaited = true;
  #isClosed = false;

  // Owned by the hub.
  /** Batches that found the stream full, in the order they came. */
  readonly victims: Map<Watcher, Batch> = new Map();
  /** Watchers that are behind and wait for room. */
  readonly parked: Set<Watcher> = new Set();
  /** Place in the hub's heap of progress deadlines. */
  dueMs = 0;
  position = -1;

  constructor(owner: StreamOwner, options: WatchStreamOptions & Required<StreamLimits>) {
    this.#owner = owner;
    this.progressIntervalMs = options.progressIntervalMs;
    this.#fragmentBytes = options.fragmentBytes;
    this.#eventsMax = options.eventsMax;
    this.#bytesMax = options.bytesMax;
  }

  // For the rpc layer.

  /** Called, during some other call, when `next` has something again after it had nothing; at once if it has now. */
  onReady(callback: () => void): void {
    this.#onReady = callback;
    if (!this.#isAwaited) callback();
  }

  /**
   * Takes the next response, undefined when nothing waits. The response must be written before the next call of
   * anything here.
   */
  next(headers: HeaderFields): WatchResponse | undefined {
    if (this.#splitting !== undefined) {
      const piece = this.#nextPiece(headers);
      if (piece !== undefined) return piece;
    }
    for (;;) {
      const message = this.#shift();
      if (message === undefined) {
        this.#isAwaited = true;
        return undefined;
      }
      this.#release(message);
      const response = this.#send(message, headers);
      if (response !== undefined) return response;
    }
  }

  /** The hub has closed the stream: it takes nothing more and has nothing to give. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Too many replies wait: read no further requests before some were taken. */
  get isReplyQueueFull(): boolean {
    return this.#queuedReplies >= streamRepliesMax;
  }

  get queuedEvents(): number {
    return this.#queuedEvents;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  // For the session and the hub.

  watcher(id: bigint): Watcher | undefined {
    return this.#watchers.get(id);
  }

  watchers(): Iterable<Watcher> {
    return this.#watchers.values();
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  addWatcher(watcher: Watcher): void {
    assert(!this.#watchers.has(watcher.id), "a watch id is unique on its stream");
    this.#watchers.set(watcher.id, watcher);
  }

  /** The watcher is in no group any more; what is queued for it will be dropped. */
  removeWatcher(watcher: Watcher): void {
    watcher.state = "removed";
    watcher.tail = undefined;
    this.#watchers.delete(watcher.id);
    this.victims.delete(watcher);
    this.parked.delete(watcher);
  }

  /** Forgets everything that is queued; the watchers were removed. */
  close(): void {
    assert(this.#watchers.size === 0, "a stream is closed without watchers");
    this.#isClosed = true;
    this.#head = undefined;
    this.#last = undefined;
    this.#splitting = undefined;
    this.#queuedEvents = 0;
    this.#queuedBytes = 0;
    this.#queuedReplies = 0;
  }

  /** No further events are taken. */
  get isFull(): boolean {
    return this.#queuedEvents >= this.#eventsMax || this.#queuedBytes >= this.#bytesMax;
  }

  /** Queues events; the stream must not be full. A batch is never split, so the limits may be passed by one batch. */
  pushEvents(watcher: Watcher, batch: Batch): void {
    assert(!this.isFull, "events are queued only while there is room");
    this.#queuedEvents += batch.events.length;
    this.#queuedBytes += batch.bytes;
    if (isPacked(batch)) {
      watcher.tail = undefined;
      return this.#push(new PackedMessage(watcher, batch.events, batch.revision));
    }
    const tail = watcher.tail;
    if (tail !== undefined && tail.epoch === this.#epoch && fits(tail, batch)) {
      tail.append(batch);
      return;
    }
    watcher.tail = new EventsMessage(watcher, batch, this.#epoch);
    this.#push(watcher.tail);
  }

  /** Queues the answer to a request. */
  pushReply(revision: number, body: Uint8Array): void {
    this.#queuedReplies++;
    this.#push(new ReplyMessage({ purpose: "reply", revision, body }));
  }

  /**
   * Queues a notification that the watcher, or every one, has all events up to the revision. The stream must not be
   * full: a notification takes the room of an event.
   */
  pushProgress(revision: number, watcher: Watcher | undefined): void {
    assert(!this.isFull, "progress is queued only while there is room");
    this.#queuedEvents++;
    const body = encodeReply({ id: watcher?.id ?? everyWatcher });
    if (watcher === undefined) {
      this.#epoch++;
      this.#push(new ReplyMessage({ purpose: "progress", revision, body }));
    } else {
      watcher.tail = undefined;
      this.#push(new ReplyMessage({ watcher, purpose: "progress", revision, body }));
    }
  }

  /** Queues the one cancellation of a watcher whose history is gone, full or not: it is the last it takes. */
  pushCompacted(watcher: Watcher, compactRevision: number): void {
    const body = encodeReply({ id: watcher.id, canceled: true, compactRevision });
    this.#push(new ReplyMessage({ watcher, purpose: "compacted", revision: 0, body }));
  }

  #push(message: QueuedMessage): void {
    if (this.#last === undefined) this.#head = message;
    else this.#last.next = message;
    this.#last = message;
    this.#announce();
  }

  #announce(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#onReady();
  }

  #shift(): QueuedMessage | undefined {
    const message = this.#head;
    if (message === undefined) return undefined;
    this.#head = message.next;
    if (this.#head === undefined) this.#last = undefined;
    message.next = undefined;
    return message;
  }

  /** Gives back the room a message took, and lets the hub use it once half of all is free. */
  #release(message: QueuedMessage): void {
    if (message.kind !== "reply") {
      // Nothing may be merged into it any more, in particular nothing that comes back now.
      if (message.watcher.tail === message) message.watcher.tail = undefined;
      this.#queuedEvents -= message.events.length;
      this.#queuedBytes -= message.eventBytes;
    } else if (message.purpose === "reply") this.#queuedReplies--;
    else if (message.purpose === "progress") this.#queuedEvents--;
    // Watchers that fell behind come back in bulk, not one for each message taken.
    const isHalfEmpty = this.#queuedEvents * 2 <= this.#eventsMax && this.#queuedBytes * 2 <= this.#bytesMax;
    if (isHalfEmpty && (this.victims.size > 0 || this.parked.size > 0)) this.#owner.drained(this);
  }

  #send(message: QueuedMessage, headers: HeaderFields): WatchResponse | undefined {
    if (message.kind === "events") return this.#sendEvents(message, headers);
    if (message.kind === "reply") return this.#sendReply(message, headers);
    const { watcher, revision } = message;
    if (watcher.state === "removed") return undefined;
    watcher.wasQuiet = false;
    return new PackedResponse(message, headers.field(revision));
  }

  #sendReply(message: ReplyMessage, headers: HeaderFields): WatchResponse | undefined {
    const { watcher } = message;
    if (watcher?.state === "removed") return undefined;
    if (message.purpose === "compacted") {
      assert(watcher?.state === "compacted", "a cancellation is queued once");
      this.removeWatcher(watcher);
    }
    return new ReplyResponse(message, headers);
  }

  #sendEvents(message: EventsMessage, headers: HeaderFields): WatchResponse | undefined {
    const { watcher } = message;
    if (watcher.state === "removed") return undefined;
    watcher.wasQuiet = false;
    const header = headers.field(message.revision);
    const wholeSize = envelopeBytes(watcher, header, false) + message.eventBytes;
    if (watcher.fragment && wholeSize >= this.#fragmentBytes && message.events.length > 1) {
      this.#splitting = { message, from: 0 };
      return this.#nextPiece(headers);
    }
    const piece = { lo: 0, hi: message.events.length, eventBytes: message.eventBytes, isFragment: false };
    return new EventsResponse(message, header, piece);
  }

  /** As many events as stay below the fragment size, at least one. Undefined when the watcher is gone. */
  #nextPiece(headers: HeaderFields): WatchResponse | undefined {
    const splitting = this.#splitting;
    assert(splitting !== undefined, "a message is being split");
    const { message, from } = splitting;
    const { watcher, events } = message;
    if (watcher.state === "removed") {
      this.#splitting = undefined;
      return undefined;
    }
    const header = headers.field(message.revision);
    // All pieces are measured as if marked, the last one too, which is not: etcd measures them that way.
    const envelope = envelopeBytes(watcher, header, true);
    let eventBytes = 0;
    let hi = from;
    for (; hi < events.length; hi++) {
      const size = (events[hi] as WatchEvent).bytes(watcher.prevKv).length;
      if (hi > from && envelope + eventBytes + size >= this.#fragmentBytes) break;
      eventBytes += size;
    }
    const isLast = hi === events.length;
    if (isLast) this.#splitting = undefined;
    else splitting.from = hi;
    return new EventsResponse(message, header, { lo: from, hi, eventBytes, isFragment: !isLast });
  }
}

function isPacked(batch: Batch): batch is PackedBatch {
  return batch.events instanceof PackedEvents;
}

function fits(tail: EventsMessage, batch: EventBatch): boolean {
  return tail.events.length + batch.events.length <= mergedEventsMax && tail.eventBytes + batch.bytes <= mergedBytesMax;
}
