/** Both ends of a stream: when they are alive, when they give up, and what they hold back. */

import { createMessage, type Message, MessageType } from "@etcd-ts/raft";
import { expect, test } from "vitest";
import { createPeerMetrics } from "../metrics/member-metrics.js";
import { PeerStatus } from "./peer-status.js";
import { encodeMessageFrame, MessageStreamDecoder, MessageStreamEncoder } from "./stream-codec.js";
import { StreamReader } from "./stream-reader.js";
import { StreamWriter } from "./stream-writer.js";
import { FakeClock, settle } from "./testing/fake-clock.js";
import { FakeBody, FakeLogger, FakeNetwork } from "./testing/fake-network.js";
import { UrlPicker } from "./url-picker.js";

const local = { memberId: 1n, clusterId: 9n, peerUrls: () => ["http://one"] };

function message(index: number): Message {
  return createMessage({ type: MessageType.appResp, from: 2n, to: 1n, term: 3, index });
}

function readerSetup() {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const logger = new FakeLogger();
  const status = new PeerStatus(clock, logger, 2n, createPeerMetrics());
  const picker = new UrlPicker(["http://two-a", "http://two-b"]);
  const received: number[] = [];
  const events: string[] = [];
  const reader = new StreamReader(
    {
      clock,
      network,
      logger,
      local,
      remoteId: 2n,
      picker,
      status,
      dialTimeoutMs: 2000,
      removed: () => events.push("removed"),
    },
    {
      path: "/raft/stream/message/",
      makeDecoder: (deliver) => new MessageStreamDecoder(deliver),
      onMessage: ({ index }) => received.push(index),
    },
  );
  reader.start();
  const accepted = async () => {
    const stream = network.streams.at(-1)!;
    stream.accept();
    await settle();
    return stream;
  };
  return { clock, network, logger, status, received, events, reader, accepted };
}

test("messages arrive; an end without error leaves the peer active and is followed by another dial", async () => {
  const { clock, network, status, received, accepted } = readerSetup();
  const stream = await accepted();
  stream.send(encodeMessageFrame(message(1)));
  expect(received).toEqual([1]);
  stream.end();
  expect(status.activeSince).toBe(0);
  await clock.advance(99);
  expect(network.streams.length).toBe(1);
  await clock.advance(1);
  expect(network.streams.length).toBe(2);
  (await accepted()).send(encodeMessageFrame(message(2)));
  expect(received).toEqual([1, 2]);
  expect(status.metrics.receivedBytes).toBe(2 * encodeMessageFrame(message(1)).length);
});

test("a stream that is silent for 5 s is dead; a sign of life keeps it", async () => {
  const { clock, status, accepted } = readerSetup();
  const stream = await accepted();
  for (let i = 0; i < 6; i++) {
    await clock.advance(4000);
    stream.send(new MessageStreamEncoder().encodeHeartbeat());
  }
  expect(stream.closed).toBe(false);
  await clock.advance(9999);
  expect(stream.closed).toBe(true);
  expect(status.activeSince).toBeUndefined();
});

test("garbage ends the stream, with the reason in the log, and the next one is decoded afresh", async () => {
  const { clock, logger, status, received, accepted } = readerSetup();
  const stream = await accepted();
  stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
  expect(stream.closed).toBe(true);
  expect(logger.at("warn").join()).toContain("frame of 18446744073709552000 bytes exceeds 536870912");
  expect(status.metrics).toMatchObject({ active: 0, disconnections: 1, receivedFailures: 1 });
  await clock.advance(100);
  const next = await accepted();
  // The old one's end comes late and must not be taken for the new one's.
  stream.end(new Error("aborted"));
  next.send(encodeMessageFrame(message(3)));
  expect(received).toEqual([3]);
  expect(next.closed).toBe(false);
});

test("a fault while a message is processed is not taken for the peer's", async () => {
  const { network, clock } = readerSetup();
  const logger = new FakeLogger();
  const reader = new StreamReader(
    {
      clock,
      network,
      logger,
      local,
      remoteId: 2n,
      picker: new UrlPicker(["http://two"]),
      status: new PeerStatus(clock, logger, 2n, createPeerMetrics()),
      dialTimeoutMs: 2000,
      removed: () => undefined,
    },
    {
      path: "/raft/stream/message/",
      makeDecoder: (deliver) => new MessageStreamDecoder(deliver),
      onMessage: () => {
        throw new Error("assertion failed");
      },
    },
  );
  reader.start();
  const stream = network.streams.at(-1)!;
  stream.accept();
  await settle();
  expect(() => stream.send(encodeMessageFrame(message(1)))).toThrow("assertion failed");
});

