import { describe, expect, it } from "vitest";
import { describeAll, take } from "./testing/client.js";
import { FakeSource, type Write } from "./testing/fake-source.js";
import { fakeStore, runScenarios } from "./testing/run-scenarios.js";
import { WatchHub, type WatchHubOptions } from "./watch-hub.js";
import type { WatchStream, WatchStreamOptions } from "./watch-stream.js";
import type { Watcher, WatchSpec } from "./watcher.js";

class World {
  readonly source = new FakeSource();
  readonly hub: WatchHub;
  work = 0;

  constructor(options?: WatchHubOptions) {
    this.hub = new WatchHub(this.source, { onWork: () => this.work++, ...options });
  }

  open(options?: Partial<WatchStreamOptions>): WatchStream {
    return this.hub.openStream({ nowMs: 0, progressIntervalMs: 1000, fragmentBytes: 2 ** 21, ...options });
  }

  watch(stream: WatchStream, spec: Partial<WatchSpec> & { id: bigint }): Watcher {
    return this.hub.watch(stream, {
      key: "a",
      kind: "key",
      end: undefined,
      startRevision: 0,
      noPut: false,
      noDelete: false,
      prevKv: false,
      fragment: false,
      progressNotify: false,
      ...spec,
    });
  }

  /** Writes `key=value` and `-key` items in one transaction. */
  write(...items: string[]): number {
    const writes = items.map((item): Write => {
      if (item.startsWith("-")) return { key: item.slice(1), value: undefined };
      const [key = "", value = ""] = item.split("=");
      return { key, value };
    });
    const { revision, changes } = this.source.write(writes);
    if (changes.length > 0) this.hub.published(revision, changes);
    return revision;
  }

  sync(): void {
    while (this.hub.syncStep());
  }
}

describe("live events", () => {
  it("reach watchers of the key and of ranges around it, with the header of their revision", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 0n });
    world.watch(stream, { id: 1n, key: "b" });
    world.watch(stream, { id: 2n, kind: "range", key: "a", end: "b" });
    world.watch(stream, { id: 3n, kind: "range", key: "", end: undefined });
    world.watch(stream, { id: -5n, kind: "range", key: "b", end: "c" });
    world.write("a=1");
    world.write("b=2");
    world.write("-a", "-b");
    expect(describeAll(stream).sort()).toEqual([
      "-5@4 +b=2(3) -b(4)",
      "0@4 +a=1(2) -a(4)",
      "1@4 +b=2(3) -b(4)",
      "2@4 +a=1(2) -a(4)",
      "3@4 +a=1(2) +b=2(3) -a(4) -b(4)",
    ]);
  });

  it("are separate responses for a client that keeps up", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n });
    world.write("a=1");
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2)"]);
    world.write("a=2", "a=3");
    expect(describeAll(stream)).toEqual(["1@3 +a=2(3) +a=3(3)"]);
  });

  it("are merged for one that does not, and other watchers' lists stay as they were", () => {
    const world = new World();
    const slow = world.open();
    const quick = world.open();
    world.watch(slow, { id: 1n });
    world.watch(quick, { id: 2n });
    world.write("a=1");
    expect(describeAll(quick)).toEqual(["2@2 +a=1(2)"]);
    world.watch(slow, { id: 3n });
    world.write("a=2");
    world.write("a=3");
    expect(describeAll(quick)).toEqual(["2@4 +a=2(3) +a=3(4)"]);
    expect(describeAll(slow)).toEqual(["1@4 +a=1(2) +a=2(3) +a=3(4)", "3@4 +a=2(3) +a=3(4)"]);
  });

  it("are filtered", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n, noPut: true });
    world.watch(stream, { id: 2n, noDelete: true });
    world.watch(stream, { id: 3n, noPut: true, noDelete: true });
    world.write("a=1");
    world.write("-a");
    expect(describeAll(stream).sort()).toEqual(["1@3 -a(3)", "2@2 +a=1(2)"]);
  });

  it("come with the previous value where asked, except the first one of a key", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n, prevKv: true });
    world.watch(stream, { id: 2n });
    world.write("a=1");
    world.write("a=2");
    world.write("-a");
    world.write("a=3");
    expect(describeAll(stream)).toEqual([
      "1@5 +a=1(2) +a=2(3){1(2)} -a(4){2(3)} +a=3(5)",
      "2@5 +a=1(2) +a=2(3) -a(4) +a=3(5)",
    ]);
  });

  it("come without a previous value when the key was deleted and created anew in one transaction", () => {
    const world = new World();
    const stream = world.open();
    world.write("a=1");
    world.watch(stream, { id: 1n, prevKv: true });
    world.write("-a", "a=2");
    expect(describeAll(stream)).toEqual(["1@3 -a(3){1(2)} +a=2(3)"]);
    world.watch(stream, { id: 2n, prevKv: true, startRevision: 3 });
    world.sync();
    expect(describeAll(stream)).toEqual(["2@3 -a(3){1(2)} +a=2(3)"]);
  });

  it("come without a previous value that was compacted", () => {
    const world = new World();
    const stream = world.open();
    world.write("a=1");
    world.write("a=2");
    world.watch(stream, { id: 1n, prevKv: true, startRevision: 3 });
    world.source.compact(3);
    world.sync();
    expect(describeAll(stream)).toEqual(["1@3 +a=2(3)"]);
  });

  it("carry keys and values of any bytes and length", () => {
    const world = new World();
    const stream = world.open();
    const key = "\0\xff".repeat(100);
    const value = "\x80".repeat(40_000);
    world.watch(stream, { id: 1n, key, prevKv: true });
    world.write(`${key}=${value}`);
    world.write(`${key}=`);
    const [first, second] = describeAll(stream).join(" ").split(" +").slice(1);
    expect(first).toBe(`${key}=${value}(2)`);
    expect(second).toBe(`${key}=(3){${value}(2)}`);
  });
});

