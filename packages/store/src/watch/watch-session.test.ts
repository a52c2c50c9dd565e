import { bytesFromLatin1, type Reason } from "@etcd-ts/api";
import { createWatchCreateRequest, createWatchRequest } from "@etcd-ts/api/etcdserverpb";
import { describe, expect, it } from "vitest";
import { describeAll, take } from "./testing/client.js";
import { FakeSource } from "./testing/fake-source.js";
import { WatchHub } from "./watch-hub.js";
import { WatchSession, type WatchSessionOptions } from "./watch-session.js";
import type { WatchStream } from "./watch-stream.js";

interface Create {
  readonly key?: string;
  readonly end?: string;
  readonly id?: bigint;
  readonly start?: number;
  readonly filters?: readonly number[];
}

class World {
  readonly source = new FakeSource();
  readonly hub = new WatchHub(this.source);
  readonly stream: WatchStream = this.hub.openStream({ nowMs: 0, progressIntervalMs: 1000, fragmentBytes: 2 ** 21 });
  readonly session: WatchSession;
  readonly authorized: string[] = [];
  denial: Reason | undefined;

  constructor(options?: Partial<WatchSessionOptions>) {
    this.session = new WatchSession(this.hub, this.stream, {
      authorize: (key, end) => {
        this.authorized.push(`${Buffer.from(key).toString("hex")} ${Buffer.from(end).toString("hex")}`);
        return this.denial;
      },
      currentRevision: () => this.source.currentRevision(),
      ...options,
    });
  }

  create(create: Create): void {
    const value = createWatchCreateRequest({
      key: bytesFromLatin1(create.key ?? "a"),
      rangeEnd: bytesFromLatin1(create.end ?? ""),
      watchId: create.id ?? 0n,
      startRevision: create.start ?? 0,
      filters: (create.filters ?? []) as never,
    });
    this.session.handle(createWatchRequest({ requestUnion: { kind: "createRequest", value } }));
  }

  cancel(watchId: bigint): void {
    this.session.handle(createWatchRequest({ requestUnion: { kind: "cancelRequest", value: { watchId } } }));
  }

  write(key: string, value: string | undefined): void {
    const { revision, changes } = this.source.write([{ key, value }]);
    this.hub.published(revision, changes);
  }
}

describe("watch ids", () => {
  it("are given from 0 on, skipping those in use; explicit ones do not advance the next", () => {
    const world = new World();
    world.create({});
    world.create({ id: 2n });
    world.create({ id: -7n });
    world.create({ id: 100n });
    world.create({});
    world.create({});
    world.cancel(1n);
    world.create({});
    expect(describeAll(world.stream)).toEqual([
      "0@1 created",
      "2@1 created",
      "-7@1 created",
      "100@1 created",
      "1@1 created",
      "3@1 created",
      "1@1 canceled",
      "4@1 created",
    ]);
  });

  it("are unique on their stream", () => {
    const world = new World();
    world.create({ id: 5n });
    world.create({ id: 5n });
    world.cancel(5n);
    world.create({ id: 5n });
    expect(describeAll(world.stream)).toEqual([
      "5@1 created",
      '-1@1 created canceled "mvcc: duplicate watch ID provided on the WatchStream"',
      "5@1 canceled",
      "5@1 created",
    ]);
  });

  it("of a watcher cancelled by compaction are free again", () => {
    const world = new World();
    for (let n = 1; n <= 4; n++) world.write("a", String(n));
    world.source.compact(4);
    world.create({ id: 5n, start: 2 });
    while (world.hub.syncStep());
    expect(describeAll(world.stream)).toEqual(["5@5 created", "5@0 canceled compacted:4"]);
    world.cancel(5n);
    world.create({ id: 5n, start: 4 });
    while (world.hub.syncStep());
    expect(describeAll(world.stream)).toEqual(["5@5 created", "5@5 +a=3(4) +a=4(5)"]);
  });
});

