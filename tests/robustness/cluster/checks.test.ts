/** What the cluster's checkers see: a store that keeps its word passes, and each way of breaking it is told. */

import type { EtcdClient } from "@etcd-ts/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ClusterMember } from "./cluster.js";
import { FreshReads } from "./fresh-reads.js";
import { Load, WatchRecord } from "./load.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Row {
  readonly key: Uint8Array;
  value: Uint8Array;
  modRevision: number;
  version: number;
}

interface Event {
  readonly kv: { readonly key: Uint8Array; readonly modRevision: number };
}

/** A server in a few lines, which a test can make forget, alter or repeat. */
class FakeServer {
  revision = 1;
  readonly rows = new Map<string, Row>();
  /** What watchers are given, in this order. */
  events: Event[] = [];
  /** Fails the watch once all events were given. */
  failure: Error | undefined;
  /** Reads answer with what was so many revisions ago. */
  lag = 0;

  async put(key: string, value: string): Promise<{ header: { revision: number } }> {
    this.revision++;
    const version = (this.rows.get(key)?.version ?? 0) + 1;
    this.rows.set(key, { key: encode(key), value: encode(value), modRevision: this.revision, version });
    this.events.push({ kv: { key: encode(key), modRevision: this.revision } });
    return { header: { revision: this.revision } };
  }

  async get(key: string, options: { readonly prefix?: boolean } = {}) {
    const found = [...this.rows].filter(([name]) => (options.prefix === true ? name.startsWith(key) : name === key));
    const kvs = found.map(([, row]) => ({ ...row, modRevision: row.modRevision - this.lag }));
    return { kvs, header: { revision: this.revision } };
  }

  async *#watch() {
    yield { events: this.events };
    if (this.failure !== undefined) throw this.failure;
  }

  get client(): EtcdClient {
    const watch = () => Object.assign(this.#watch(), { created: Promise.resolve() });
    const kv = { put: this.put.bind(this), get: this.get.bind(this) };
    return { kv, watch } as unknown as EtcdClient;
  }

  get member(): ClusterMember {
    return { name: "one", client: this.client } as unknown as ClusterMember;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the record of a watch", () => {
  async function check(spoil: (server: FakeServer) => void): Promise<string[]> {
    const server = new FakeServer();
    for (const key of ["k/1", "k/2", "k/3", "k/4"]) await server.put(key, "v");
    spoil(server);
    const record = new WatchRecord(server.client, "k/");
    const checked = record.check(server.client);
    await vi.advanceTimersByTimeAsync(30_000);
    return checked;
  }

  const event = (server: FakeServer, at: number): Event => server.events[at]!;

  test.each<[string, (server: FakeServer) => void, RegExp | undefined]>([
    ["all events in order", () => {}, undefined],
    ["an event left out", (server) => server.events.splice(1, 1), /event 1 of 4 is 4 k\/3, stored is 3 k\/2/],
    ["the last event left out", (server) => server.events.pop(), /event 3 of 4 is undefined/],
    ["an event twice", (server) => server.events.splice(2, 0, event(server, 1)), /twice/],
    ["events in another order", (server) => server.events.reverse(), /event 0 of 4 is 5 k\/4/],
    [
      "an event of another revision",
      (server) => (server.events[0] = { kv: { key: encode("k/1"), modRevision: 1 } }),
      /is 1 k\/1/,
    ],
    [
      "an event of nothing stored",
      (server) => server.events.push({ kv: { key: encode("k/9"), modRevision: 5 } }),
      /k\/9 is not stored/,
    ],
    ["the end of the watch", (server) => (server.failure = new Error("gone")), /ended: Error: gone/],
  ])("tells %s", async (_name, spoil, told) => {
    const wrong = await check(spoil);
    if (told === undefined) expect(wrong).toEqual([]);
    else expect(wrong.join("; ")).toMatch(told);
  });

  test("takes what a put stores that was given up before", async () => {
    expect(await check((server) => server.events.push({ kv: { key: encode("k/5"), modRevision: 6 } }))).toEqual([]);
  });
});

describe("the load", () => {
  async function check(spoil: (server: FakeServer, first: Row) => void): Promise<string[]> {
    const server = new FakeServer();
    const load = new Load({ clients: () => [server.client], writers: 2, prefix: "k/", pauseMs: 10 });
    load.start();
    await vi.advanceTimersByTimeAsync(45);
    const stopped = load.stop();
    await vi.advanceTimersByTimeAsync(20);
    await stopped;
    expect(load.acknowledged.size).toBeGreaterThan(6);
    spoil(server, [...server.rows.values()][0]!);
    return load.check(server.client);
  }

  test.each<[string, (server: FakeServer, first: Row) => void, RegExp | undefined]>([
    ["every put as it was acknowledged", () => {}, undefined],
    ["a put that is lost", (server) => server.rows.delete([...server.rows.keys()][0]!), /is lost/],
    ["another value", (_server, first) => (first.value = encode("other")), /holds other/],
    ["another revision", (_server, first) => (first.modRevision += 1), /has revision 3, acknowledged was 2/],
    ["a key that nobody wrote", (server) => void server.put("k/stray", "v"), /stray was never written/],
    ["a put done twice", (_server, first) => (first.version = 2), /was written 2 times/],
  ])("tells %s", async (_name, spoil, told) => {
    const wrong = await check(spoil);
    if (told === undefined) expect(wrong).toEqual([]);
    else expect(wrong.join("; ")).toMatch(told);
  });
});

describe("fresh reads", () => {
  async function read(lag: number): Promise<FreshReads> {
    const server = new FakeServer();
    const reads = new FreshReads([server.member], [server.member]);
    reads.start();
    await vi.advanceTimersByTimeAsync(200);
    server.lag = lag;
    await vi.advanceTimersByTimeAsync(200);
    const stopped = reads.stop();
    await vi.advanceTimersByTimeAsync(20);
    await stopped;
    expect(reads.answered).toBeGreaterThan(5);
    return reads;
  }

  test("take what was acknowledged before they began", async () => {
    expect((await read(0)).stale).toEqual([]);
  });

  test("tell of an answer that is a revision older", async () => {
    expect((await read(1)).stale[0]).toMatch(/^one read revision \d+ after \d+ was acknowledged$/);
  });
});
