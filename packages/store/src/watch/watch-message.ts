/**
 * What waits on a stream: batches of events, and everything else, encoded but for its header. A message becomes a
 * `WatchResponse` when it is taken from the stream: the header of its revision, the watch id and the shared bytes of
 * its events are laid side by side. Source: etcdserverpb.WatchResponse.
 */

import { encodeUtf8 } from "@etcd-ts/api";
import { assert } from "../assert.js";
import { writePieces } from "../mvcc/pieces.js";
import { sizeVarint, sizeVarint64, writeVarint, writeVarint64 } from "../mvcc/record.js";
import { type PackedEvents, visitRuns } from "./packed-events.js";
import type { HeaderFields } from "./response-headers.js";
import type { WatchEvent } from "./watch-event.js";
import type { Watcher } from "./watcher.js";

/** One WatchResponse, ready to be written once. */
export interface WatchResponse {
  readonly sizeBytes: number;
  /** Writes exactly `sizeBytes` bytes at `offset`. Call it before the stream's next `next`. */
  write(target: Uint8Array, offset: number): void;
  /** Of a large one: what it is made of, one behind the other. They are not changed any more, by anybody. */
  readonly pieces?: readonly Uint8Array[];
}

export type QueuedMessage = EventsMessage | PackedMessage | ReplyMessage;

const fragmentTag = 0x38;
/** Of so many events it pays to look which of them lie together. */
const joinedEventsMin = 8;

/** Events of one watcher. */
export class EventsMessage {
  readonly kind = "events";
  readonly watcher: Watcher;
  /** Header revision: the last one covered. */
  revision: number;
  eventBytes: number;
  /** Messages before and after a stream-wide progress notification are not merged. */
  readonly epoch: number;
  next: QueuedMessage | undefined = undefined;
  #events: readonly WatchEvent[];
  /** The array is ours to change, once it was copied from one that watchers share. */
  #owned: WatchEvent[] | undefined = undefined;

  constructor(
    watcher: Watcher,
    batch: { readonly events: readonly WatchEvent[]; readonly bytes: number; readonly revision: number },
    epoch: number,
  ) {
    this.watcher = watcher;
    this.#events = batch.events;
    this.eventBytes = batch.bytes;
    this.revision = batch.revision;
    this.epoch = epoch;
  }

  get events(): readonly WatchEvent[] {
    return this.#events;
  }

  append(batch: { readonly events: readonly WatchEvent[]; readonly bytes: number; readonly revision: number }): void {
    assert(batch.revision > this.revision, "events are queued in the order of their revisions");
    if (this.#owned === undefined) {
      this.#owned = [...this.#events];
      this.#events = this.#owned;
    }
    for (const event of batch.events) this.#owned.push(event);
    this.eventBytes += batch.bytes;
    this.revision = batch.revision;
  }
}

/** Many events of one watcher. Nothing is merged into it. */
export class PackedMessage {
  readonly kind = "packed";
  readonly watcher: Watcher;
  /** Header revision: the last one covered. */
  readonly revision: number;
  readonly events: PackedEvents;
  next: QueuedMessage | undefined = undefined;

  constructor(watcher: Watcher, events: PackedEvents, revision: number) {
    this.watcher = watcher;
    this.events = events;
    this.revision = revision;
  }

  get eventBytes(): number {
    return this.events.sizeBytes;
  }
}

/** Anything without events: created, canceled, progress. */
export class ReplyMessage {
  readonly kind = "reply";
  /** The watcher it speaks of, undefined for the whole stream; dropped with the watcher if `purpose` says so. */
  readonly watcher: Watcher | undefined;
  /**
   * - `reply` answers a request and is always sent;
   * - `progress` is dropped with its watcher;
   * - `compacted` ends its watcher when it is sent.
   */
  readonly purpose: "reply" | "progress" | "compacted";
  readonly revision: number;
  /** The response after its header. */
  readonly body: Uint8Array;
  next: QueuedMessage | undefined = undefined;

  constructor(options: {
    watcher?: Watcher;
    purpose: "reply" | "progress" | "compacted";
    revision: number;
    body: Uint8Array;
  }) {
    this.watcher = options.watcher;
    this.purpose = options.purpose;
    this.revision = options.revision;
    this.body = options.body;
  }
}

/** A response without events. */
export class ReplyResponse implements WatchResponse {
  readonly sizeBytes: number;
  readonly #header: Uint8Array;
  readonly #body: Uint8Array;

  constructor(message: ReplyMessage, headers: HeaderFields) {
    this.#header = headers.field(message.revision);
    this.#body = message.body;
    this.sizeBytes = this.#header.length + this.#body.length;
  }

