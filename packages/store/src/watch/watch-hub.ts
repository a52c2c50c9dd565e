/**
 * The store's side of watching: every watcher of this member, and the way of each published event to those that want
 * it.
 *
 * A watcher is *synced* when it has been given everything up to the current revision; then what is published next is
 * queued on its stream at once. One that starts in the past, or whose stream was full, is behind: it catches up from
 * the store's history in rounds, `syncStep` by `syncStep`, together with others, and becomes synced at the end. One
 * whose next revision was compacted meanwhile is cancelled. So per watcher:
 *
 * 1. events come in the order of revisions, within one in order of execution, each once, none left out;
 * 2. all events of one revision are in one response (unless the client asked for fragments);
 * 3. a header revision R of a response with events, or of a progress notification, says that all events up to R have
 *    been sent;
 * 4. it is given every event or one cancellation, never neither.
 *
 * The hub does nothing by itself: the store calls `published` in the step that publishes a revision, the server calls
 * `syncStep` (when `onWork` asks for it, again while it returns true) and `tick`.
 *
 * Source: server/storage/mvcc/watchable_store.go, watcher_group.go.
 */

import { assert } from "../assert.js";
import { DeadlineHeap } from "../deadline-heap.js";
import { EventSlab } from "./event-slab.js";
import {
  packedBytesMin,
  streamBytesMax,
  streamEventsMax,
  syncBytesMax,
  syncRevisionsMax,
  syncRowsMax,
  syncWatchersMax,
} from "./limits.js";
import { PackedEvents } from "./packed-events.js";
import type { Change, WatchSource } from "./source.js";
import { keyOfRow, WatchEvent } from "./watch-event.js";
import { type Batch, type StreamLimits, WatchStream, type WatchStreamOptions } from "./watch-stream.js";
import { Watcher, type WatchSpec } from "./watcher.js";
import { WatcherGroup } from "./watcher-group.js";

export interface WatchHubOptions {
  /** There are watchers to catch up where there were none: call `syncStep` soon, not from within this callback. */
  readonly onWork?: () => void;
  /** Of streams that bring none of their own; defaults in limits.ts. */
  readonly streamLimits?: StreamLimits;
  /** Limits of one catch-up round and step; defaults in limits.ts. */
  readonly syncWatchersMax?: number;
  readonly syncRevisionsMax?: number;
  readonly syncBytesMax?: number;
  readonly packedBytesMin?: number;
}

export class WatchHub {
  readonly #source: WatchSource;
  readonly #onWork: () => void;
  readonly #streamLimits: Required<StreamLimits>;
  readonly #syncWatchersMax: number;
  readonly #syncRevisionsMax: number;
  readonly #syncBytesMax: number;
  readonly #packedBytesMin: number;

  readonly #streams = new Set<WatchStream>();
  readonly #progressDeadlines = new DeadlineHeap<WatchStream>();
  readonly #synced = new WatcherGroup();
  /** Behind, in the order they will be taken. */
  readonly #waiting = new Set<Watcher>();
  /** The current catch-up round, and its index. */
  readonly #round = new Set<Watcher>();
  readonly #roundGroup = new WatcherGroup();
  /** The row at which the last step of the round stopped, if that was within a revision: what is collected stays so. */
  #within: { readonly main: number; readonly sub: number } | undefined;
  /** Everything up to here was given to synced watchers. */
  #revision: number;
  #watcherCount = 0;
  #eventsTotal = 0;
  #slab = new EventSlab();

  constructor(source: WatchSource, options?: WatchHubOptions) {
    this.#source = source;
    this.#revision = source.currentRevision();
    this.#onWork = options?.onWork ?? (() => {});
    this.#streamLimits = { eventsMax: streamEventsMax, bytesMax: streamBytesMax, ...options?.streamLimits };
    this.#syncWatchersMax = options?.syncWatchersMax ?? syncWatchersMax;
    this.#syncRevisionsMax = options?.syncRevisionsMax ?? syncRevisionsMax;
    this.#syncBytesMax = options?.syncBytesMax ?? syncBytesMax;
    this.#packedBytesMin = options?.packedBytesMin ?? packedBytesMin;
  }

  // Streams and watchers.