describe("start revisions", () => {
  it("in the past are caught up with, from exactly there", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`, `b=${n}`);
    expect(world.work).toBe(0);
    world.watch(stream, { id: 1n, startRevision: 4 });
    world.watch(stream, { id: 2n, startRevision: 1, key: "b" });
    world.watch(stream, { id: 3n, startRevision: 6 });
    expect(world.work).toBe(1);
    expect(world.hub.slowWatcherCount).toBe(3);
    world.sync();
    expect(world.hub.slowWatcherCount).toBe(0);
    expect(describeAll(stream)).toEqual([
      "1@6 +a=3(4) +a=4(5) +a=5(6)",
      "2@6 +b=1(2) +b=2(3) +b=3(4) +b=4(5) +b=5(6)",
      "3@6 +a=5(6)",
    ]);
    world.write("a=6");
    expect(describeAll(stream)).toEqual(["1@7 +a=6(7)", "3@7 +a=6(7)"]);
  });

  it("in the future wait for their revision", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n, startRevision: 4 });
    for (let n = 1; n <= 4; n++) world.write(`a=${n}`);
    expect(describeAll(stream)).toEqual(["1@5 +a=3(4) +a=4(5)"]);
  });

  it("below the compacted revision end in one cancellation with header revision 0", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`);
    world.source.compact(4);
    world.watch(stream, { id: 1n, startRevision: 3 });
    world.watch(stream, { id: 2n, startRevision: 4 });
    world.sync();
    world.write("a=6");
    world.sync();
    expect(describeAll(stream)).toEqual(["1@0 canceled compacted:4", "2@7 +a=3(4) +a=4(5) +a=5(6) +a=6(7)"]);
    expect(world.hub.watcherCount).toBe(1);
    expect(stream.watcherCount).toBe(1);
  });

  it("at the compacted revision see a deletion there", () => {
    const world = new World();
    const stream = world.open();
    world.write("a=1");
    world.write("-a");
    world.write("b=1");
    world.source.compact(3);
    world.watch(stream, { id: 1n, startRevision: 3 });
    world.sync();
    expect(describeAll(stream)).toEqual(["1@4 -a(3)"]);
  });
});