  write(target: Uint8Array, offset: number): void {
    target.set(this.#header, offset);
    target.set(this.#body, offset + this.#header.length);
  }
}

/** A response with the events [lo, hi) of a message. */
export class EventsResponse implements WatchResponse {
  readonly sizeBytes: number;
  readonly #message: EventsMessage;
  readonly #header: Uint8Array;
  readonly #lo: number;
  readonly #hi: number;
  readonly #isFragment: boolean;

  constructor(
    message: EventsMessage,
    header: Uint8Array,
    piece: { lo: number; hi: number; eventBytes: number; isFragment: boolean },
  ) {
    this.#message = message;
    this.#header = header;
    this.#lo = piece.lo;
    this.#hi = piece.hi;
    this.#isFragment = piece.isFragment;
    this.sizeBytes = envelopeBytes(message.watcher, header, piece.isFragment) + piece.eventBytes;
  }

  write(target: Uint8Array, offset: number): void {
    const { watcher, events } = this.#message;
    target.set(this.#header, offset);
    let at = offset + this.#header.length;
    const idField = watcher.idField;
    for (let index = 0; index < idField.length; index++) target[at++] = idField[index] as number;
    if (this.#isFragment) {
      target[at++] = fragmentTag;
      target[at++] = 1;
    }
    if (this.#hi - this.#lo >= joinedEventsMin) {
      // A copy costs much more than the bytes of a small event.
      const options = { lo: this.#lo, hi: this.#hi, withPrevious: watcher.prevKv };
      visitRuns(events, options, (run) => {
        target.set(run, at);
        at += run.length;
      });
    } else {
      for (let index = this.#lo; index < this.#hi; index++) {
        const bytes = (events[index] as WatchEvent).bytes(watcher.prevKv);
        target.set(bytes, at);
        at += bytes.length;
      }
    }
    assert(at === offset + this.sizeBytes, "a response has the size it was given");
  }
}

/** A response with many events. */
export class PackedResponse implements WatchResponse {
  readonly sizeBytes: number;
  readonly pieces: readonly Uint8Array[];

  constructor({ watcher, events }: PackedMessage, header: Uint8Array) {
    const { idField } = watcher;
    const envelope = new Uint8Array(header.length + idField.length);
    envelope.set(header, 0);
    envelope.set(idField, header.length);
    this.pieces = [envelope, ...events.pieces];
    this.sizeBytes = envelope.length + events.sizeBytes;
  }

  write(target: Uint8Array, offset: number): void {
    const end = writePieces(this.pieces, target, offset);
    assert(end === offset + this.sizeBytes, "a response has the size it was given");
  }
}

/** Bytes of a response with events besides the events. */
export function envelopeBytes(watcher: Watcher, header: Uint8Array, isFragment: boolean): number {
  return header.length + watcher.idField.length + (isFragment ? 2 : 0);
}

/** Fields of the ids that nearly all watchers have, made once: a member may hold millions of watchers. */
const commonIdFields: readonly Uint8Array[] = Array.from({ length: 1024 }, (_, id) => encodeIdField(BigInt(id)));

/** Field `watch_id`; empty for 0, ten bytes of varint for a negative id. Shared: not to be changed. */
export function encodeWatchId(id: bigint): Uint8Array {
  const common = id >= 0n && id < commonIdFields.length ? commonIdFields[Number(id)] : undefined;
  return common ?? encodeIdField(id);
}

function encodeIdField(id: bigint): Uint8Array {
  if (id === 0n) return new Uint8Array(0);
  const field = new Uint8Array(1 + sizeVarint64(id));
  field[0] = 0x10;
  writeVarint64(id, field, 1);
  return field;
}

/** A response without header and events. */
export function encodeReply(reply: {
  readonly id: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
}): Uint8Array {
  const idField = encodeWatchId(reply.id);
  const compactRevision = reply.compactRevision ?? 0;
  const reason = encodeUtf8(reply.cancelReason ?? "");
  const flagsSize = (reply.created === true ? 2 : 0) + (reply.canceled === true ? 2 : 0);
  const compactSize = compactRevision === 0 ? 0 : 1 + sizeVarint(compactRevision);
  const reasonSize = reason.length === 0 ? 0 : 1 + sizeVarint(reason.length) + reason.length;
  // Exactly: a view of a part would take its memory from outside of the heap, which may cost a step of collection.
  const body = new Uint8Array(idField.length + flagsSize + compactSize + reasonSize);
  body.set(idField, 0);
  let at = idField.length;
  if (reply.created === true) {
    body[at++] = 0x18;
    body[at++] = 1;
  }
  if (reply.canceled === true) {
    body[at++] = 0x20;
    body[at++] = 1;
  }
  if (compactRevision !== 0) {
    body[at] = 0x28;
    at = writeVarint(compactRevision, body, at + 1);
  }
  if (reason.length > 0) {
    body[at] = 0x32;
    at = writeVarint(reason.length, body, at + 1);
    body.set(reason, at);
  }
  return body;
}