  openStream(options: WatchStreamOptions): WatchStream {
    const stream = new WatchStream(this, { ...this.#streamLimits, ...options });
    this.#streams.add(stream);
    this.#progressDeadlines.set(stream, options.nowMs + options.progressIntervalMs);
    return stream;
  }

  /** Removes the stream and all its watchers. Does nothing the second time. */
  closeStream(stream: WatchStream): void {
    if (!this.#streams.delete(stream)) return;
    this.#progressDeadlines.remove(stream);
    for (const watcher of [...stream.watchers()]) this.cancel(watcher);
    stream.close();
  }

  /** Registers a watcher; its id must be free on the stream. */
  watch(stream: WatchStream, spec: WatchSpec): Watcher {
    assert(this.#streams.has(stream), "a watcher is registered on an open stream");
    assert(spec.startRevision >= 0, "a negative start revision was refused");
    const watcher = new Watcher(stream, spec);
    stream.addWatcher(watcher);
    this.#watcherCount++;
    const current = this.#source.currentRevision();
    if (spec.startRevision === 0 || spec.startRevision > current) {
      watcher.minRevision = Math.max(current + 1, spec.startRevision);
      this.#becomeSynced(watcher);
    } else {
      watcher.minRevision = spec.startRevision;
      this.#becomeWaiting(watcher);
    }
    return watcher;
  }

  /** Removes a watcher; nothing more of it is sent, not even what is queued. */
  cancel(watcher: Watcher): void {
    if (watcher.state === "removed") return;
    if (watcher.state !== "compacted") this.#watcherCount--;
    this.#leave(watcher);
    watcher.stream.removeWatcher(watcher);
  }

  /**
   * Queues one notification for all watchers of the stream, if each has everything up to the current revision and has
   * started; otherwise nothing, as for a stream without watchers or without room.
   */
  requestProgress(stream: WatchStream): void {
    const current = this.#source.currentRevision();
    if (stream.watcherCount === 0 || stream.isFull) return;
    for (const watcher of stream.watchers()) if (!isCurrent(watcher, current)) return;
    stream.pushProgress(current, undefined);
  }

  // Driven by the store.

  /**
   * A revision has become current; `changes` in the order of execution, undefined when they are too many for one step:
   * those who watch any of them then catch up with it. Called in the same step that makes it visible to readers.
   */
  published(revision: number, changes: readonly Change[] | undefined): void {
    this.#revision = revision;
    if (this.#synced.size === 0) return;
    if (changes === undefined) return this.#fallBehind(revision);
    const matched = changes.length === 1 ? this.#matchOne(changes[0] as Change) : this.#matchAll(changes);
    for (const watcher of matched) {
      watcher.minRevision = revision + 1;
      if (!this.#deliver(watcher)) this.#synced.delete(watcher);
    }
  }

  /** Everybody who may want an event of the revision has yet to be given it. */
  #fallBehind(revision: number): void {
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers()) {
        if (watcher.state !== "synced" || watcher.minRevision > revision) continue;
        const end = watcher.isRange ? watcher.end : `${watcher.key}\0`;
        if (!this.#source.changedSince(watcher.key, end, revision)) continue;
        watcher.minRevision = revision;
        this.#synced.delete(watcher);
        this.#becomeWaiting(watcher);
      }
    }
  }

  /** Finds who wants the only change of a revision: they share one list of it. */
  #matchOne(change: Change): Watcher[] {
    const revision = this.#revision;
    const matched: Watcher[] = [];
    let events: WatchEvent[] | undefined;
    this.#synced.visit(change.key, (watcher) => {
      if (watcher.minRevision > revision) return;
      matched.push(watcher);
      if (!watcher.wants(change.tombstone)) return;
      events ??= [WatchEvent.ofChange(change, revision, this.#slab)];
      watcher.collected = events;
      watcher.collectedBytes = (events[0] as WatchEvent).bytes(false).length;
    });
    return matched;
  }

  #matchAll(changes: readonly Change[]): Watcher[] {
    const revision = this.#revision;
    const matched: Watcher[] = [];
    for (const change of changes) {
      let event: WatchEvent | undefined;
      this.#synced.visit(change.key, (watcher) => {
        if (watcher.minRevision > revision) return;
        if (watcher.collected === undefined) {
          watcher.collected = [];
          matched.push(watcher);
        }
        if (!watcher.wants(change.tombstone)) return;
        event ??= WatchEvent.ofChange(change, revision, this.#slab);
        watcher.collected.push(event);
        watcher.collectedBytes += event.bytes(false).length;
      });
    }
    return matched;
  }

  /**
   * The store was replaced by a snapshot of a later state: what was current before has been given to synced watchers,
   * what came after it in the snapshot they still have to get.
   */
  restored(): void {
    const current = this.#source.currentRevision();
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers()) {
        if (watcher.state !== "synced") continue;
        watcher.minRevision = Math.max(watcher.minRevision, this.#revision + 1);
        if (watcher.minRevision > current) continue;
        this.#synced.delete(watcher);
        this.#becomeWaiting(watcher);
      }
    }
    this.#within = undefined;
    for (const watcher of this.#round) forgetCollected(watcher);
    this.#revision = current;
  }

  // Driven by the server.

  /**
   * One bounded step of catching up. Returns whether there is more to do; if not, `onWork` tells when there is again.
   * `rowsMax`: how many rows of history to read.
   */
  syncStep(rowsMax: number = syncRowsMax): boolean {
    this.#fillRound();
    const lo = this.#sortOutRound();
    if (lo !== undefined) this.#catchUp(lo, rowsMax);
    return this.#round.size > 0 || this.#waiting.size > 0;
  }

  /** Queues the progress notifications that are due. */
  tick(nowMs: number): void {
    const current = this.#source.currentRevision();
    for (;;) {
      const stream = this.#progressDeadlines.peek();
      if (stream === undefined || stream.dueMs > nowMs) return;
      this.#progressDeadlines.set(stream, nowMs + stream.progressIntervalMs);
      for (const watcher of stream.watchers()) {
        if (!watcher.progressNotify) continue;
        if (watcher.wasQuiet && isCurrent(watcher, current) && !stream.isFull) stream.pushProgress(current, watcher);
        watcher.wasQuiet = true;
      }
    }
  }

  /** When `tick` next has something to do, monotonic ms; Infinity without streams. */
  nextTickMs(): number {
    return this.#progressDeadlines.peek()?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  // For metrics.

  get streamCount(): number {
    return this.#streams.size;
  }

  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** Watchers that are behind. */
  get slowWatcherCount(): number {
    return this.#watcherCount - this.#synced.size;
  }

  /** Events queued on streams since the start, one for each watcher that got it. */
  get eventsTotal(): number {
    return this.#eventsTotal;
  }

  /** Events that are queued on streams now. */
  pendingEvents(): number {
    let pending = 0;
    for (const stream of this.#streams) pending += stream.queuedEvents;
    return pending;
  }

  // Called by a stream: see `StreamOwner`.

  drained(stream: WatchStream): void {
    const current = this.#source.currentRevision();
    for (const [watcher, batch] of stream.victims) {
      if (stream.isFull) return;
      stream.victims.delete(watcher);
      stream.pushEvents(watcher, batch);
      this.#eventsTotal += batch.events.length;
      if (watcher.minRevision <= current) this.#becomeWaiting(watcher);
      else this.#becomeSynced(watcher);
    }
    for (const watcher of stream.parked) this.#becomeWaiting(watcher);
    stream.parked.clear();
  }

  // Catching up.

  /** Starts a round when the last one is over. */
  #fillRound(): void {
    if (this.#round.size > 0) return;
    this.#within = undefined;
    for (const watcher of this.#waiting) {
      if (this.#round.size >= this.#syncWatchersMax) return;
      this.#waiting.delete(watcher);
      watcher.state = "syncing";
      this.#round.add(watcher);
      this.#roundGroup.add(watcher);
    }
  }

  /**
   * Sends away from the round who cannot catch up now (its stream is full, unless a revision is half collected), never
   * (compacted), or has nothing to catch up. Returns the lowest revision the others want.
   */
  #sortOutRound(): number | undefined {
    const current = this.#source.currentRevision();
    const compacted = this.#source.compactRevision();
    let lo: number | undefined;
    for (const watcher of this.#round) {
      if (watcher.minRevision < compacted) {
        this.#leaveRound(watcher);
        watcher.state = "compacted";
        this.#watcherCount--;
        watcher.stream.pushCompacted(watcher, compacted);
      } else if (watcher.minRevision > current) {
        this.#leaveRound(watcher);
        this.#becomeSynced(watcher);
      } else if (watcher.stream.isFull && this.#within === undefined) {
        this.#leaveRound(watcher);
        watcher.state = "parked";
        watcher.stream.parked.add(watcher);
      } else if (lo === undefined || watcher.minRevision < lo) lo = watcher.minRevision;
    }
    return lo;
  }

  /** Reads history from `lo` on and gives it to the watchers of the round. */
  #catchUp(lo: number, rowsMax: number): void {
    const current = this.#source.currentRevision();
    const next = this.#collect(lo, { current, rowsMax });
    if (next === undefined) return this.#packRound();
    assert(next > lo, "a catch-up step covers a revision at least");
    for (const watcher of this.#round) {
      if (watcher.minRevision >= next) continue;
      watcher.minRevision = next;
      if (!this.#deliver(watcher)) this.#leaveRound(watcher);
      else if (next > current) {
        this.#leaveRound(watcher);
        this.#becomeSynced(watcher);
      }
    }
  }

  /**
   * Collects the events of the round's watchers; returns the first revision that was not read, undefined when the step
   * ended within one: nothing is delivered before its end.
   */
  #collect(lo: number, limits: { current: number; rowsMax: number }): number | undefined {
    const within = this.#within !== undefined && this.#within.main >= lo ? this.#within : undefined;
    const from = within ?? { main: lo, sub: 0 };
    this.#within = undefined;
    let main = within?.main ?? 0;
    let rows = 0;
    let revisions = 0;
    let bytes = 0;
    let next: number | undefined = limits.current + 1;
    const withPrevious: WatchEvent[] = [];
    this.#source.scanRecords(from.main, from.sub, next, (rowMain, sub, tombstone, value) => {
      const isNewRevision = rowMain !== main;
      const isSpent = rows >= limits.rowsMax || bytes >= this.#syncBytesMax;
      if (isSpent || (isNewRevision && revisions >= this.#syncRevisionsMax)) {
        next = isNewRevision ? rowMain : undefined;
        if (!isNewRevision) this.#within = { main, sub };
        return false;
      }
      if (isNewRevision) {
        main = rowMain;
        revisions++;
      }
      rows++;
      const key = keyOfRow(value);
      let event: WatchEvent | undefined;
      let isPreviousWanted = false;
      this.#roundGroup.visit(key, (watcher) => {
        if (watcher.minRevision > rowMain || !watcher.wants(tombstone)) return;
        event ??= WatchEvent.ofRow({ main: rowMain, key, tombstone, value }, this.#slab);
        watcher.collected ??= [];
        watcher.collected.push(event);
        watcher.collectedBytes += event.bytes(false).length;
        bytes += value.length;
        if (watcher.prevKv) isPreviousWanted = true;
      });
      if (event !== undefined && isPreviousWanted) withPrevious.push(event);
      return true;
    });
    // The store cannot be asked for them during a scan, and for all of a large revision it would take too long.
    for (const event of withPrevious) event.loadPrevious(this.#source, this.#slab);
    return next;
  }

  /**
   * Queues what was collected for the watcher, up to its `minRevision`, or makes it a victim of its full stream and
   * returns false; the caller takes it out of its group.
   */
  #deliver(watcher: Watcher): boolean {
    const batch = this.#takeCollected(watcher);
    if (batch === undefined) return true;
    const { stream } = watcher;
    if (stream.isFull) {
      watcher.state = "victim";
      stream.victims.set(watcher, batch);
      return false;
    }
    stream.pushEvents(watcher, batch);
    this.#eventsTotal += batch.events.length;
    return true;
  }

