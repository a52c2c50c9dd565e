/** A database on its way from one member to another, and what may become of it there. */

import { createMessage, MessageType } from "@etcd-ts/raft";
import { Membership, RestoringIndex, stringifyMember } from "@etcd-ts/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BufferedBackend } from "../backend/buffered-backend.js";
import type { Env, Network, PostResponse } from "../env.js";
import { memoryEnv } from "../memory/memory-env.js";
import { createPeerMetrics } from "../metrics/member-metrics.js";
import { createNodeEnv } from "../platform/env.js";
import { createNetwork } from "../platform/network.js";
import { ImageMaker } from "../snapshot/image-maker.js";
import { ReceivedSnapshots } from "../snapshot/received-snapshots.js";
import { recordOf } from "../snapshot/testing/record.js";
import { PeerStatus } from "./peer-status.js";
import { receiveSnapshot } from "./snapshot-receiver.js";
import { SnapshotSender } from "./snapshot-sender.js";
import { FakeLogger, FakeRequest } from "./testing/fake-network.js";
import { UrlPicker } from "./url-picker.js";

const clusterId = 0xc1n;
const index = 10;
const pageBytes = 4096;
const imageBytesMax = 1 << 20;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

let env: Env;
let source: BufferedBackend;

beforeAll(async () => {
  env = memoryEnv({ ...createNodeEnv(), logger: { log: () => {} }, network: createNetwork() });
  const database = await env.openDatabase("source");
  const onFailure = (error: Error): never => {
    throw error;
  };
  source = new BufferedBackend({ clock: env.clock, digest: env.digest, database, onFailure });
  for (let main = 1; main <= 400; main++) {
    source.putRecord(main, 0, false, recordOf(main, `${main}`, text(`value ${main} ${"x".repeat(200)}`)));
  }
  const member = { id: 1n, name: "one", peerUrls: ["http://one:2380"], clientUrls: [], isLearner: false };
  source.put("members", text("1"), text(stringifyMember(member)));
  source.sealEntry(index, 3);
  await source.whenDurable(index);
});

afterAll(() => source.close());

/** What a body and its trailers look like when they arrive. */
interface Arrival {
  readonly body: Uint8Array | Error;
  readonly trailers: Readonly<Record<string, string>>;
}

/** What the network makes of what member 1 sends. */
type Alter = (sent: { readonly body: Uint8Array; readonly trailers: Arrival["trailers"] }) => Arrival;

/** Sends a snapshot from member 1 to member 2 over a network that delivers what `alter` makes of it. */
async function transfer(alter: Alter) {
  const membership = new Membership(source);
  const received = new ReceivedSnapshots(env, "member", imageBytesMax);
  const before = await env.disk.list("member");
  const reachedRaft: number[] = [];
  const receiverLog = new FakeLogger();
  const receiverMetrics = createPeerMetrics();
  const receiver = {
    clusterId,
    memberId: 2n,
    digest: env.digest,
    membership,
    receiveSnapshot: async (_message: unknown, body: AsyncIterable<Uint8Array>) => {
      await received.receive(body, { index, rows: new RestoringIndex(), offer: () => reachedRaft.push(index) > 0 });
    },
  };
  const post: Network["post"] = async (request): Promise<PostResponse> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of request.body as AsyncIterable<Uint8Array>) pieces.push(piece);
    const sent = { body: new Uint8Array(Buffer.concat(pieces)), trailers: request.trailers?.() ?? {} };
    const { body, trailers } = alter(sent);
    const served = new FakeRequest("POST", "/raft/snapshot", request.headers, body, trailers);
    receiveSnapshot(receiver, { clock: env.clock, logger: receiverLog, metricsOf: () => receiverMetrics }, served);
    const answered = await served.answered;
    return { status: answered.status, headers: {}, body: text(answered.body) };
  };
  const unused = (): never => {
    throw new Error("not used");
  };
  const senderLog = new FakeLogger();
  const sender = new SnapshotSender({
    clock: env.clock,
    logger: senderLog,
    network: { post, openStream: unused, serve: unused },
    local: { memberId: 1n, clusterId, peerUrls: () => [] },
    removed: unused,
  });
  const reports: string[] = [];
  const status = new PeerStatus(env.clock, senderLog, 2n, createPeerMetrics());
  const message = createMessage({ type: MessageType.snap, from: 1n, to: 2n, term: 3 });
  await new Promise<void>((resolve) => {
    const sending = {
      digest: env.digest,
      membership,
      holdLog: () => () => {},
      images: new ImageMaker({
        clock: env.clock,
        digest: env.digest,
        backend: () => source,
        appliedIndex: () => index,
      }),
      reportUnreachable: (id: bigint) => reports.push(`unreachable ${id}`),
      reportSnapshot: (_id: bigint, outcome: string) => {
        reports.push(outcome);
        resolve();
      },
    };
    sender.send(sending, message, new UrlPicker(["http://two:2380"]), status);
  });
  const left = (await env.disk.list("member")).filter((name) => !before.includes(name));
  const counts = { sent: status.metrics, received: receiverMetrics };
  return { reports, reachedRaft, left, receiverLog, senderLog, received, counts };
}