test("a refusal is logged once, tried again at the next URL ten times a second, and 410 means removed", async () => {
  const { clock, network, logger, status, events } = readerSetup();
  for (let i = 0; i < 5; i++) {
    network.streams.at(-1)?.accept(412);
    await clock.advance(100);
  }
  expect(network.streams.length).toBe(6);
  expect(new Set(network.streams.map(({ url }) => url)).size).toBe(2);
  expect(logger.at("warn")).toEqual(["a peer refuses our stream"]);
  expect(status.activeSince).toBeUndefined();
  network.streams.at(-1)?.accept(410);
  await clock.advance(1000);
  expect(events).toEqual(["removed"]);
  expect(network.streams.length).toBe(6);
});

test("a stopped reader closes its stream, one that is just being dialled too", async () => {
  const { clock, network, reader } = readerSetup();
  reader.stop();
  const stream = network.streams[0]!;
  stream.accept();
  await clock.advance(1000);
  expect(stream.closed).toBe(true);
  expect(network.streams.length).toBe(1);
});

function writerSetup() {
  const clock = new FakeClock();
  const status = new PeerStatus(clock, new FakeLogger(), 2n, createPeerMetrics());
  let unreachable = 0;
  const writer = new StreamWriter(
    {
      clock,
      status,
      reportUnreachable: () => {
        unreachable++;
      },
    },
    () => new MessageStreamEncoder(),
  );
  return { clock, status, writer, unreachable: () => unreachable };
}

function indexes(body: FakeBody): number[] {
  const found: number[] = [];
  const decoder = new MessageStreamDecoder(({ index }) => found.push(index));
  for (const bytes of body.written) decoder.push(bytes);
  return found;
}

test("messages of one turn leave in one write; an idle stream shows a sign of life", async () => {
  const { clock, writer, status } = writerSetup();
  expect(writer.send(message(0))).toBe(false);
  const body = new FakeBody();
  writer.attach(body);
  expect(status.activeSince).toBe(0);
  for (const index of [1, 2, 3]) expect(writer.send(message(index))).toBe(true);
  await settle();
  expect(body.written.length).toBe(1);
  expect(indexes(body)).toEqual([1, 2, 3]);
  await clock.advance(5000);
  expect(body.written.length).toBe(3);
  expect(indexes(body)).toEqual([1, 2, 3]);
  expect(status.metrics.sentBytes).toBe(body.written.reduce((sum, { length }) => sum + length, 0));
});

test("a slow peer: nothing is written until it drains, 4096 messages wait, then they are refused", async () => {
  const { clock, writer } = writerSetup();
  const body = new FakeBody();
  writer.attach(body);
  body.full = true;
  writer.send(message(0));
  await settle();
  for (let index = 1; index <= 4096; index++) expect(writer.send(message(index))).toBe(true);
  expect(writer.send(message(4097))).toBe(false);
  await clock.advance(10_000);
  expect(indexes(body)).toEqual([0]);
  body.drain();
  expect(indexes(body)).toEqual(Array.from({ length: 4097 }, (_, index) => index));
});

test("a newer stream replaces the old one; what waited is reported as not delivered", async () => {
  const { writer, unreachable } = writerSetup();
  const first = new FakeBody();
  writer.attach(first);
  first.full = true;
  writer.send(message(1));
  await settle();
  writer.send(message(2));
  const second = new FakeBody();
  writer.attach(second);
  expect(first.ended).toBe(true);
  expect(unreachable()).toBe(1);
  // The old one's end comes late and must not detach the new one.
  first.close();
  expect(writer.isAttached).toBe(true);
  first.drain();
  writer.send(message(3));
  await settle();
  expect(indexes(first)).toEqual([1]);
  expect(indexes(second)).toEqual([3]);
  second.close();
  expect(writer.isAttached).toBe(false);
});