  /** What was collected for the watcher up to its `minRevision`; undefined when that is nothing. */
  #takeCollected(watcher: Watcher): Batch | undefined {
    const { collected: events, collectedBytes, packed } = watcher;
    const revision = watcher.minRevision - 1;
    if (packed !== undefined) {
      pack(watcher, packed);
      forgetCollected(watcher);
      return { events: packed, bytes: packed.sizeBytes, revision };
    }
    forgetCollected(watcher);
    if (events === undefined || events.length === 0) return undefined;
    return { events, bytes: watcher.prevKv ? this.#loadPrevious(events) : collectedBytes, revision };
  }

  /** The step ended within a revision: of many events only the bytes are kept, unless they have to be counted again. */
  #packRound(): void {
    for (const watcher of this.#round) {
      if (watcher.packed === undefined) {
        if (watcher.fragment || watcher.collectedBytes < this.#packedBytesMin) continue;
        watcher.packed = new PackedEvents();
      }
      pack(watcher, watcher.packed);
    }
  }

  /** The bytes of the events with prev_kv. */
  #loadPrevious(events: readonly WatchEvent[]): number {
    let bytes = 0;
    for (const event of events) {
      event.loadPrevious(this.#source, this.#slab);
      bytes += event.bytes(true).length;
    }
    return bytes;
  }