describe("catching up", () => {
  it("goes on in steps, each revision whole, while new revisions arrive", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 4; n++) world.write(`a=${n}`, `a=${n}'`, `b=${n}`);
    world.watch(stream, { id: 1n, startRevision: 2 });
    expect(world.hub.syncStep(1)).toBe(true);
    expect(describeAll(stream)).toEqual([]);
    expect(world.hub.syncStep(2)).toBe(true);
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2) +a=1'(2)"]);
    expect(world.hub.syncStep(6)).toBe(true);
    expect(describeAll(stream)).toEqual(["1@4 +a=2(3) +a=2'(3) +a=3(4) +a=3'(4)"]);
    world.write("a=5");
    expect(describeAll(stream)).toEqual([]);
    expect(world.hub.syncStep(1000)).toBe(false);
    expect(describeAll(stream)).toEqual(["1@6 +a=4(5) +a=4'(5) +a=5(6)"]);
    // The last row of a step is where the next one begins.
    expect(world.source.rowsRead).toBe(13 + 3);
  });

  it("drops a half collected revision with its watcher, and cancels when it is compacted", () => {
    const world = new World();
    const stream = world.open();
    world.write("a=1", "b=1", "c=1");
    world.write("a=2", "b=2", "c=2");
    const all = { kind: "range", key: "a", end: undefined, startRevision: 2 } as const;
    const first = world.watch(stream, { ...all, id: 1n });
    world.watch(stream, { ...all, id: 2n, startRevision: 3 });
    expect(world.hub.syncStep(2)).toBe(true);
    world.hub.cancel(first);
    expect(world.hub.syncStep(2)).toBe(true);
    expect(describeAll(stream)).toEqual([]);
    world.write("a=3");
    world.source.compact(4);
    expect(world.hub.syncStep(2)).toBe(false);
    expect(describeAll(stream)).toEqual(["2@0 canceled compacted:4"]);
    expect(world.hub.watcherCount).toBe(0);
  });

  it("goes on within a revision although the stream has become full", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 1 });
    world.write("a=1", "b=1", "c=1");
    world.watch(stream, { id: 1n, kind: "range", key: "a", end: undefined, startRevision: 2 });
    expect(world.hub.syncStep(2)).toBe(true);
    world.watch(stream, { id: 2n, key: "d" });
    world.write("d=1");
    expect(stream.isFull).toBe(true);
    world.sync();
    expect(take(stream)?.watchId).toBe(2n);
    world.sync();
    expect(describeAll(stream)).toEqual(["1@3 +a=1(2) +b=1(2) +c=1(2) +d=1(3)"]);
  });
});

