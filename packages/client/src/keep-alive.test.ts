import { lease } from "@etcd-ts/api";
import { describe, expect, it } from "vitest";
import { ScriptedServer } from "./testing/scripted-server.js";

const start = () => {
  const server = new ScriptedServer();
  return { server, client: server.client, streams: server.stream(lease.leaseKeepAlive) };
};

describe("keepalives", () => {
  it("share a stream and are sent after a third of the TTL", async () => {
    const { server, client, streams } = start();
    const [a, b] = [client.lease.keepAlive(1n, { ttl: 9 }), client.lease.keepAlive(2n, { ttl: 60 })];
    await server.clock.advance(0);
    expect(streams.length).toBe(1);
    expect(streams[0]!.requests.map(({ id }) => id)).toEqual([1n, 2n]);
    streams[0]!.send({ id: 1n, ttl: 9 });
    streams[0]!.send({ id: 2n, ttl: 60 });
    expect((await a.next()).value).toMatchObject({ id: 1n, ttl: 9 });
    await server.clock.advance(2_900);
    expect(streams[0]!.requests.length).toBe(2);
    await server.clock.advance(700);
    expect(streams[0]!.requests.map(({ id }) => id)).toEqual([1n, 2n, 1n]);
    a.stop();
    b.stop();
    await server.clock.advance(0);
    expect(streams[0]!.call.ended).toBe(true);
  });

  it("tell that the lease is lost when its time is over, counted from the request that was answered", async () => {
    const { server, client, streams } = start();
    const keepAlive = client.lease.keepAlive(1n, { ttl: 6 });
    await server.clock.advance(1_000);
    streams[0]!.send({ id: 1n, ttl: 6 });
    await server.clock.advance(4_900);
    expect(keepAlive.lost.aborted).toBe(false);
    await server.clock.advance(200);
    expect(keepAlive.lost.aborted).toBe(true);
    expect((await keepAlive.next()).value).toMatchObject({ ttl: 6 });
    await expect(keepAlive.next()).rejects.toMatchObject({ reason: "leaseNotFound" });
  });

  it("tell that the lease is gone when the server says so, and only that one", async () => {
    const { server, client, streams } = start();
    const [gone, kept] = [client.lease.keepAlive(1n), client.lease.keepAlive(2n)];
    await server.clock.advance(0);
    streams[0]!.send({ id: 1n, ttl: 0 });
    streams[0]!.send({ id: 2n, ttl: 60 });
    await server.clock.advance(0);
    expect([gone.lost.aborted, kept.lost.aborted]).toEqual([true, false]);
  });

  it("go on over a broken stream, and ask again for what was not answered", async () => {
    const { server, client, streams } = start();
    const keepAlive = client.lease.keepAlive(1n, { ttl: 30 });
    await server.clock.advance(0);
    streams[0]!.end({ code: 14, message: "gone" });
    await server.clock.advance(1_500);
    expect(streams[1]!.requests.map(({ id }) => id)).toEqual([1n]);
    streams[1]!.send({ id: 1n, ttl: 30 });
    expect((await keepAlive.next()).value).toMatchObject({ ttl: 30 });
  });

  it("stop with their signal, and with the client", async () => {
    const { server, client } = start();
    const controller = new AbortController();
    const [signalled, other] = [client.lease.keepAlive(1n, { signal: controller.signal }), client.lease.keepAlive(1n)];
    await server.clock.advance(0);
    controller.abort();
    expect((await signalled.next()).done).toBe(true);
    expect([signalled.lost.aborted, other.lost.aborted]).toEqual([false, false]);
    client.close();
    expect(other.lost.aborted).toBe(true);
  });
});