  // Moving between groups.

  #becomeSynced(watcher: Watcher): void {
    watcher.state = "synced";
    this.#synced.add(watcher);
  }

  #becomeWaiting(watcher: Watcher): void {
    watcher.state = "waiting";
    const isFirst = this.#waiting.size === 0 && this.#round.size === 0;
    this.#waiting.add(watcher);
    if (isFirst) this.#onWork();
  }

  #leaveRound(watcher: Watcher): void {
    this.#round.delete(watcher);
    this.#roundGroup.delete(watcher);
    forgetCollected(watcher);
  }

  #leave(watcher: Watcher): void {
    if (watcher.state === "synced") this.#synced.delete(watcher);
    else if (watcher.state === "waiting") this.#waiting.delete(watcher);
    else if (watcher.state === "syncing") this.#leaveRound(watcher);
  }
}

function forgetCollected(watcher: Watcher): void {
  watcher.collected = undefined;
  watcher.collectedBytes = 0;
  watcher.packed = undefined;
}

/** Adds what was collected for the watcher, with its previous values if it wants them. */
function pack(watcher: Watcher, packed: PackedEvents): void {
  packed.add(watcher.collected ?? [], watcher.prevKv);
  watcher.collected = undefined;
  watcher.collectedBytes = 0;
}

/** The watcher has started and has everything up to the current revision. */
function isCurrent(watcher: Watcher, current: number): boolean {
  return watcher.state === "synced" && watcher.startRevision <= current;
}
