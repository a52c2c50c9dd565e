import { messageBytes } from "@etcd-ts/api";
import { encodeMessage, sizeMessage } from "@etcd-ts/api/raftpb";
import { createMessage, type Message, MessageType } from "@etcd-ts/raft";
import { describe, expect, test } from "vitest";
import { MemberMetrics } from "../metrics/member-metrics.js";
import { type LocalIdentity, requestHeaders } from "./identity.js";
import { MessageStreamDecoder } from "./stream-codec.js";
import { FakeClock, settle } from "./testing/fake-clock.js";
import { type Answered, FakeLogger, FakeNetwork, FakeRequest } from "./testing/fake-network.js";
import { Transport } from "./transport.js";

const clusterId = 0xc1n;
const removedId = 0xdeadn;
const local: LocalIdentity = { memberId: 1n, clusterId, peerUrls: () => ["http://one:2380"] };
/** What member 2 says of itself. */
const fromTwo = requestHeaders({ memberId: 2n, clusterId, peerUrls: () => ["http://two:2380"] });

function setup() {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const logger = new FakeLogger();
  const received: Message[] = [];
  const events: string[] = [];
  const metrics = new MemberMetrics({ extensive: false });
  const transport = new Transport({
    clock,
    network,
    logger,
    local,
    dialTimeoutMs: 2000,
    metrics,
    received: (message) => received.push(message),
    reportUnreachable: (id) => events.push(`unreachable ${id}`),
    reportSnapshot: (id, outcome) => events.push(`snapshot ${id} ${outcome}`),
    removed: () => events.push("removed"),
    isRemoved: (id) => id === removedId,
    sendSnapshot: (message) => events.push(`send snapshot to ${message.to}`),
    receiveSnapshot: (request) => request.respond(204, {}, ""),
  });
  const ask = (
    method: string,
    target: string,
    headers: Record<string, string>,
    body?: Uint8Array | Error,
  ): Promise<Answered> => {
    const request = new FakeRequest(method, target, headers, body);
    expect(transport.handle(request)).toBe(true);
    return request.answered;
  };
  return { clock, network, logger, metrics, received, events, transport, ask };
}

function encoded(message: Message): Uint8Array {
  return messageBytes({ size: sizeMessage, encode: encodeMessage }, message);
}

const heartbeat = createMessage({ type: MessageType.heartbeat, from: 2n, to: 1n, term: 4, commit: 3 });

test("probing tells the time, in peace with everybody", async () => {
  const { ask } = setup();
  const { status, body } = await ask("GET", "/raft/probing", {});
  expect(status).toBe(200);
  expect(JSON.parse(body)).toEqual({ OK: true, Now: "1970-01-01T00:00:00.000Z" });
});

test("other paths are not the transport's", () => {
  const { transport } = setup();
  for (const path of ["/", "/members", "/raftx", "/raft/", "/raft/snapshots"]) {
    expect(transport.handle(new FakeRequest("GET", path, {}))).toBe(false);
  }
});

