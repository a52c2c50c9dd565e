/**
 * A random life of a watch hub, and what every client of it must see. The model is the full history of the store: each
 * watcher must be given exactly the rows that match it, in order, from its start on, or a cancellation that compaction
 * justifies. The properties are those of etcd's robustness tests: filter, ordered, unique, atomic, bookmarkable,
 * resumable, reliable, is-create, prev-kv. Source: tests/robustness/validate/watch.go.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import { createWatchRequest, type WatchRequestInit, type WatchResponse } from "@etcd-ts/api/etcdserverpb";
import type { Event } from "@etcd-ts/api/mvccpb";
import fc from "fast-check";
import type { Change, WatchSource } from "../source.js";
import { WatchHub } from "../watch-hub.js";
import { WatchSession } from "../watch-session.js";
import type { WatchStream } from "../watch-stream.js";
import { describe, take } from "./client.js";
import type { Version, Write } from "./fake-source.js";

/** The store under a scenario. */
export interface ScenarioStore {
  readonly source: WatchSource;
  /** Every row there ever was, ascending. */
  readonly history: readonly Version[];
  /** One transaction; calls back if it changed something. */
  write(writes: readonly Write[], published: (revision: number, changes: readonly Change[] | undefined) => void): void;
  compact(revision: number): void;
}

export type Command =
  /** `isTold`: the hub is given the changes, as if they were few. */
  | { readonly kind: "write"; readonly writes: readonly Write[]; readonly isTold: boolean }
  | { readonly kind: "compact"; readonly share: number }
  | { readonly kind: "open"; readonly eventsMax: number; readonly bytesMax: number; readonly fragmentBytes: number }
  | { readonly kind: "close"; readonly stream: number }
  | {
      readonly kind: "create";
      readonly stream: number;
      readonly id: bigint;
      readonly key: string;
      readonly end: string;
      /** Start revision: 0 for "from now", else this far from the current revision, back if negative. */
      readonly start: number;
      readonly fromNow: boolean;
      readonly filters: readonly number[];
      readonly prevKv: boolean;
      readonly fragment: boolean;
      readonly progressNotify: boolean;
    }
  | { readonly kind: "cancel"; readonly stream: number; readonly id: bigint }
  | { readonly kind: "progress"; readonly stream: number }
  | { readonly kind: "take"; readonly stream: number; readonly count: number }
  | { readonly kind: "sync"; readonly rows: number }
  | { readonly kind: "tick" }
  | { readonly kind: "restore"; readonly writes: readonly (readonly Write[])[]; readonly share: number };

const key = fc.constantFrom("a", "b", "c", "d", "e");
const writes = fc.uniqueArray(
  fc.record({ key, value: fc.option(fc.constantFrom("", "1", "22", "x".repeat(40)), { nil: undefined }) }),
  { minLength: 1, maxLength: 3, selector: (write) => write.key },
);
const stream = fc.nat(3);
const id = fc.constantFrom(0n, 1n, 2n, 3n, -4n);
const share = fc.double({ min: 0, max: 1, noNaN: true });

export const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      writes,
      isTold: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("compact" as const), share }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("open" as const),
      eventsMax: fc.constantFrom(1, 2, 5, 1000),
      bytesMax: fc.constantFrom(1, 100, 100_000),
      fragmentBytes: fc.constantFrom(1, 60, 100, 1 << 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("close" as const), stream }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      stream,
      id,
      key: fc.constantFrom("", "a", "b", "c", "d"),
      end: fc.constantFrom("", "", "\0", "c", "e", "f"),
      start: fc.integer({ min: -12, max: 4 }),
      fromNow: fc.boolean(),
      filters: fc.constantFrom([], [], [0], [1], [0, 1]),
      prevKv: fc.boolean(),
      fragment: fc.boolean(),
      progressNotify: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("cancel" as const), stream, id }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("progress" as const), stream }) },
  {
    weight: 20,
    arbitrary: fc.record({ kind: fc.constant("take" as const), stream, count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant("sync" as const), rows: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("restore" as const),
      writes: fc.array(writes, { maxLength: 4 }),
      share,
    }),
  },
);

/** What the model knows of one watcher. */
class Tracker {
  readonly id: bigint;
  readonly matches: (row: Version) => boolean;
  readonly start: number;
  /** No progress is told before this revision. */
  readonly progressStart: number;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
  /** The first row of history not yet accounted for. */
  nextRow = 0;
  /** All events up to here have been promised to be delivered. */
  promised = 0;
  lastRevision = 0;
  inFragment = false;
  isCancelRequested = false;