describe("creates", () => {
  it("take an empty key for a zero byte, and an end of a zero byte for no end", () => {
    const world = new World();
    world.create({ key: "" });
    world.create({ key: "", end: "\0" });
    world.create({ key: "b", end: "\0" });
    world.create({ key: "b", end: "c" });
    for (const key of ["\0", "a", "b", "c", "\xff"]) world.write(key, "1");
    expect(describeAll(world.stream).slice(4).sort()).toEqual([
      "0@2 +\0=1(2)",
      "1@6 +\0=1(2) +a=1(3) +b=1(4) +c=1(5) +\xff=1(6)",
      "2@6 +b=1(4) +c=1(5) +\xff=1(6)",
      "3@4 +b=1(4)",
    ]);
  });

  it("are authorised for the key watched and the end as sent", () => {
    const world = new World();
    world.create({ key: "" });
    world.create({ key: "", end: "\0" });
    world.create({ key: "a", end: "b" });
    world.create({ key: "z", end: "b" });
    world.create({ start: -1 });
    expect(world.authorized).toEqual(["00 ", "00 00", "61 62", "7a 62"]);
  });

  it.each([
    [{ start: -1 }, "etcdserver: mvcc: required revision has been compacted"],
    [{ key: "b", end: "a" }, "mvcc: watcher range is empty"],
    [{ key: "a", end: "a" }, "mvcc: watcher range is empty"],
    [{ key: "\xff", end: "\x7f" }, "mvcc: watcher range is empty"],
  ])("%j is refused", (create, text) => {
    const world = new World();
    world.create(create);
    expect(describeAll(world.stream)).toEqual([`-1@1 created canceled ${JSON.stringify(text)}`]);
    expect(world.stream.watcherCount).toBe(0);
  });

  it.each([
    ["invalidAuthToken", "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"],
    ["authOldRevision", "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old"],
    ["userEmpty", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"],
    ["permissionDenied", "rpc error: code = PermissionDenied desc = etcdserver: permission denied"],
    ["userNotFound", "rpc error: code = PermissionDenied desc = etcdserver: permission denied"],
  ] as const)("denied with %s are refused in words, and others may follow", (reason, text) => {
    const world = new World();
    world.denial = reason;
    world.create({ key: "b", end: "a" });
    world.denial = undefined;
    world.create({});
    expect(describeAll(world.stream)).toEqual([`-1@1 created canceled ${JSON.stringify(text)}`, "0@1 created"]);
  });

  it("above the limit of watchers are refused", () => {
    const world = new World({ watchersMax: 2 });
    for (let n = 0; n < 3; n++) world.create({});
    world.cancel(0n);
    world.create({});
    expect(describeAll(world.stream)).toEqual([
      "0@1 created",
      "1@1 created",
      '-1@1 created canceled "etcdserver: too many requests"',
      "0@1 canceled",
      "2@1 created",
    ]);
  });

  it("know two filters and ignore others", () => {
    const world = new World();
    world.create({ filters: [0] });
    world.create({ filters: [1] });
    world.create({ filters: [7, 0, 0, 1] });
    world.create({ filters: [2] });
    world.write("a", "1");
    world.write("a", undefined);
    expect(describeAll(world.stream).slice(4).sort()).toEqual(["0@3 -a(3)", "1@2 +a=1(2)", "3@3 +a=1(2) -a(3)"]);
  });

  it("are answered before any event of theirs, with the revision of their moment", () => {
    const world = new World();
    world.write("a", "1");
    world.create({ start: 1 });
    world.write("a", "2");
    while (world.hub.syncStep());
    expect(describeAll(world.stream)).toEqual(["0@2 created", "0@3 +a=1(2) +a=2(3)"]);
  });
});

describe("cancels", () => {
  it("are answered for watched ids only, and nothing of the watcher follows", () => {
    const world = new World();
    world.create({});
    world.write("a", "1");
    world.cancel(0n);
    world.cancel(0n);
    world.cancel(9n);
    world.write("a", "2");
    expect(describeAll(world.stream)).toEqual(["0@1 created", "0@2 canceled"]);
  });

  it("do not let events of a former watcher reach a new one of the same id", () => {
    const world = new World();
    world.create({ id: 5n });
    world.write("a", "1");
    world.cancel(5n);
    world.create({ id: 5n });
    world.write("a", "2");
    expect(describeAll(world.stream)).toEqual(["5@1 created", "5@2 canceled", "5@2 created", "5@3 +a=2(3)"]);
  });
});

describe("other requests", () => {
  it("progress is passed on, an empty one is ignored", () => {
    const world = new World();
    world.create({});
    world.session.handle(createWatchRequest({ requestUnion: { kind: "progressRequest", value: {} } }));
    world.session.handle(createWatchRequest({}));
    expect(describeAll(world.stream)).toEqual(["0@1 created", "-1@1"]);
  });

  it("after the stream was closed do nothing", () => {
    const world = new World();
    world.create({});
    world.write("a", "1");
    world.hub.closeStream(world.stream);
    world.create({});
    world.cancel(0n);
    expect(describeAll(world.stream)).toEqual([]);
    expect([world.stream.queuedEvents, world.stream.queuedBytes, world.stream.isReplyQueueFull]).toEqual([0, 0, false]);
  });

  it("should wait while many replies do", () => {
    const world = new World();
    for (let n = 0; n < 16; n++) {
      expect(world.stream.isReplyQueueFull).toBe(false);
      world.create({});
    }
    expect(world.stream.isReplyQueueFull).toBe(true);
    take(world.stream);
    expect(world.stream.isReplyQueueFull).toBe(false);
  });
});