describe("a posted message", () => {
  test("reaches raft, and its sender becomes a remote that can be answered", async () => {
    const { ask, received, transport, network } = setup();
    const { status, headers, body } = await ask("POST", "/raft", fromTwo, encoded(heartbeat));
    expect({ status, body }).toEqual({ status: 204, body: "" });
    expect(headers["x-etcd-cluster-id"]).toBe("c1");
    expect(received).toMatchObject([{ type: MessageType.heartbeat, from: 2n, commit: 3 }]);
    transport.send([createMessage({ type: MessageType.heartbeatResp, from: 1n, to: 2n, term: 4 })]);
    expect(network.posts[0]?.request.url).toBe("http://two:2380/raft");
  });

  const misdirected = createMessage({ type: MessageType.heartbeat, from: 2n, to: 3n, term: 4 });
  const removed = createMessage({ type: MessageType.vote, from: removedId, to: 1n, term: 9 });
  const forbidden = (text: string): string => `{"message":"cannot process message ${text}"}`;
  const refused: readonly (readonly [string, string, Record<string, string>, Uint8Array | Error, number, string])[] = [
    ["another method", "GET", fromTwo, encoded(heartbeat), 405, "Method Not Allowed\n"],
    [
      "an old version",
      "POST",
      { ...fromTwo, "x-server-version": "2.3.0" },
      encoded(heartbeat),
      412,
      "incompatible version\n",
    ],
    [
      "a newer cluster",
      "POST",
      { ...fromTwo, "x-min-cluster-version": "3.8.0" },
      encoded(heartbeat),
      412,
      "incompatible version\n",
    ],
    ["no headers", "POST", {}, encoded(heartbeat), 412, "incompatible version\n"],
    [
      "another cluster",
      "POST",
      { ...fromTwo, "x-etcd-cluster-id": "c2" },
      encoded(heartbeat),
      412,
      "cluster ID mismatch\n",
    ],
    ["garbage", "POST", fromTwo, Uint8Array.of(0xff, 0xff, 0xff), 400, "error unmarshalling raft message\n"],
    ["a body that breaks off", "POST", fromTwo, new Error("aborted"), 400, "error reading raft message\n"],
    ["another member's message", "POST", fromTwo, encoded(misdirected), 403, forbidden("to mismatch member")],
    ["a removed member's message", "POST", fromTwo, encoded(removed), 403, forbidden("from removed member")],
  ];
  test.each(refused)("%s is refused", async (_name, method, headers, body, status, text) => {
    const { ask, received, logger } = setup();
    const answered = await ask(method, "/raft", headers, body);
    expect({ status: answered.status, body: answered.body }).toEqual({ status, body: text });
    expect(received).toEqual([]);
    expect(answered.headers["x-etcd-cluster-id"]).toBe(status === 405 ? undefined : "c1");
    if (status === 405) expect(answered.headers["allow"]).toBe("POST");
    // An operator finds the reason in the log.
    else expect(logger.at("warn").join()).toContain(text.replace(/^{"message":"|"}$|\n/g, ""));
  });
});

describe("a dialled stream", () => {
  const dial = { ...fromTwo, "x-raft-to": "1" };

  test("is attached to its peer, and carries what is sent", async () => {
    const { ask, transport } = setup();
    transport.addPeer(2n, ["http://two:2380"]);
    const { status, headers, open } = await ask("GET", "/raft/stream/message/2", dial);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "x-etcd-cluster-id": "c1", "x-server-version": "3.7.3" });
    expect(transport.activeSince(2n)).toBe(0);
    transport.send([createMessage({ type: MessageType.heartbeat, from: 1n, to: 2n, term: 4, commit: 8 })]);
    await settle();
    const messages: Message[] = [];
    const decoder = new MessageStreamDecoder((message) => messages.push(message));
    for (const bytes of open?.written ?? []) decoder.push(bytes);
    expect(messages).toMatchObject([{ commit: 8, to: 2n }]);
  });

  const refused: readonly (readonly [string, string, Record<string, string>, number, string])[] = [
    ["POST", "/raft/stream/message/2", dial, 405, "Method Not Allowed\n"],
    ["GET", "/raft/stream/message/2", { ...dial, "x-server-version": "2.3.0" }, 412, "incompatible version\n"],
    ["GET", "/raft/stream/message/2", { ...dial, "x-etcd-cluster-id": "c2" }, 412, "cluster ID mismatch\n"],
    ["GET", "/raft/stream/msgappv3/2", dial, 404, "invalid path\n"],
    ["GET", "/raft/stream/message/2/3", dial, 404, "invalid path\n"],
    ["GET", "/raft/stream/message/xyz", dial, 404, "invalid from\n"],
    ["GET", "/raft/stream/message/11111111111111111", dial, 404, "invalid from\n"],
    ["GET", "/raft/stream/msgapp/dead", dial, 410, "removed member\n"],
    ["GET", "/raft/stream/msgapp/3", dial, 404, "error sender not found\n"],
    ["GET", "/raft/stream/msgapp/2", fromTwo, 412, "to field mismatch\n"],
    ["GET", "/raft/stream/msgapp/2", { ...dial, "x-raft-to": "9" }, 412, "to field mismatch\n"],
  ];
  test.each(refused)("%s %s with %o is refused", async (method, target, headers, status, text) => {
    const { ask, transport, logger } = setup();
    transport.addPeer(2n, ["http://two:2380"]);
    const answered = await ask(method, target, headers);
    expect({ status: answered.status, body: answered.body }).toEqual({ status, body: text });
    expect(transport.activeSince(2n)).toBeUndefined();
    if (status !== 405) expect(logger.at("warn").join()).toContain(text.trim());
  });

  test("of an unknown member makes it a remote, so that it can be answered", async () => {
    const { ask, transport, network } = setup();
    await ask("GET", "/raft/stream/msgapp/2", dial);
    transport.send([createMessage({ type: MessageType.app, from: 1n, to: 2n, term: 1 })]);
    expect(network.posts[0]?.request.url).toBe("http://two:2380/raft");
  });
});