  constructor(options: {
    id: bigint;
    start: number;
    progressStart: number;
    matches: (row: Version) => boolean;
    prevKv: boolean;
    progressNotify: boolean;
  }) {
    this.id = options.id;
    this.start = options.start;
    this.progressStart = options.progressStart;
    this.matches = options.matches;
    this.prevKv = options.prevKv;
    this.progressNotify = options.progressNotify;
  }
}

interface Client {
  readonly stream: WatchStream;
  readonly session: WatchSession;
  /** Expected replies to creates, in order; undefined = a refusal. */
  readonly creates: (Tracker | undefined)[];
  /** Watchers whose created reply was taken. */
  readonly active: Map<bigint, Tracker>;
  /** The model of the ids in use, by the requests made. */
  readonly requested: Map<bigint, Tracker>;
  nextId: bigint;
}

export class Scenario {
  readonly #store: ScenarioStore;
  readonly #hub: WatchHub;
  readonly #clients: Client[] = [];
  #now = 0;
  /** Work the hub has asked for and not been given. */
  #hasWork = false;
  counts = { events: 0, compacted: 0, progress: 0, fragments: 0, packed: 0 };

  constructor(
    store: ScenarioStore,
    limits: { syncWatchersMax: number; syncRevisionsMax: number; syncBytesMax: number; packedBytesMin: number },
  ) {
    this.#store = store;
    this.#hub = new WatchHub(store.source, { ...limits, onWork: () => (this.#hasWork = true) });
  }