describe("a revision with too many changes to be told", () => {
  it("reaches those who watch any of them in steps, and leaves the others alone", () => {
    const world = new World();
    const stream = world.open();
    world.write(...Array.from({ length: 10 }, (_, n) => `k${n}=1`));
    world.watch(stream, { id: 1n, kind: "range", key: "k", end: "l", prevKv: true });
    world.watch(stream, { id: 2n, key: "k3" });
    world.watch(stream, { id: 3n, key: "x" });
    world.watch(stream, { id: 4n, kind: "range", key: "l", end: "m" });
    world.watch(stream, { id: 5n, key: "k4", startRevision: 4 });
    const { revision } = world.source.write(Array.from({ length: 10 }, (_, n) => ({ key: `k${n}`, value: undefined })));
    world.hub.published(revision, undefined);
    expect(world.hub.slowWatcherCount).toBe(2);
    expect(world.work).toBe(1);
    expect(world.hub.syncStep(6)).toBe(true);
    expect(describeAll(stream)).toEqual([]);
    world.write("x=1", "k4=2");
    expect(world.hub.syncStep(6)).toBe(false);
    const deleted = Array.from({ length: 10 }, (_, n) => `-k${n}(3){1(2)}`);
    expect(describeAll(stream).sort()).toEqual([
      `1@4 ${deleted.join(" ")} +k4=2(4)`,
      "2@4 -k3(3)",
      "3@4 +x=1(4)",
      "5@4 +k4=2(4)",
    ]);
  });

  it("is one response in pieces for those who do not ask for fragments", () => {
    const world = new World({ packedBytesMin: 1 });
    const stream = world.open({ fragmentBytes: 100 });
    world.write(...Array.from({ length: 40 }, (_, n) => `k${n}=1`));
    world.watch(stream, { id: 1n, kind: "range", key: "k", end: "l" });
    world.watch(stream, { id: 2n, kind: "range", key: "k", end: "l", fragment: true });
    const { revision } = world.source.write(Array.from({ length: 40 }, (_, n) => ({ key: `k${n}`, value: undefined })));
    world.hub.published(revision, undefined);
    while (world.hub.syncStep(6));
    let inPieces = 0;
    const events: number[] = [];
    for (;;) {
      const response = take(stream, () => inPieces++);
      if (response === undefined) break;
      if (response.watchId === 1n) expect([response.events.length, response.fragment]).toEqual([40, false]);
      else events.push(response.events.length);
    }
    expect(inPieces).toBe(1);
    expect(events.reduce((sum, count) => sum + count)).toBe(40);
    expect(Math.max(...events)).toBeLessThan(10);
  });
});

describe("catching up many", () => {
  it("reads history once for all watchers of a round", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 100; n++) world.write(`a=${n}`);
    for (let id = 1n; id <= 50n; id++) world.watch(stream, { id, startRevision: 2 });
    world.sync();
    expect(world.source.rowsRead).toBe(100);
  });

  it("takes a limited number of watchers a round, and all of them in the end", () => {
    const world = new World({ syncWatchersMax: 3 });
    const stream = world.open();
    world.write("a=1");
    for (let id = 1n; id <= 10n; id++) world.watch(stream, { id, startRevision: 2 });
    let steps = 1;
    while (world.hub.syncStep()) steps++;
    expect(steps).toBe(4);
    expect(describeAll(stream)).toHaveLength(10);
    expect(world.work).toBe(1);
  });

  it("ends a step at the limits of revisions and bytes", () => {
    const world = new World({ syncRevisionsMax: 2 });
    const stream = world.open();
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`);
    world.watch(stream, { id: 1n, startRevision: 2 });
    world.hub.syncStep();
    expect(describeAll(stream)).toEqual(["1@3 +a=1(2) +a=2(3)"]);

    const small = new World({ syncBytesMax: 1 });
    const other = small.open();
    for (let n = 1; n <= 3; n++) small.write(`a=${n}`);
    small.watch(other, { id: 1n, startRevision: 2 });
    small.hub.syncStep();
    expect(describeAll(other)).toEqual(["1@2 +a=1(2)"]);
  });
});

describe("a full stream", () => {
  it("keeps the batch it had no room for, then catches up from history", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 1 });
    const watcher = world.watch(stream, { id: 1n });
    world.write("a=1");
    world.write("a=2");
    expect(watcher.state).toBe("victim");
    world.write("a=3");
    expect(world.hub.slowWatcherCount).toBe(1);
    expect(take(stream)?.events).toHaveLength(1);
    expect(watcher.state).toBe("waiting");
    expect(world.work).toBe(1);
    expect(describeAll(stream)).toEqual(["1@3 +a=2(3)"]);
    world.sync();
    expect(describeAll(stream)).toEqual(["1@4 +a=3(4)"]);
    expect(watcher.state).toBe("synced");
  });

  it("parks who would catch up into it, without holding up others", () => {
    const world = new World();
    const full = world.open({ eventsMax: 1 });
    const free = world.open();
    world.write("a=1");
    world.watch(full, { id: 9n });
    world.write("a=2");
    const parked = world.watch(full, { id: 1n, startRevision: 2 });
    world.watch(free, { id: 2n, startRevision: 2 });
    world.sync();
    expect(parked.state).toBe("parked");
    expect(describeAll(free)).toEqual(["2@3 +a=1(2) +a=2(3)"]);
    expect(world.work).toBe(1);
    expect(describeAll(full)).toEqual(["9@3 +a=2(3)"]);
    expect(world.work).toBe(2);
    world.sync();
    expect(describeAll(full)).toEqual(["1@3 +a=1(2) +a=2(3)"]);
  });

  it("is full by bytes too, and one batch may pass the limit", () => {
    const world = new World();
    const stream = world.open({ bytesMax: 10 });
    const watcher = world.watch(stream, { id: 1n });
    world.write(`a=${"x".repeat(100)}`);
    expect(watcher.state).toBe("synced");
    expect(stream.queuedBytes).toBeGreaterThan(100);
    world.write("a=2");
    expect(watcher.state).toBe("victim");
    describeAll(stream);
    expect(stream.queuedBytes).toBe(0);
    expect(watcher.state).toBe("synced");
  });

  it("tells a watcher that compaction overtook, and no later event", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 1 });
    world.watch(stream, { id: 1n });
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`);
    world.source.compact(6);
    const lines = describeAll(stream);
    world.sync();
    lines.push(...describeAll(stream));
    world.write("a=7");
    world.sync();
    lines.push(...describeAll(stream));
    expect(lines).toEqual(["1@2 +a=1(2)", "1@3 +a=2(3)", "1@0 canceled compacted:6"]);
  });

  it("becomes free again when what fills it belongs to cancelled watchers", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 2 });
    const gone = world.watch(stream, { id: 1n });
    const stays = world.watch(stream, { id: 2n, key: "b" });
    world.write("a=1");
    world.write("a=2");
    world.write("b=1");
    expect(stays.state).toBe("victim");
    world.hub.cancel(gone);
    expect(describeAll(stream)).toEqual(["2@4 +b=1(4)"]);
    expect(stays.state).toBe("synced");
  });
});

