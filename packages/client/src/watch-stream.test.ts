import { watch } from "@etcd-ts/api";
import type { WatchRequest, WatchResponseInit } from "@etcd-ts/api/etcdserverpb";
import { describe, expect, it } from "vitest";
import { settle } from "./testing/fake-clock.js";
import { ScriptedServer, type ServerStream } from "./testing/scripted-server.js";
import { waitingEventsMax } from "./watcher.js";

const key = new TextEncoder().encode("k");
type Stream = ServerStream<WatchRequest, WatchResponseInit>;

/** Events of the key at these revisions. */
function events(...revisions: readonly number[]) {
  return revisions.map((modRevision) => ({ kv: { key, modRevision } }));
}

function creates({ requests }: Stream) {
  return requests.flatMap(({ requestUnion }) => (requestUnion?.kind === "createRequest" ? [requestUnion.value] : []));
}

function cancels({ requests }: Stream) {
  return requests.flatMap(({ requestUnion }) =>
    requestUnion?.kind === "cancelRequest" ? [requestUnion.value.watchId] : [],
  );
}

function accept(stream: Stream, watchId: bigint, revision: number): void {
  stream.send({ header: { revision }, watchId, created: true });
}

async function revisionsOf(
  watcher: AsyncIterator<{ events: readonly { kv?: { modRevision: number } | undefined }[] }>,
) {
  const { value } = await watcher.next();
  return value.events.map((event: { kv?: { modRevision: number } }) => event.kv?.modRevision);
}

