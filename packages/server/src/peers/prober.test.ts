import { expect, test } from "vitest";
import { createPeerMetrics } from "../metrics/member-metrics.js";
import { Prober, probeIntervalMs } from "./prober.js";
import { FakeClock, settle } from "./testing/fake-clock.js";
import { FakeLogger, FakeNetwork } from "./testing/fake-network.js";
import { UrlPicker } from "./url-picker.js";

function setup() {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const logger = new FakeLogger();
  const metrics = createPeerMetrics();
  const prober = new Prober({ clock, network, logger, metrics, remoteId: 2n, picker: new UrlPicker(["http://two"]) });
  prober.start();
  const probed = async () => {
    await clock.advance(probeIntervalMs);
    return network.posts.at(-1)!;
  };
  return { clock, network, logger, metrics, prober, probed };
}

function answer(time: number): Uint8Array {
  return new TextEncoder().encode(`{"OK":true,"Now":"${new Date(time).toISOString().replace("Z", "456789Z")}"}`);
}

test("a peer is asked every four seconds, and the round trip is observed", async () => {
  const { clock, network, logger, metrics, prober, probed } = setup();
  expect(network.posts).toEqual([]);
  const { request, answer: respond } = await probed();
  expect(request).toMatchObject({ url: "http://two/raft/probing", method: "GET", timeoutMs: probeIntervalMs });
  await clock.advance(20);
  respond(200, answer(clock.wallTime() - 10));
  await settle();
  expect(metrics.roundTripSeconds).toMatchObject({ count: 1, sum: 0.02 });
  (await probed()).answer(200, answer(clock.wallTime()));
  await settle();
  expect(metrics.roundTripSeconds.count).toBe(2);
  expect(logger.at("warn")).toEqual([]);
  prober.stop();
  await clock.advance(10 * probeIntervalMs);
  expect(network.posts).toHaveLength(2);
});

test.each<[string, RegExp, (post: FakeNetwork["posts"][number], now: number) => void]>([
  ["does not answer", /unhealthy status: .*refused/, (post) => post.fail(new Error("connection refused"))],
  ["answers with an error", /unhealthy status: .*http status 500/, (post) => post.answer(500)],
  ["has a clock behind", /high clock drift/, (post, now) => post.answer(200, answer(now - 1100))],
  ["has a clock ahead", /high clock drift/, (post, now) => post.answer(200, answer(now + 1100))],
])("a peer that %s is logged, and again when that lasts", async (_name, text, react) => {
  const { clock, logger, probed } = setup();
  const rounds = 9;
  for (let round = 0; round < rounds; round++) {
    react(await probed(), clock.wallTime());
    await settle();
  }
  expect(logger.at("warn")).toEqual([expect.stringMatching(text), expect.stringMatching(text)]);
});

test("an answer without a time is a round trip all the same", async () => {
  const { logger, metrics, probed } = setup();
  (await probed()).answer(200, new TextEncoder().encode("{}"));
  await settle();
  expect(metrics.roundTripSeconds.count).toBe(1);
  expect(logger.at("warn")).toEqual([]);
});
