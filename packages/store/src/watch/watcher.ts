/**
 * One watcher: what it wants, how far it is, and where the hub keeps it.
 */

import type { PackedEvents } from "./packed-events.js";
import type { RangeEnd } from "./range-tree.js";
import type { WatchEvent } from "./watch-event.js";
import type { EventsMessage } from "./watch-message.js";
import { encodeWatchId } from "./watch-message.js";
import type { WatchStream } from "./watch-stream.js";

/**
 * - `synced`: everything before `minRevision` is delivered, and what is published next comes at once.
 * - `waiting`: behind; takes part in one of the next catch-up rounds.
 * - `syncing`: behind, in the current catch-up round.
 * - `parked`: behind, and its stream is full: it waits for the stream to drain.
 * - `victim`: had events when its stream was full; they wait beside the stream.
 * - `compacted`: what it still wanted is gone; its cancellation is queued and nothing else will be.
 * - `removed`: no longer exists; what is still queued for it is dropped.
 */
export type WatcherState = "synced" | "waiting" | "syncing" | "parked" | "victim" | "compacted" | "removed";

/** What to watch. Keys are latin1 strings. */
export interface WatchSpec {
  readonly id: bigint;
  readonly key: string;
  /** "key" watches `key` alone; "range" watches [key, end), without end if `end` is undefined. */
  readonly kind: "key" | "range";
  readonly end: RangeEnd;
  /** 0 = from now on; may lie in the future. Not negative. */
  readonly startRevision: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  /** Responses above the fragment size are split. */
  readonly fragment: boolean;
  readonly progressNotify: boolean;
}

export class Watcher {
  readonly stream: WatchStream;
  readonly id: bigint;
  /** Field `watch_id` of a response, encoded; empty for id 0. */
  readonly idField: Uint8Array;
  readonly key: string;
  readonly isRange: boolean;
  readonly end: RangeEnd;
  readonly startRevision: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;

  // Owned by the hub.
  state: WatcherState = "waiting";
  /** The next revision to deliver: all events before it were queued (or are the victim's batch). */
  minRevision = 0;
  /** Events found for it during one publication or one catch-up step, before they are queued. */
  collected: WatchEvent[] | undefined = undefined;
  /** Their bytes without prev_kv: counting those of a million events at once would take long. */
  collectedBytes = 0;
  /** Those that came before them, when they are many. */
  packed: PackedEvents | undefined = undefined;

  // Owned by the stream.
  /** Its last queued message, as long as further events may be merged into it. */
  tail: EventsMessage | undefined = undefined;
  /** Its next automatic progress notification is not suppressed by events sent since the last one. */
  wasQuiet = true;

  constructor(stream: WatchStream, spec: WatchSpec) {
    this.stream = stream;
    this.id = spec.id;
    this.idField = encodeWatchId(spec.id);
    this.key = spec.key;
    this.isRange = spec.kind === "range";
    this.end = spec.end;
    this.startRevision = spec.startRevision;
    this.noPut = spec.noPut;
    this.noDelete = spec.noDelete;
    this.prevKv = spec.prevKv;
    this.fragment = spec.fragment;
    this.progressNotify = spec.progressNotify;
  }

  /** Whether its filters let a deletion, or else a put, through. */
  wants(isDelete: boolean): boolean {
    return isDelete ? !this.noDelete : !this.noPut;
  }
}