describe("watches", () => {
  it("share a stream, and get what is theirs", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const [a, b] = [server.client.watch("a"), server.client.watch("b", { prefix: true, startRevision: 4 })];
    await settle();
    expect(streams.length).toBe(1);
    const stream = streams[0]!;
    expect(creates(stream)).toMatchObject([
      { watchId: 1n, startRevision: 0, fragment: true },
      { watchId: 2n, startRevision: 4, rangeEnd: new TextEncoder().encode("c") },
    ]);
    accept(stream, 1n, 9);
    accept(stream, 2n, 9);
    stream.send({ header: { revision: 12 }, watchId: 2n, events: events(5, 12) });
    stream.send({ header: { revision: 13 }, watchId: 1n, events: events(13) });
    expect((await a.created).revision).toBe(9);
    expect(await revisionsOf(b)).toEqual([5, 12]);
    expect(await revisionsOf(a)).toEqual([13]);
  });

  it("go on where they stopped when the stream breaks, without a gap or a repetition", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const [fresh, idle, busy] = [server.client.watch("a"), server.client.watch("b"), server.client.watch("c")];
    await settle();
    for (const [i, revision] of [9, 9, 9].entries()) accept(streams[0]!, BigInt(i + 1), revision);
    streams[0]!.send({ header: { revision: 20 }, watchId: 2n });
    streams[0]!.send({ header: { revision: 30 }, watchId: 3n, events: events(10, 15) });
    await settle();
    streams[0]!.end({ code: 14, message: "gone" });
    await server.clock.advance(2_000);
    expect(creates(streams[1]!).map(({ startRevision }) => startRevision)).toEqual([10, 21, 16]);
    // Ids are not used again: a late answer to the first registration would be known as such.
    expect(creates(streams[1]!).map(({ watchId }) => watchId)).toEqual([4n, 5n, 6n]);
    for (const id of [4n, 5n, 6n]) accept(streams[1]!, id, 40);
    streams[1]!.send({ header: { revision: 41 }, watchId: 6n, events: events(41) });
    streams[1]!.send({ header: { revision: 41 }, watchId: 3n, events: events(99) });
    expect(await revisionsOf(busy)).toEqual([10, 15]);
    expect(await revisionsOf(busy)).toEqual([41]);
    expect([fresh.nextRevision, busy.nextRevision]).toEqual([10, 42]);
    expect((await idle.next()).value).toMatchObject({ events: [], header: { revision: 20 } });
  });

  it("put fragments together", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const watcher = server.client.watch("k");
    await settle();
    accept(streams[0]!, 1n, 1);
    streams[0]!.send({ header: { revision: 3 }, watchId: 1n, events: events(2), fragment: true });
    await settle();
    expect(watcher.nextRevision).toBe(2);
    streams[0]!.send({ header: { revision: 3 }, watchId: 1n, events: events(3) });
    expect(await revisionsOf(watcher)).toEqual([2, 3]);
  });

  it("say that revisions were compacted, after the events before", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const watcher = server.client.watch("k", { startRevision: 2 });
    await settle();
    accept(streams[0]!, 1n, 9);
    streams[0]!.send({ header: { revision: 9 }, watchId: 1n, events: events(2) });
    streams[0]!.send({ header: { revision: 9 }, watchId: 1n, canceled: true, compactRevision: 7 });
    expect(await revisionsOf(watcher)).toEqual([2]);
    await expect(watcher.next()).rejects.toMatchObject({ compactRevision: 7, reason: "compacted" });
    expect((await watcher.next()).done).toBe(true);
  });

  it("tell whose registration was refused, although the refusal has no id", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const [first, second, third] = ["a", "b", "c"].map((name) => server.client.watch(name));
    await settle();
    accept(streams[0]!, 1n, 5);
    const cancelReason = "etcdserver: permission denied";
    streams[0]!.send({ header: { revision: 5 }, watchId: -1n, created: true, canceled: true, cancelReason });
    accept(streams[0]!, 3n, 5);
    await expect(second!.next()).rejects.toMatchObject({ reason: "permissionDenied", code: 7 });
    await expect(second!.created).rejects.toMatchObject({ reason: "permissionDenied" });
    expect((await third!.created).revision).toBe(5);
    expect((await first!.created).revision).toBe(5);
  });

  it("end when they are left, and the stream with the last one", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const controller = new AbortController();
    const [a, b] = [server.client.watch("a"), server.client.watch("b", { signal: controller.signal })];
    await settle();
    accept(streams[0]!, 1n, 5);
    accept(streams[0]!, 2n, 5);
    await a.return();
    await settle();
    expect(cancels(streams[0]!)).toEqual([1n]);
    expect(streams[0]!.call.ended).toBe(false);
    controller.abort();
    await expect(b.next()).rejects.toMatchObject({ code: 1 });
    await settle();
    expect(streams[0]!.call.ended).toBe(true);
  });

  it("of a consumer that does not keep up are stopped, and taken up again later", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const watcher = server.client.watch("k", { startRevision: 1 });
    await settle();
    const stream = streams[0]!;
    accept(stream, 1n, 1);
    let revision = 1;
    for (let sent = 0; sent <= waitingEventsMax; sent += 1000) {
      stream.send({
        header: { revision },
        watchId: 1n,
        events: events(...Array.from({ length: 1000 }, () => revision++)),
      });
    }
    await settle();
    expect(cancels(stream)).toEqual([1n]);
    stream.send({ header: { revision }, watchId: 1n, events: events(revision) });
    await settle();
    let seen = 0;
    while (seen < revision - 1) seen += (await revisionsOf(watcher)).length;
    await settle();
    expect(creates(stream)[1]).toMatchObject({ watchId: 2n, startRevision: revision });
    accept(stream, 2n, revision);
    stream.send({ header: { revision }, watchId: 2n, events: events(revision) });
    expect(await revisionsOf(watcher)).toEqual([revision]);
  });

  it("end with the error that another attempt would meet again", async () => {
    const server = new ScriptedServer();
    const streams = server.stream(watch.watch);
    const watcher = server.client.watch("k");
    await settle();
    streams[0]!.end({ code: 12, message: "unknown service" });
    await expect(watcher.next()).rejects.toMatchObject({ code: 12 });
    expect(streams.length).toBe(1);
  });

  it("end when the client is closed", async () => {
    const server = new ScriptedServer();
    server.stream(watch.watch);
    const watcher = server.client.watch("k");
    await settle();
    server.client.close();
    await expect(watcher.next()).rejects.toMatchObject({ code: 1 });
  });
});