describe("cancel", () => {
  it("drops what is queued, in whatever state the watcher is", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 1 });
    world.write("a=0");
    const first = world.watch(stream, { id: 1n });
    const victim = world.watch(stream, { id: 2n });
    const waiting = world.watch(stream, { id: 3n, startRevision: 2 });
    const parked = world.watch(stream, { id: 4n, startRevision: 2 });
    world.write("a=1");
    world.hub.cancel(waiting);
    world.sync();
    expect([first.state, victim.state, waiting.state, parked.state]).toEqual(["synced", "victim", "removed", "parked"]);
    for (const watcher of [first, victim, waiting, parked]) world.hub.cancel(watcher);
    world.hub.cancel(first);
    expect(describeAll(stream)).toEqual([]);
    expect(world.hub.watcherCount).toBe(0);
    expect(world.hub.slowWatcherCount).toBe(0);
    world.write("a=2");
    expect(world.hub.syncStep()).toBe(false);
  });

  it("before the cancellation for compaction was taken replaces it", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`);
    world.source.compact(5);
    const watcher = world.watch(stream, { id: 1n, startRevision: 2 });
    world.sync();
    expect(watcher.state).toBe("compacted");
    world.hub.cancel(watcher);
    expect(describeAll(stream)).toEqual([]);
    expect(world.hub.watcherCount).toBe(0);
  });

  it("of a whole stream leaves nothing behind", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 1 });
    world.write("a=0");
    for (let id = 1n; id <= 3n; id++) world.watch(stream, { id });
    world.watch(stream, { id: 4n, startRevision: 2 });
    world.write("a=1");
    world.hub.closeStream(stream);
    world.hub.closeStream(stream);
    expect([world.hub.streamCount, world.hub.watcherCount, world.hub.slowWatcherCount]).toEqual([0, 0, 0]);
    expect(world.hub.nextTickMs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("progress on request", () => {
  it("is answered for the stream once every watcher is synced and has started", () => {
    const world = new World();
    const stream = world.open();
    world.hub.requestProgress(stream);
    world.write("a=1");
    world.watch(stream, { id: 1n, startRevision: 2 });
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual([]);
    world.sync();
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2)", "-1@2"]);
    const future = world.watch(stream, { id: 2n, startRevision: 9 });
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual([]);
    world.hub.cancel(future);
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual(["-1@2"]);
  });

  it("comes after all events it covers and before all later ones", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n });
    world.write("a=1");
    world.hub.requestProgress(stream);
    world.write("a=2");
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2)", "-1@2", "1@3 +a=2(3)", "-1@3"]);
  });

  it("works again after a watcher was cancelled by compaction", () => {
    const world = new World();
    const stream = world.open();
    for (let n = 1; n <= 5; n++) world.write(`a=${n}`);
    world.source.compact(5);
    world.watch(stream, { id: 1n, startRevision: 2 });
    world.watch(stream, { id: 2n });
    world.sync();
    expect(describeAll(stream)).toEqual(["1@0 canceled compacted:5"]);
    world.hub.requestProgress(stream);
    expect(describeAll(stream)).toEqual(["-1@6"]);
  });

  it("is dropped when the stream is full, so that requests cannot fill memory", () => {
    const world = new World();
    const stream = world.open({ eventsMax: 5 });
    world.watch(stream, { id: 1n });
    for (let n = 0; n < 100; n++) world.hub.requestProgress(stream);
    expect(stream.queuedEvents).toBe(5);
    expect(describeAll(stream)).toHaveLength(5);
  });
});

describe("automatic progress", () => {
  it("comes in intervals without events, to synced watchers that asked and have started", () => {
    const world = new World();
    const stream = world.open({ progressIntervalMs: 1000 });
    world.write("a=1");
    world.watch(stream, { id: 1n, progressNotify: true });
    world.watch(stream, { id: 2n });
    world.watch(stream, { id: 3n, progressNotify: true, startRevision: 9 });
    world.watch(stream, { id: 4n, progressNotify: true, startRevision: 2, key: "z" });
    expect(world.hub.nextTickMs()).toBe(1000);
    world.hub.tick(999);
    expect(describeAll(stream)).toEqual([]);
    world.hub.tick(1000);
    expect(describeAll(stream)).toEqual(["1@2"]);
    world.sync();
    world.write("a=2");
    expect(describeAll(stream)).toEqual(["1@3 +a=2(3)", "2@3 +a=2(3)"]);
    world.hub.tick(2000);
    expect(describeAll(stream)).toEqual(["4@3"]);
    world.hub.tick(3000);
    expect(describeAll(stream)).toEqual(["1@3", "4@3"]);
  });

  it("is not merged over", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n, progressNotify: true });
    world.write("a=1");
    world.hub.tick(1000);
    world.write("a=2");
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2)", "1@2", "1@3 +a=2(3)"]);
  });
});

describe("restore from a snapshot", () => {
  it("brings every watcher what it missed, and cancels only those who cannot have it", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n });
    world.watch(stream, { id: 2n, key: "idle" });
    world.watch(stream, { id: 3n, key: "b", startRevision: 20 });
    world.write("a=1");
    expect(describeAll(stream)).toEqual(["1@2 +a=1(2)"]);
    // The snapshot holds more than was ever published here.
    for (let n = 2; n <= 5; n++) world.source.write([{ key: "a", value: String(n) }]);
    world.source.compact(3);
    world.hub.restored();
    world.sync();
    expect(describeAll(stream)).toEqual(["1@6 +a=2(3) +a=3(4) +a=4(5) +a=5(6)"]);
    for (let n = 7; n <= 9; n++) world.source.write([{ key: "a", value: String(n) }]);
    world.source.compact(9);
    world.hub.restored();
    world.sync();
    // The idle watcher wanted nothing that is gone, but it cannot know: 7 and 8 may have been its own.
    expect(describeAll(stream)).toEqual(["1@0 canceled compacted:9", "2@0 canceled compacted:9"]);
    expect(world.hub.watcherCount).toBe(1);
  });

  it("does not cancel an idle watcher that had everything when the snapshot came", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n, key: "idle" });
    for (let n = 1; n <= 9; n++) world.write(`a=${n}`);
    world.source.compact(10);
    world.hub.restored();
    world.write("idle=1");
    world.sync();
    expect(describeAll(stream)).toEqual(["1@11 +idle=1(11)"]);
  });
});

describe("fragments", () => {
  const value = "x".repeat(100);

  it("split a large response at the limit, only where asked", () => {
    const world = new World();
    const stream = world.open({ fragmentBytes: 400 });
    world.watch(stream, { id: 1n, kind: "range", key: "", fragment: true });
    world.watch(stream, { id: 2n, kind: "range", key: "" });
    world.write(...["a", "b", "c", "d", "e"].map((key) => `${key}=${value}`));
    const [first, second, third] = [take(stream), take(stream), take(stream)];
    expect(first).toMatchObject({ watchId: 1n, fragment: true, header: { revision: 2 } });
    expect(first?.events).toHaveLength(3);
    expect(second).toMatchObject({ watchId: 1n, fragment: false, header: { revision: 2 } });
    expect(second?.events).toHaveLength(2);
    expect(third).toMatchObject({ watchId: 2n, fragment: false });
    expect(third?.events).toHaveLength(5);
    expect(take(stream)).toBeUndefined();
  });

  it("hold at least one event, and one event is never split", () => {
    const world = new World();
    const stream = world.open({ fragmentBytes: 10 });
    world.watch(stream, { id: 1n, fragment: true, kind: "range", key: "" });
    world.write(`a=${value}`);
    expect(take(stream)).toMatchObject({ fragment: false });
    world.write("a=1", "b=2", "c=3");
    expect(describeAll(stream)).toEqual(["1@3 fragment +a=1(3)", "1@3 fragment +b=2(3)", "1@3 +c=3(3)"]);
  });

  it("end with their watcher", () => {
    const world = new World();
    const stream = world.open({ fragmentBytes: 10 });
    const watcher = world.watch(stream, { id: 1n, fragment: true, kind: "range", key: "" });
    world.write("a=1", "b=2", "c=3");
    expect(take(stream)).toMatchObject({ fragment: true });
    world.hub.cancel(watcher);
    expect(take(stream)).toBeUndefined();
  });
});

describe("random lives of a hub", () => {
  it("give every watcher every event or one cancellation", () => {
    runScenarios(fakeStore, { seed: 3, numRuns: 60, commandsMax: 100 });
  });
});

describe("a stream", () => {
  it("says when it has something again, once each time", () => {
    const world = new World();
    const stream = world.open();
    let ready = 0;
    stream.onReady(() => ready++);
    world.watch(stream, { id: 1n });
    world.write("a=1");
    world.write("a=2");
    expect(ready).toBe(1);
    take(stream);
    world.write("a=3");
    expect(ready).toBe(1);
    expect(describeAll(stream)).toHaveLength(1);
    world.write("a=4");
    expect(ready).toBe(2);
  });

  it("tells a late listener that something waits", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n });
    world.write("a=1");
    let ready = 0;
    stream.onReady(() => ready++);
    expect(ready).toBe(1);
  });

  it("merges up to a limit", () => {
    const world = new World();
    const stream = world.open();
    world.watch(stream, { id: 1n });
    for (let n = 1; n <= 2500; n++) world.write(`a=${n}`);
    const counts: number[] = [];
    for (let response = take(stream); response !== undefined; response = take(stream)) {
      counts.push(response.events.length);
    }
    expect(counts).toEqual([1000, 1000, 500]);
    expect(world.hub.eventsTotal).toBe(2500);
  });
});
