/**
 * One event, encoded once as an element of `WatchResponse.events`, whoever listens: 0x5a, length, and the Event message
 * {1 type, 2 kv, 3 prev_kv}. A second form with the previous KeyValue is made when the first watcher asks for it.
 *
 * Source: mvccpb.Event, etcdserverpb.WatchResponse (field 11).
 */

import { emptyBytes, latin1FromBytes } from "@etcd-ts/api";
import { assert } from "../assert.js";
import {
  decodeRecord,
  encodeChunk,
  recordKey,
  recordOfChunk,
  sizeChunk,
  sizeVarint,
  writeVarint,
} from "../mvcc/record.js";
import type { EventSlab } from "./event-slab.js";
import type { Change, WatchSource } from "./source.js";

const eventsTag = 0x5a;
const typeTag = 0x08;
const typeDelete = 1;
const kvTag = 0x12;
const prevKvTag = 0x1a;

/** Not known yet: the event was read from history. */
const unknownCreateRevision = -1;

export class WatchEvent {
  readonly revision: number;
  readonly key: string;
  readonly isDelete: boolean;
  readonly #createRevision: number;
  /** The event as an element of a response, and where in it its message begins. */
  readonly #bytes: Uint8Array;
  readonly #messageStart: number;
  /** The same with prev_kv, where there is one; undefined until asked for. */
  #bytesWithPrevious: Uint8Array | undefined = undefined;

  private constructor(
    content: { revision: number; key: string; isDelete: boolean; createRevision: number },
    element: Element,
  ) {
    this.revision = content.revision;
    this.key = content.key;
    this.isDelete = content.isDelete;
    this.#createRevision = content.createRevision;
    this.#bytes = element.bytes;
    this.#messageStart = element.messageStart;
  }

  /** An event of the revision being published. */
  static ofChange(change: Change, revision: number, slab: EventSlab): WatchEvent {
    const { key, tombstone, createRevision, record } = change;
    assert(record[0] === kvTag, "the record of a change is a field of an event");
    const typeSize = tombstone ? 2 : 0;
    const element = openElement(typeSize + record.length, slab);
    const { bytes, messageStart } = element;
    if (tombstone) {
      bytes[messageStart] = typeTag;
      bytes[messageStart + 1] = typeDelete;
    }
    bytes.set(record, messageStart + typeSize);
    return new WatchEvent({ revision, key, isDelete: tombstone, createRevision }, element);
  }

  /** An event read back from a row of the store. `key` is the row's key. */
  static ofRow(row: { main: number; key: string; tombstone: boolean; value: Uint8Array }, slab: EventSlab): WatchEvent {
    const { main: revision, key, tombstone, value } = row;
    if (tombstone) {
      const record = encodeChunk(key, emptyBytes, { createRevision: 0, modRevision: revision, version: 0, lease: 0n });
      return WatchEvent.ofChange({ key, sub: 0, tombstone, createRevision: 0, record }, revision, slab);
    }
    const element = openElement(sizeChunk(value.length), slab);
    writeField(kvTag, value, element.bytes, element.messageStart);
    return new WatchEvent({ revision, key, isDelete: false, createRevision: unknownCreateRevision }, element);
  }

  /**
   * Makes the form with prev_kv, from the store as it is now; must precede the use of that form. A put that created its
   * key has none, and neither has an event whose predecessor was compacted.
   */
  loadPrevious(source: WatchSource, slab: EventSlab): void {
    if (this.#bytesWithPrevious !== undefined) return;
    const previous = this.#findPrevious(source);
    if (previous === undefined) {
      this.#bytesWithPrevious = this.#bytes;
      return;
    }
    const message = this.#message();
    const { bytes, messageStart } = openElement(message.length + sizeChunk(previous.length), slab);
    bytes.set(message, messageStart);
    writeField(prevKvTag, previous, bytes, messageStart + message.length);
    this.#bytesWithPrevious = bytes;
  }

  #findPrevious(source: WatchSource): Uint8Array | undefined {
    if (!this.isDelete && this.#createdAt() === this.revision) return undefined;
    const before = this.revision - 1;
    return before < source.compactRevision() ? undefined : source.recordAt(this.key, before);
  }

  #createdAt(): number {
    if (this.#createRevision !== unknownCreateRevision) return this.#createRevision;
    // The message of a put is a record chunk and nothing else.
    return decodeRecord(recordOfChunk(this.#message())).createRevision;
  }

  #message(): Uint8Array {
    return this.#bytes.subarray(this.#messageStart);
  }

  /** The event as an element of a response, tag and length included; a view that stays valid. */
  bytes(withPrevious: boolean): Uint8Array {
    if (!withPrevious) return this.#bytes;
    assert(this.#bytesWithPrevious !== undefined, "the form with prev_kv was loaded");
    return this.#bytesWithPrevious;
  }
}

/** The key of a stored row, as a latin1 string. */
export function keyOfRow(value: Uint8Array): string {
  return latin1FromBytes(recordKey(value));
}

/** An element of `WatchResponse.events`, and where in it its message begins. */
interface Element {
  readonly bytes: Uint8Array;
  readonly messageStart: number;
}

/** Reserves an element for a message of this size and writes its tag and length. */
function openElement(messageSize: number, slab: EventSlab): Element {
  const bytes = slab.take(1 + sizeVarint(messageSize) + messageSize);
  bytes[0] = eventsTag;
  return { bytes, messageStart: writeVarint(messageSize, bytes, 1) };
}

function writeField(tag: number, content: Uint8Array, target: Uint8Array, offset: number): void {
  target[offset] = tag;
  target.set(content, writeVarint(content.length, target, offset + 1));
}
