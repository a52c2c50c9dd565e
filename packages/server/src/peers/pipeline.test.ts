import { createMessage, type Message, MessageType } from "@etcd-ts/raft";
import { expect, test } from "vitest";
import { createPeerMetrics } from "../metrics/member-metrics.js";
import type { LocalIdentity } from "./identity.js";
import { PeerStatus } from "./peer-status.js";
import { Pipeline } from "./pipeline.js";
import { decodeRaftMessage } from "./raft-message.js";
import { FakeClock, settle } from "./testing/fake-clock.js";
import { FakeLogger, FakeNetwork } from "./testing/fake-network.js";
import { UrlPicker } from "./url-picker.js";

const local: LocalIdentity = { memberId: 1n, clusterId: 9n, peerUrls: () => ["http://one"] };

function message(index: number, type: Message["type"] = MessageType.app): Message {
  return createMessage({ type, from: 1n, to: 2n, term: 3, index });
}

function setup() {
  const network = new FakeNetwork();
  const logger = new FakeLogger();
  const reports: string[] = [];
  const picker = new UrlPicker(["http://two-a", "http://two-b"]);
  const status = new PeerStatus(new FakeClock(), logger, 2n, createPeerMetrics());
  const pipeline = new Pipeline({
    network,
    local,
    picker,
    status,
    reportUnreachable: () => reports.push("unreachable"),
    reportSnapshot: (outcome) => reports.push(`snapshot ${outcome}`),
    removed: () => reports.push("removed"),
  });
  return { network, logger, reports, picker, status, pipeline };
}

test("a message is one post, and a good answer makes the peer active", async () => {
  const { network, pipeline, status, reports } = setup();
  expect(pipeline.send(message(7))).toBe(true);
  const { request, answer } = network.posts[0]!;
  expect(request).toMatchObject({ url: "http://two-a/raft", method: "POST", timeoutMs: 0 });
  expect(request.headers).toMatchObject({ "content-type": "application/protobuf", "x-server-from": "1" });
  expect(decodeRaftMessage(request.body as Uint8Array)).toMatchObject({ index: 7, term: 3 });
  expect(status.activeSince).toBeUndefined();
  answer(204);
  await settle();
  expect(status.activeSince).toBe(0);
  const { length } = request.body as Uint8Array;
  expect(status.metrics).toMatchObject({ active: 1, sentBytes: length, sentFailures: 0 });
  expect(reports).toEqual([]);
});

test("four posts are under way, 64 messages wait, the next is refused", async () => {
  const { network, pipeline } = setup();
  for (let index = 0; index < 68; index++) expect(pipeline.send(message(index))).toBe(true);
  expect(pipeline.send(message(68))).toBe(false);
  expect(network.posts.length).toBe(4);
  network.posts[1]?.answer(204);
  await settle();
  expect(network.posts.length).toBe(5);
  expect(decodeRaftMessage(network.posts[4]?.request.body as Uint8Array).index).toBe(4);
  expect(pipeline.send(message(69))).toBe(true);
});

test("a failure is reported, and the peer's other URL is used", async () => {
  const { network, pipeline, reports, status, logger } = setup();
  status.activate();
  pipeline.send(message(1));
  network.posts[0]?.fail(new Error("connection refused"));
  await settle();
  expect(reports).toEqual(["unreachable"]);
  expect(status.activeSince).toBeUndefined();
  expect(logger.at("warn").join()).toContain("connection refused");
  pipeline.send(message(2));
  expect(network.posts[1]?.request.url).toBe("http://two-b/raft");
  network.posts[1]?.answer(500);
  await settle();
  expect(reports).toEqual(["unreachable", "unreachable"]);
  expect(status.metrics).toMatchObject({ active: 0, disconnections: 1, sentBytes: 0, sentFailures: 2 });
  pipeline.send(message(3));
  expect(network.posts[2]?.request.url).toBe("http://two-a/raft");
});

test("what became of a snapshot message is reported too", async () => {
  const { network, pipeline, reports } = setup();
  pipeline.send(message(1, MessageType.snap));
  network.posts[0]?.answer(204);
  await settle();
  expect(reports).toEqual(["snapshot finish"]);
  pipeline.send(message(1, MessageType.snap));
  network.posts[1]?.answer(412);
  await settle();
  expect(reports).toEqual(["snapshot finish", "unreachable", "snapshot failure"]);
});

test("403 means that this member was removed", async () => {
  const { network, pipeline, reports } = setup();
  pipeline.send(message(1));
  network.posts[0]?.answer(403);
  await settle();
  expect(reports).toEqual(["removed"]);
});

test("after a stop nothing is sent and nothing reported", async () => {
  const { network, pipeline, reports } = setup();
  for (let index = 0; index < 6; index++) pipeline.send(message(index));
  pipeline.stop();
  network.posts[0]?.fail(new Error("x"));
  network.posts[1]?.answer(403);
  await settle();
  expect(pipeline.send(message(9))).toBe(false);
  expect(network.posts.length).toBe(4);
  expect(reports).toEqual([]);
});