  run(step: Command): void {
    switch (step.kind) {
      case "write":
        this.#store.write(step.writes, (revision, changes) => {
          this.#hub.published(revision, step.isTold ? changes : undefined);
        });
        return;
      case "compact":
        this.#compact(step.share);
        return;
      case "open":
        this.#open(step);
        return;
      case "tick":
        this.#now += 1000;
        this.#hub.tick(this.#now);
        return;
      case "sync":
        this.#sync(step.rows);
        return;
      case "restore":
        for (const each of step.writes) this.#store.write(each, () => {});
        this.#compact(step.share);
        this.#hub.restored();
        return;
      default: {
        const client = this.#clients[step.stream % Math.max(1, this.#clients.length)];
        if (client !== undefined) this.#runOn(client, step);
      }
    }
  }

  /** Lets everything come to rest, and checks that nothing is missing. */
  finish(): void {
    for (let round = 0; ; round++) {
      check(round < 10_000, "the hub comes to rest");
      let isQuiet = true;
      for (const client of this.#clients) while (this.#take(client)) isQuiet = false;
      while (this.#hasWork) {
        isQuiet = false;
        this.#sync(3);
      }
      if (isQuiet) break;
    }
    check(this.#hub.slowWatcherCount === 0, "every watcher is synced in the end");
    check(this.#hub.pendingEvents() === 0, "nothing is queued in the end");
    let watchers = 0;
    for (const client of this.#clients) {
      check(client.creates.length === 0, "every create is answered");
      check(client.active.size === client.requested.size, "every cancel is answered");
      check(client.stream.queuedBytes === 0, "no bytes are queued in the end");
      watchers += client.active.size;
      for (const tracker of client.active.values()) {
        this.#checkDelivered(tracker, this.#store.source.currentRevision(), "at the end");
      }
    }
    check(this.#hub.watcherCount === watchers, "the hub counts its watchers");
    for (const client of this.#clients) this.#hub.closeStream(client.stream);
    check(this.#hub.watcherCount === 0, "no watcher outlives its stream");
    check(this.#hub.streamCount === 0, "no stream is left");
  }

  #compact(part: number): void {
    const { source } = this.#store;
    const lo = Math.max(0, source.compactRevision()) + 1;
    const hi = source.currentRevision();
    // Squared, so that much of history mostly stays.
    if (lo <= hi) this.#store.compact(lo + Math.floor(part * part * (hi - lo + 0.999)));
  }

  #sync(rows: number): void {
    if (!this.#hasWork) return;
    this.#hasWork = false;
    if (this.#hub.syncStep(rows)) this.#hasWork = true;
  }

  #open(options: { eventsMax: number; bytesMax: number; fragmentBytes: number }): void {
    if (this.#clients.length >= 4) return;
    const opened = this.#hub.openStream({ nowMs: this.#now, progressIntervalMs: 2000, ...options });
    const session = new WatchSession(this.#hub, opened, {
      authorize: () => undefined,
      currentRevision: () => this.#store.source.currentRevision(),
    });
    this.#clients.push({
      stream: opened,
      session,
      creates: [],
      active: new Map(),
      requested: new Map(),
      nextId: 0n,
    });
  }

  #runOn(client: Client, step: Extract<Command, { stream: number }>): void {
    switch (step.kind) {
      case "close":
        this.#hub.closeStream(client.stream);
        this.#clients.splice(this.#clients.indexOf(client), 1);
        return;
      case "create":
        if (!client.stream.isReplyQueueFull) this.#create(client, step);
        return;
      case "cancel": {
        if (client.stream.isReplyQueueFull) return;
        const tracker = client.requested.get(step.id);
        if (tracker !== undefined) {
          tracker.isCancelRequested = true;
          client.requested.delete(step.id);
        }
        request(client, { kind: "cancelRequest", value: { watchId: step.id } });
        return;
      }
      case "progress":
        request(client, { kind: "progressRequest", value: {} });
        return;
      case "take":
        for (let n = 0; n < step.count && this.#take(client); n++);
        return;
    }
  }

  #create(client: Client, step: Extract<Command, { kind: "create" }>): void {
    const current = this.#store.source.currentRevision();
    const startRevision = step.fromNow ? 0 : Math.max(1, current + step.start);
    const watched = step.key === "" ? "\0" : step.key;
    const isEmptyRange = step.end !== "" && step.end !== "\0" && watched >= step.end;
    if (isEmptyRange || (step.id !== 0n && client.requested.has(step.id))) client.creates.push(undefined);
    else {
      let watchId = step.id;
      if (watchId === 0n) {
        while (client.requested.has(client.nextId)) client.nextId++;
        watchId = client.nextId++;
      }
      const tracker = new Tracker({
        id: watchId,
        start: startRevision === 0 ? current + 1 : startRevision,
        progressStart: startRevision === 0 ? current : startRevision,
        matches: (row) =>
          (step.end === "" ? row.key === watched : row.key >= watched && (step.end === "\0" || row.key < step.end)) &&
          !step.filters.includes(row.value === undefined ? 1 : 0),
        prevKv: step.prevKv,
        progressNotify: step.progressNotify,
      });
      client.creates.push(tracker);
      client.requested.set(watchId, tracker);
    }
    request(client, {
      kind: "createRequest",
      value: {
        key: bytesFromLatin1(step.key),
        rangeEnd: bytesFromLatin1(step.end),
        startRevision,
        watchId: step.id,
        filters: step.filters as never,
        prevKv: step.prevKv,
        fragment: step.fragment,
        progressNotify: step.progressNotify,
      },
    });
  }

  /** Takes and checks one response; false when none waits. */
  #take(client: Client): boolean {
    const response = take(client.stream, () => this.counts.packed++);
    if (response === undefined) return false;
    try {
      this.#checkResponse(client, response);
    } catch (error) {
      throw new Error(`${(error as Error).message}; response ${describe(response)}`);
    }
    return true;
  }

  #checkResponse(client: Client, response: WatchResponse): void {
    const revision = response.header?.revision ?? 0;
    if (response.created) {
      const tracker = client.creates.shift();
      check(response.canceled === (tracker === undefined), "a create is refused exactly if the model refuses it");
      check(response.watchId === (tracker?.id ?? -1n), "a create gets the id the model gives");
      if (tracker === undefined) return;
      check(!client.active.has(tracker.id), "the id is free");
      client.active.set(tracker.id, tracker);
      return;
    }
    if (response.watchId === -1n) {
      check(response.events.length === 0 && !response.canceled, "id −1 speaks of progress only");
      for (const tracker of client.active.values()) {
        // Events of a watcher that is being cancelled are dropped, and nothing is promised to it.
        if (!tracker.isCancelRequested) this.#checkProgress(tracker, revision);
      }
      return;
    }
    const tracker = client.active.get(response.watchId);
    check(tracker !== undefined, "a response belongs to a watcher that was announced and not cancelled");
    if (response.canceled) {
      check(response.events.length === 0, "a cancellation has no events");
      client.active.delete(tracker.id);
      if (response.compactRevision === 0) {
        check(tracker.isCancelRequested, "a cancellation was asked for");
        return;
      }
      check(!tracker.isCancelRequested, "a cancelled watcher is not cancelled again");
      check(revision === 0, "a compacted response has no revision");
      check(response.compactRevision <= this.#store.source.compactRevision(), "history was compacted");
      // Justified: something the watcher may still have wanted is gone.
      const covered = Math.max(tracker.promised, tracker.start - 1);
      check(covered + 1 < response.compactRevision, "a watcher that missed nothing is not cancelled");
      client.requested.delete(tracker.id);
      this.counts.compacted++;
      return;
    }
    check(!tracker.isCancelRequested, "nothing follows a cancel but its reply");
    if (response.events.length === 0) {
      check(tracker.progressNotify, "progress was asked for");
      this.#checkProgress(tracker, revision);
      return;
    }
    this.#checkEvents(tracker, response, revision);
  }

  #checkProgress(tracker: Tracker, revision: number): void {
    this.counts.progress++;
    check(!tracker.inFragment, "no progress amid fragments");
    check(revision >= tracker.progressStart, "no progress before the start");
    check(revision >= tracker.promised, "progress does not go back");
    this.#checkDelivered(tracker, revision, "when progress says so");
    tracker.promised = revision;
  }

  #checkEvents(tracker: Tracker, response: WatchResponse, revision: number): void {
    const first = response.events[0]?.kv?.modRevision ?? 0;
    if (!tracker.inFragment) {
      check(first > tracker.lastRevision, "a revision is not split across responses");
      check(first > tracker.promised, "no event is at or below what was promised");
    }
    for (const event of response.events) {
      this.counts.events++;
      const row = this.#nextRow(tracker);
      check(row !== undefined, "there is an event to deliver");
      this.#checkEvent(tracker, event, row);
      tracker.nextRow++;
      tracker.lastRevision = row.main;
    }
    check(revision >= tracker.lastRevision, "the header covers the events");
    tracker.inFragment = response.fragment;
    if (response.fragment) {
      this.counts.fragments++;
      return;
    }
    this.#checkDelivered(tracker, revision, "when the header says so");
    tracker.promised = revision;
  }

  #checkEvent(tracker: Tracker, event: Event, row: Version): void {
    const { type, kv, prevKv } = event;
    check(kv !== undefined, "an event has a key");
    const isDelete = row.value === undefined;
    check((type === 1) === isDelete, "the type is right");
    check(latin1FromBytes(kv.key) === row.key && kv.modRevision === row.main, `the next event is ${name(row)}`);
    check(latin1FromBytes(kv.value) === (row.value ?? ""), "the value is right");
    check(kv.createRevision === row.createRevision && kv.version === row.version, "creation and version are right");
    const isCreate = !isDelete && row.createRevision === row.main;
    if (!tracker.prevKv || isCreate) {
      check(prevKv === undefined, "no previous value was asked for, or there is none");
      return;
    }
    if (prevKv === undefined) {
      check(row.main - 1 < this.#store.source.compactRevision(), "a previous value is missing only if compacted");
      return;
    }
    const before = this.#store.history.findLast((each) => each.key === row.key && each.main < row.main);
    check(before?.value !== undefined, "there was a value before");
    check(latin1FromBytes(prevKv.value) === before.value, "the previous value is right");
    check(prevKv.modRevision === before.main && prevKv.version === before.version, "the previous revision is right");
  }

  #checkDelivered(tracker: Tracker, revision: number, when: string): void {
    const row = this.#nextRow(tracker);
    if (row !== undefined && row.main <= revision) check(false, `${name(row)} was delivered to ${tracker.id} ${when}`);
  }

  #nextRow(tracker: Tracker): Version | undefined {
    const { history } = this.#store;
    for (;;) {
      const row = history[tracker.nextRow];
      if (row === undefined || (row.main >= tracker.start && tracker.matches(row))) return row;
      tracker.nextRow++;
    }
  }
}

function request(client: Client, requestUnion: WatchRequestInit["requestUnion"]): void {
  client.session.handle(createWatchRequest({ requestUnion }));
}

function name(row: Version): string {
  return `${row.value === undefined ? "-" : "+"}${row.key}(${row.main})`;
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`not so: ${what}`);
}
