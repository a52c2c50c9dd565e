import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { v2Membership } from "./v2-membership.js";

const testdata = new URL("testdata/v2-membership.json", import.meta.url);

const learner = {
  id: 0xa5c3771c4c14c842n,
  peerUrls: ["http://127.0.0.1:2", "http://127.0.0.1:3"],
  isLearner: true,
  name: "",
  clientUrls: [],
};
const started = {
  id: 0xbdae9bbc11dd390dn,
  peerUrls: ["http://127.0.0.1:23801"],
  isLearner: false,
  name: "g",
  clientUrls: ["http://127.0.0.1:23791"],
};

test("is what Go etcd 3.7.3 wrote of the same members", () => {
  const bytes = v2Membership({
    // In the order in which Go happened to number them.
    members: () => [started, learner],
    removedIds: () => [0xc2d1b69c668b96c0n],
    clusterVersion: () => "3.7.0",
  });
  expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual(JSON.parse(readFileSync(testdata, "utf8")));
});

test("a cluster that has no version yet has none", () => {
  const bytes = v2Membership({ members: () => [], removedIds: () => [], clusterVersion: () => undefined });
  expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({
    Root: { Children: { "0": { Children: {} }, "1": { Children: {} } } },
    CurrentIndex: 0,
  });
});