test("appends take the append stream, then the message stream, then the pipeline", async () => {
  const { ask, transport, network } = setup();
  transport.addPeer(2n, ["http://two:2380"]);
  const append = createMessage({ type: MessageType.app, from: 1n, to: 2n, term: 1 });
  transport.send([append]);
  expect(network.posts.length).toBe(1);
  const messages = (await ask("GET", "/raft/stream/message/2", { ...fromTwo, "x-raft-to": "1" })).open;
  transport.send([append]);
  await settle();
  expect(messages?.written.length).toBe(1);
  const appends = (await ask("GET", "/raft/stream/msgapp/2", { ...fromTwo, "x-raft-to": "1" })).open;
  transport.send([append]);
  await settle();
  expect([messages?.written.length, appends?.written.length, network.posts.length]).toEqual([1, 1, 1]);
  messages?.close();
  appends?.close();
  transport.send([append]);
  expect(network.posts.length).toBe(2);
});

test("what cannot be sent is reported; strangers, removed members and nobody are not served", () => {
  const { transport, events, network } = setup();
  transport.addPeer(2n, ["http://two:2380"]);
  for (let i = 0; i < 69; i++) transport.send([createMessage({ type: MessageType.app, from: 1n, to: 2n, term: 1 })]);
  expect(events).toEqual(["unreachable 2"]);
  const posts = network.posts.length;
  for (const to of [0n, 77n, removedId]) {
    transport.send([createMessage({ type: MessageType.app, from: 1n, to, term: 1 })]);
  }
  expect(network.posts.length).toBe(posts);
  transport.send([createMessage({ type: MessageType.snap, from: 1n, to: 2n, term: 1 })]);
  expect(events).toEqual(["unreachable 2", "send snapshot to 2"]);
});

test("a peer that was removed is left alone; one with new URLs is dialled there", async () => {
  const { clock, transport, network } = setup();
  transport.addPeer(2n, ["http://two:2380"]);
  expect(network.streams.map(({ url }) => url)).toEqual([
    "http://two:2380/raft/stream/msgapp/1",
    "http://two:2380/raft/stream/message/1",
  ]);
  expect(network.streams[0]?.headers).toMatchObject({ "x-raft-to": "2", "x-server-from": "1" });
  transport.updatePeer(2n, ["http://new:2380"]);
  for (const stream of network.streams.splice(0)) stream.fail(new Error("connection refused"));
  await clock.advance(100);
  expect(network.streams.map(({ url }) => url)).toEqual([
    "http://new:2380/raft/stream/msgapp/1",
    "http://new:2380/raft/stream/message/1",
  ]);
  transport.setPeers(new Map([[3n, ["http://three:2380"]]]));
  expect(transport.peerIds()).toEqual([3n]);
  for (const stream of network.streams.splice(0)) stream.fail(new Error("connection refused"));
  await clock.advance(1000);
  expect(network.streams.every(({ url }) => url.startsWith("http://three"))).toBe(true);
});
