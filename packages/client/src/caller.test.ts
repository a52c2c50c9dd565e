import { getEventListeners } from "node:events";
import { auth, errorSpecs, kv, type Reason } from "@etcd-ts/api";
import type { Status } from "@etcd-ts/grpc";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./client.js";
import { ScriptedServer } from "./testing/scripted-server.js";

function refusal(reason: Reason): { status: Status } {
  const { code, message } = errorSpecs[reason];
  return { status: { code: code as Status["code"], message } };
}

const unavailable = { status: { code: 14, message: "the connection is lost" } } as const;

describe("a call", () => {
  it.each<[string, { status: Status }]>([
    ["a lost connection", unavailable],
    ["no leader", refusal("noLeader")],
    ["a timeout", refusal("timeout")],
    ["the server's own deadline", { status: { code: 4, message: "context deadline exceeded" } }],
    ["a request that the server gave up", { status: { code: 1, message: "etcdserver: request canceled" } }],
  ])("that writes is sent once, whatever became of it: %s", async (_name, answer) => {
    const server = new ScriptedServer(["one", "two", "three"]);
    const puts = server.unary(kv.put, answer, {});
    const txns = server.unary(kv.txn, answer, {});
    const deletes = server.unary(kv.deleteRange, answer, {});
    await expect(server.client.kv.put("k", "v")).rejects.toMatchObject({ code: answer.status.code });
    await expect(server.client.kv.txn({})).rejects.toMatchObject({ code: answer.status.code });
    await expect(server.client.kv.delete("k")).rejects.toMatchObject({ code: answer.status.code });
    expect([puts.length, txns.length, deletes.length]).toEqual([1, 1, 1]);
  });

  it("that reads is sent again while the server is unavailable", async () => {
    const server = new ScriptedServer();
    const ranges = server.unary(kv.range, unavailable, refusal("leaderChanged"), { count: 3 });
    const answer = server.client.kv.get("k");
    await server.clock.advance(100);
    expect((await answer).count).toBe(3);
    expect(ranges.length).toBe(3);
  });

  it("that reads is not sent again when the answer would be the same", async () => {
    const server = new ScriptedServer();
    const ranges = server.unary(kv.range, refusal("compacted"));
    await expect(server.client.kv.get("k")).rejects.toMatchObject({ reason: "compacted", code: 11 });
    expect(ranges.length).toBe(1);
  });

  it("is sent to another server when a learner refuses it, also a write", async () => {
    const server = new ScriptedServer(["one", "two"]);
    const puts = server.unary(kv.put, refusal("notSupportedForLearner"), { header: { revision: 7 } });
    const answer = server.client.kv.put("k", "v");
    await server.clock.advance(100);
    expect((await answer).header.revision).toBe(7);
    expect(puts.length).toBe(2);
    const alone = new ScriptedServer(["one"]);
    alone.unary(kv.put, refusal("notSupportedForLearner"));
    await expect(alone.client.kv.put("k", "v")).rejects.toMatchObject({ reason: "notSupportedForLearner" });
  });

  it("ends at its deadline, with the retries, and when it is given up", async () => {
    const server = new ScriptedServer();
    const ranges = server.unary(kv.range, unavailable);
    const retried = expect(server.client.kv.get("k", { timeoutMs: 200 })).rejects.toMatchObject({ code: 14 });
    await server.clock.advance(201);
    await retried;
    expect(ranges.length).toBeGreaterThan(3);
    server.unary(kv.range, "never");
    const late = expect(server.client.kv.get("k", { timeoutMs: 200 })).rejects.toMatchObject({ code: 4 });
    await server.clock.advance(201);
    await late;
    const controller = new AbortController();
    const given = expect(server.client.kv.get("k", { signal: controller.signal })).rejects.toMatchObject({ code: 1 });
    controller.abort();
    await given;
  });

  it("makes at most 100 attempts", async () => {
    const server = new ScriptedServer();
    const ranges = server.unary(kv.range, unavailable);
    const failed = expect(server.client.kv.get("k", { timeoutMs: 1e9 })).rejects.toMatchObject({ code: 14 });
    await server.clock.advance(10_000);
    await failed;
    expect(ranges.length).toBe(100);
  });

  it("is refused once the client is closed", async () => {
    const server = new ScriptedServer();
    server.unary(kv.range, {});
    server.client.close();
    await expect(server.client.kv.get("k")).rejects.toMatchObject({ code: 1 });
  });

  it("that waits to be tried again ends with the client, and adds no listener to what calls share", async () => {
    const server = new ScriptedServer();
    server.unary(kv.range, unavailable);
    const signals = Array.from({ length: 20 }, () => new AbortController().signal);
    const calls = signals.map((signal) => server.client.kv.get("k", { signal }));
    const listeners = (): number[] => signals.map((signal) => getEventListeners(signal, "abort").length);
    const ended = Promise.allSettled(calls);
    await server.clock.advance(150);
    expect(getEventListeners(server.client.closing, "abort")).toHaveLength(0);
    expect(listeners()).toEqual(calls.map(() => 1));
    server.client.close();
    const outcomes = await ended;
    expect(outcomes.map(({ status }) => status)).toEqual(calls.map(() => "rejected"));
    expect(listeners()).toEqual(calls.map(() => 0));
  });

  it("carries a token, and a new one when the server no longer takes it", async () => {
    const server = new ScriptedServer();
    server.unary(kv.put, refusal("invalidAuthToken"), {});
    const logins = server.unary(auth.authenticate, { token: "t1" }, { token: "t2" });
    const client = new EtcdClient({
      transport: server.transport,
      clock: server.clock,
      credentials: { username: "u", password: "p" },
    });
    await client.kv.put("k", "v");
    expect(logins).toEqual([
      { name: "u", password: "p" },
      { name: "u", password: "p" },
    ]);
  });

  it("goes on without a token where authentication is off", async () => {
    const server = new ScriptedServer();
    const puts = server.unary(kv.put, {});
    server.unary(auth.authenticate, refusal("authNotEnabled"));
    const credentials = { username: "u", password: "p" };
    const client = new EtcdClient({ transport: server.transport, clock: server.clock, credentials });
    await client.kv.put("k", "v");
    expect(puts.length).toBe(1);
  });
});
