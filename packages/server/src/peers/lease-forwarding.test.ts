import { lease, messageBytes } from "@etcd-ts/api";
import { decodeLeaseKeepAliveRequest } from "@etcd-ts/api/etcdserverpb";
import {
  decodeLeaseInternalRequest,
  encodeLeaseInternalResponse,
  sizeLeaseInternalResponse,
} from "@etcd-ts/api/leasepb";
import { expect, test } from "vitest";
import type { RenewAnswer, TimeToLiveAnswer } from "../node/leases.js";
import { forwardLeases } from "./lease-forwarding.js";
import { FakeClock, settle } from "./testing/fake-clock.js";
import { FakeNetwork } from "./testing/fake-network.js";

function setup(urls: string[] = ["http://leader-a", "http://leader-b"]) {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const leases = forwardLeases({
    clock,
    network,
    requestTimeoutMs: 7000,
    electionTimeoutMs: 1000,
    leaderUrls: () => urls,
  });
  return { clock, network, leases, urls };
}

function renewed(id: bigint, ttl: number): Uint8Array {
  return messageBytes(lease.leaseKeepAlive.response, { id, ttl });
}

test("a lease is renewed by the leader", async () => {
  const { network, leases } = setup();
  const answers: RenewAnswer[] = [];
  leases.renew(0x7fff_ffff_ffff_fff1n, (answer) => answers.push(answer));
  const { request, answer } = network.posts[0]!;
  expect(request).toMatchObject({ url: "http://leader-a/leases", method: "POST" });
  expect(request.headers["content-type"]).toBe("application/protobuf");
  expect(decodeLeaseKeepAliveRequest(request.body as Uint8Array).id).toBe(0x7fff_ffff_ffff_fff1n);
  answer(200, renewed(0x7fff_ffff_ffff_fff1n, 60));
  await settle();
  expect(answers).toEqual([{ ttl: 60 }]);
});

test("an unknown lease is the leader's word, and not asked for again", async () => {
  const { network, leases } = setup();
  const answers: unknown[] = [];
  leases.renew(5n, (answer) => answers.push(answer));
  leases.timeToLive(5n, false, (answer) => answers.push(answer));
  network.posts[0]?.answer(404);
  network.posts[1]?.answer(404);
  await settle();
  expect(answers).toEqual([{ refusal: "leaseNotFound" }, { refusal: "leaseNotFound" }]);
  expect(network.posts.length).toBe(2);
});

test("every other answer, another lease's included, leads to the next URL, then to a new round", async () => {
  const { clock, network, leases } = setup();
  const answers: RenewAnswer[] = [];
  leases.renew(5n, (answer) => answers.push(answer));
  network.posts[0]?.answer(400);
  await settle();
  expect(network.posts[1]?.request.url).toBe("http://leader-b/leases");
  network.posts[1]?.answer(200, renewed(6n, 60));
  await settle();
  expect(network.posts.length).toBe(2);
  await clock.advance(50);
  expect(network.posts[2]?.request.url).toBe("http://leader-a/leases");
  network.posts[2]?.fail(new Error("connection refused"));
  await settle();
  network.posts[3]?.answer(200, renewed(5n, 60));
  await settle();
  expect(answers).toEqual([{ ttl: 60 }]);
});

test("an answer that is no protobuf is passed over", async () => {
  const { network, leases } = setup();
  const answers: RenewAnswer[] = [];
  leases.renew(5n, (answer) => answers.push(answer));
  network.posts[0]?.answer(200, Uint8Array.of(0xff, 0xff));
  await settle();
  network.posts[1]?.answer(200, renewed(5n, 60));
  await settle();
  expect(answers).toEqual([{ ttl: 60 }]);
});

test("a leader that appears is asked; without one the request ends as etcd's does", async () => {
  const { clock, network, leases, urls } = setup([]);
  const answers: RenewAnswer[] = [];
  leases.renew(5n, (answer) => answers.push(answer));
  await clock.advance(2000);
  urls.push("http://new-leader");
  await clock.advance(1000);
  expect(network.posts[0]?.request.url).toBe("http://new-leader/leases");
  network.posts[0]?.answer(200, renewed(5n, 60));
  await settle();
  urls.length = 0;
  leases.renew(5n, (answer) => answers.push(answer));
  await clock.advance(8000);
  expect(answers).toEqual([{ ttl: 60 }, { refusal: "noLeader" }]);
});

test("a leader that only refuses: the request times out", async () => {
  const { clock, network, leases } = setup(["http://leader"]);
  const answers: RenewAnswer[] = [];
  leases.renew(5n, (answer) => answers.push(answer));
  for (let round = 0; answers.length === 0 && round < 200; round++) {
    network.posts[round]?.answer(500);
    await clock.advance(50);
  }
  expect(answers).toEqual([{ refusal: "timeout" }]);
  expect(clock.now()).toBeLessThanOrEqual(7000);
});

test("the leader tells a lease's time and keys", async () => {
  const { network, leases } = setup();
  const answers: TimeToLiveAnswer[] = [];
  leases.timeToLive(5n, true, (answer) => answers.push(answer));
  const { request, answer } = network.posts[0]!;
  expect(request.url).toBe("http://leader-a/leases/internal");
  expect(decodeLeaseInternalRequest(request.body as Uint8Array).leaseTimeToLiveRequest).toMatchObject({
    id: 5n,
    keys: true,
  });
  const inner = { header: {}, id: 5n, ttl: 41, grantedTtl: 60, keys: [Uint8Array.of(0x61, 0xff)] };
  const body = messageBytes(
    { size: sizeLeaseInternalResponse, encode: encodeLeaseInternalResponse },
    { leaseTimeToLiveResponse: inner },
  );
  answer(200, body);
  await settle();
  expect(answers).toEqual([{ ttl: 41, grantedTtl: 60, keys: ["a\xff"] }]);
});