/** The database becomes the live one when raft says so. */
async function takes(received: ReceivedSnapshots): Promise<void> {
  expect(received.isWaiting).toBe(true);
  const { database, removePrevious } = await received.take(index);
  await database.close();
  await removePrevious();
}

function flipped(body: Uint8Array, at: number): Uint8Array {
  const damaged = body.slice();
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  return damaged;
}

test("a database arrives, with the digest of all that was sent", async () => {
  let size = 0;
  const { reports, reachedRaft, receiverLog, received, counts } = await transfer(({ body, trailers }) => {
    size = body.length;
    const sha256 = Buffer.from(env.digest.sha256(body)).toString("base64");
    expect(trailers).toEqual({ "content-digest": `sha-256=:${sha256}:` });
    return { body, trailers };
  });
  expect(reports).toEqual(["finish"]);
  expect(reachedRaft).toEqual([index]);
  expect(receiverLog.at("warn")).toEqual([]);
  await takes(received);
  expect(counts.sent).toMatchObject({ sentBytes: size, sentFailures: 0 });
  expect(counts.sent.snapshotSent).toMatchObject({ successes: 1, failures: 0, inflight: 0, seconds: { count: 1 } });
  expect(counts.received.receivedBytes).toBeGreaterThan(0.9 * size);
  expect(counts.received.snapshotReceived).toMatchObject({ successes: 1, failures: 0, inflight: 0 });
});

test("one without a digest, as Go etcd sends it, arrives too", async () => {
  const { reports, received } = await transfer(({ body }) => ({ body, trailers: {} }));
  expect(reports).toEqual(["finish"]);
  await takes(received);
});

const zeroPages = (count: number): Uint8Array => new Uint8Array(count * pageBytes);
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

test.each<[string, RegExp, Alter]>([
  // In a value, where the format has nothing to check.
  [
    "a value that changed on the way",
    /digest is sha-256=:.*:, its sender's sha-256=:/,
    ({ body, trailers }) => ({ body: flipped(body, Buffer.from(body).indexOf("value 200 ")), trailers }),
  ],
  [
    "the digest of another body",
    /digest is/,
    ({ body }) => ({ body, trailers: { "content-digest": "sha-256=:AAAA:" } }),
  ],
  [
    "an end that is missing, with a digest",
    /digest is/,
    ({ body, trailers }) => ({ body: body.subarray(0, -pageBytes), trailers }),
  ],
  [
    "an end that is missing, without one",
    /is cut off|bad header/,
    ({ body }) => ({ body: body.subarray(0, -pageBytes), trailers: {} }),
  ],
  [
    "pages behind the end",
    /bytes, by its own account/,
    ({ body }) => ({ body: joined(body, zeroPages(1)), trailers: {} }),
  ],
  [
    "more bytes than a database may have",
    /exceeds 1048576 bytes/,
    ({ body }) => ({ body: joined(body, new Uint8Array(imageBytesMax)), trailers: {} }),
  ],
  [
    "no image at all",
    /neither meta page is valid/,
    ({ body }) => ({ body: joined(body.subarray(0, body.length % pageBytes), zeroPages(4)), trailers: {} }),
  ],
  ["a connection that breaks", /connection reset/, () => ({ body: new Error("connection reset"), trailers: {} })],
  ["no message", /unexpected EOF/, () => ({ body: new Uint8Array(7), trailers: {} })],
  [
    "a message of an absurd length",
    /frame of \d+ bytes exceeds/,
    ({ body }) => ({ body: flipped(body, 0), trailers: {} }),
  ],
])("%s is refused with a reason, and sent again", async (_name, reason, alter) => {
  const { reports, reachedRaft, left, receiverLog, senderLog, counts } = await transfer(alter);
  expect(reports).toEqual(["unreachable 2", "failure"]);
  expect(reachedRaft).toEqual([]);
  expect(left).toEqual([]);
  expect(receiverLog.at("warn")).toEqual([expect.stringMatching(reason)]);
  expect(senderLog.at("warn")).toContainEqual(
    expect.stringMatching(/^failed to send database snapshot: .*http status/),
  );
  expect(counts.sent.snapshotSent).toMatchObject({ successes: 0, failures: 1, inflight: 0 });
  expect(counts.received.snapshotReceived).toMatchObject({ successes: 0, inflight: 0 });
  // The next one is taken.
  const again = await transfer((sent) => sent);
  expect(again.reports).toEqual(["finish"]);
  await takes(again.received);
});
