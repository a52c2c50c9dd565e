/** Locks and elections served over gRPC, by our member and by Go etcd. */

import { election, lock, type Method } from "@etcd-ts/api";
import { EtcdClient, toBytes, toText } from "@etcd-ts/client";
import { GrpcChannel, unary } from "@etcd-ts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Server, subject } from "./support/client-servers.js";

describe(subject.name, () => {
  let server: Server;
  let client: EtcdClient;
  let channel: GrpcChannel;

  async function call<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    signal?: AbortSignal,
  ): Promise<Response> {
    const { message } = await unary(
      channel,
      method.path,
      {
        sizeBytes: method.request.size(request),
        write: (target, offset) => void method.request.encode(request, target, offset),
        decode: (bytes) => method.response.decode(bytes.slice()),
      },
      { signal },
    );
    return message;
  }

  /** Waits until so many keys are under the prefix. */
  async function keys(prefix: string, count: number): Promise<string[]> {
    for (;;) {
      const { kvs } = await client.kv.get(prefix, { prefix: true });
      if (kvs.length === count) return kvs.map(({ key }) => toText(key));
    }
  }

  beforeAll(async () => {
    server = await subject.start();
    client = new EtcdClient({ endpoints: [server.endpoint], timeoutMs: 20_000 });
    const { hostname, port } = new URL(server.endpoint);
    channel = new GrpcChannel({ target: { host: hostname, port: Number(port) } });
  });
  afterAll(async () => {
    channel?.close();
    client?.close();
    await server?.close();
  });
  beforeEach(async () => {
    await client.kv.delete("", { prefix: true });
  });

  it("locks, waits and unlocks", async () => {
    const [{ id: a }, { id: b }] = await Promise.all([client.lease.grant(60), client.lease.grant(60)]);
    const name = toBytes("l");
    const { key } = await call(lock.lock, { name, lease: a });
    expect(toText(key)).toBe(`l/${a.toString(16)}`);
    expect((await call(lock.lock, { name, lease: a })).key).toEqual(key);
    const waiting = call(lock.lock, { name, lease: b });
    await keys("l/", 2);
    await call(lock.unlock, { key });
    expect(toText((await waiting).key)).toBe(`l/${b.toString(16)}`);
    await client.lease.revoke(b);
    await keys("l/", 0);
  });

  it("leaves no key behind when a wait for a lock is cancelled", async () => {
    const [{ id: a }, { id: b }] = await Promise.all([client.lease.grant(60), client.lease.grant(60)]);
    const name = toBytes("c");
    await call(lock.lock, { name, lease: a });
    const controller = new AbortController();
    const waiting = call(lock.lock, { name, lease: b }, controller.signal);
    await keys("c/", 2);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 1 });
    expect(await keys("c/", 1)).toEqual([`c/${a.toString(16)}`]);
    expect((await client.lease.timeToLive(b)).ttl).toBeGreaterThan(0);
  });

  it("grants a lease of 60 s to who names none", async () => {
    const { key } = await call(lock.lock, { name: toBytes("g") });
    const id = BigInt(`0x${toText(key).slice(2)}`);
    expect((await client.lease.timeToLive(id)).grantedTtl).toBe(60);
  });

  it("refuses with etcd's texts under the code Unknown", async () => {
    const none = { code: 2, message: "etcdserver: requested lease not found" };
    await expect(call(lock.lock, { name: toBytes("r"), lease: 12345n })).rejects.toMatchObject(none);
    await expect(call(election.campaign, { name: toBytes("r"), lease: 12345n })).rejects.toMatchObject(none);
    const empty = { code: 2, message: "etcdserver: key is not provided" };
    await expect(call(lock.unlock, {})).rejects.toMatchObject(empty);
    const field = { code: 2, message: '"leader" field must be provided' };
    await expect(call(election.resign, {})).rejects.toMatchObject(field);
    await expect(call(election.proclaim, {})).rejects.toMatchObject(field);
    const leaderless = { code: 2, message: "election: no leader" };
    await expect(call(election.leader, { name: toBytes("r") })).rejects.toMatchObject(leaderless);
  });

  it("elects, proclaims, resigns and observes", async () => {
    const [{ id: a }, { id: b }] = await Promise.all([client.lease.grant(60), client.lease.grant(60)]);
    const name = toBytes("e");
    const seen: string[] = [];
    let heard: () => void = () => {};
    const observe = election.observe;
    const observing = channel.open(
      observe.path,
      {},
      {
        onMessage: (bytes) => {
          seen.push(toText(observe.response.decode(bytes.slice()).kv?.value ?? new Uint8Array()));
          heard();
        },
        onEnd: () => {},
      },
    );
    observing.sendLast(observe.request.size({ name }), (target, offset) => {
      observe.request.encode({ name }, target, offset);
    });
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) await new Promise<void>((resolve) => (heard = resolve));
    };
    const { leader } = await call(election.campaign, { name, lease: a, value: toBytes("one") });
    expect([toText(leader?.key ?? new Uint8Array()), leader?.lease]).toEqual([`e/${a.toString(16)}`, a]);
    await until(1);
    const next = call(election.campaign, { name, lease: b, value: toBytes("two") });
    await keys("e/", 2);
    await call(election.proclaim, { leader: leader ?? {}, value: toBytes("one again") });
    await until(2);
    await call(election.resign, { leader: leader ?? {} });
    await next;
    await until(3);
    expect(seen).toEqual(["one", "one again", "two"]);
    expect(toText((await call(election.leader, { name })).kv?.value ?? new Uint8Array())).toBe("two");
    const late = call(election.proclaim, { leader: leader ?? {}, value: toBytes("late") });
    await expect(late).rejects.toMatchObject({ code: 2, message: "election: not leader" });
    await call(election.resign, { leader: leader ?? {} });
    observing.cancel();
  });

  it("leaves no candidate behind when a campaign is cancelled", async () => {
    const [{ id: a }, { id: b }] = await Promise.all([client.lease.grant(60), client.lease.grant(60)]);
    const name = toBytes("x");
    await call(election.campaign, { name, lease: a, value: toBytes("one") });
    const controller = new AbortController();
    const waiting = call(election.campaign, { name, lease: b, value: toBytes("two") }, controller.signal);
    await keys("x/", 2);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 1 });
    expect(await keys("x/", 1)).toEqual([`x/${a.toString(16)}`]);
  });
});
