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
  /** The plain form: buffer[start, end), whose Event message begins at `#messageStart`. */
  readonly #buffer: Uint8Array;
  readonly #start: number;
  readonly #messageStart: number;
  readonly #end: number;
  /** The form with prev_kv: undefined until asked for, and the plain one's buffer when there is nothing to add. */
  #prevBuffer: Uint8Array | undefined;
  #prevStart = 0;
  #prevEnd = 0;

  private constructor(
    content: { revision: number; key: string; isDelete: boolean; createRevision: number },
    bytes: EventBytes,
  ) {
    this.revision = content.revision;
    this.key = content.key;
    this.isDelete = content.isDelete;
    this.#createRevision = content.createRevision;
    this.#buffer = bytes.buffer;
    this.#start = bytes.start;
    this.#messageStart = bytes.messageStart;
    this.#end = bytes.end;
  }

  /** An event of the revision being published. */
  static ofChange(change: Change, revision: number, slab: EventSlab): WatchEvent {
    const { key, tombstone, createRevision, record } = change;
    assert(record[0] === kvTag, "the record of a change is a field of an event");
    const prefixSize = tombstone ? 2 : 0;
    const bytes = openEvent(prefixSize + record.length, slab);
    if (tombstone) writeDeleteType(bytes);
    bytes.buffer.set(record, bytes.messageStart + prefixSize);
    return new WatchEvent({ revision, key, isDelete: tombstone, createRevision }, bytes);
  }

  /** An event read back from a row of the store. `key` is the row's key. */
  static ofRow(row: { main: number; key: string; tombstone: boolean; value: Uint8Array }, slab: EventSlab): WatchEvent {
    const { main: revision, key, tombstone, value } = row;
    if (tombstone) {
      const record = encodeChunk(key, emptyBytes, { createRevision: 0, modRevision: revision, version: 0, lease: 0n });
      return WatchEvent.ofChange({ key, sub: 0, tombstone, createRevision: 0, record }, revision, slab);
    }
    const bytes = openEvent(sizeChunk(value.length), slab);
    const { buffer, messageStart } = bytes;
    buffer[messageStart] = kvTag;
    buffer.set(value, writeVarint(value.length, buffer, messageStart + 1));
    return new WatchEvent({ revision, key, isDelete: false, createRevision: unknownCreateRevision }, bytes);
  }

  /**
   * Makes the form with prev_kv, from the store as it is now; must precede `sizeBytes(true)`. A put that created its key
   * has none, and neither has one whose predecessor was compacted.
   */
  loadPrevious(source: WatchSource, slab: EventSlab): void {
    if (this.#prevBuffer !== undefined) return;
    const previous = this.#findPrevious(source);
    if (previous === undefined) {
      this.#prevBuffer = this.#buffer;
      this.#prevStart = this.#start;
      this.#prevEnd = this.#end;
      return;
    }
    const plainSize = this.#end - this.#messageStart;
    const { buffer, start, messageStart, end } = openEvent(plainSize + sizeChunk(previous.length), slab);
    buffer.set(this.#buffer.subarray(this.#messageStart, this.#end), messageStart);
    buffer[messageStart + plainSize] = prevKvTag;
    buffer.set(previous, writeVarint(previous.length, buffer, messageStart + plainSize + 1));
    this.#prevBuffer = buffer;
    this.#prevStart = start;
    this.#prevEnd = end;
  }

  #findPrevious(source: WatchSource): Uint8Array | undefined {
    if (!this.isDelete && this.#createdAt() === this.revision) return undefined;
    const before = this.revision - 1;
    return before < source.compactRevision() ? undefined : source.recordAt(this.key, before);
  }

  #createdAt(): number {
    if (this.#createRevision !== unknownCreateRevision) return this.#createRevision;
    // The event of a put is a record chunk and nothing else.
    return decodeRecord(recordOfChunk(this.#buffer.subarray(this.#messageStart, this.#end))).createRevision;
  }

  /** Bytes the event takes in a response, its tag and length included. */
  sizeBytes(withPrevious: boolean): number {
    return withPrevious ? this.#prevEnd - this.#prevStart : this.#end - this.#start;
  }

  /** Copies the event to `offset`; returns the offset after it. */
  write(withPrevious: boolean, target: Uint8Array, offset: number): number {
    const buffer = withPrevious ? this.#prevBuffer : this.#buffer;
    assert(buffer !== undefined, "the form with prev_kv was loaded");
    const start = withPrevious ? this.#prevStart : this.#start;
    const end = withPrevious ? this.#prevEnd : this.#end;
    target.set(buffer.subarray(start, end), offset);
    return offset + end - start;
  }
}

/** The key of a stored row, as a latin1 string. */
export function keyOfRow(value: Uint8Array): string {
  return latin1FromBytes(recordKey(value));
}

/** Where the bytes of an event lie: buffer[start, end), its message from `messageStart` on. */
interface EventBytes {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly messageStart: number;
  readonly end: number;
}

/** Reserves an event of this message size and writes its tag and length. */
function openEvent(messageSize: number, slab: EventSlab): EventBytes {
  const start = slab.take(1 + sizeVarint(messageSize) + messageSize);
  const buffer = slab.buffer;
  buffer[start] = eventsTag;
  const messageStart = writeVarint(messageSize, buffer, start + 1);
  return { buffer, start, messageStart, end: messageStart + messageSize };
}

function writeDeleteType(bytes: EventBytes): void {
  bytes.buffer[bytes.messageStart] = typeTag;
  bytes.buffer[bytes.messageStart + 1] = typeDelete;
}
