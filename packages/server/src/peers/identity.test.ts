import { expect, test } from "vitest";
import { hexId, incompatibility, type LocalIdentity, parseHexId, requestHeaders } from "./identity.js";

const local: LocalIdentity = {
  memberId: 0x8e9e05c52164694dn,
  clusterId: 0xcdf818194e3a8c32n,
  peerUrls: () => ["http://a:2380", "http://b:2380"],
};

test("a member shows who it is", () => {
  expect(requestHeaders(local)).toEqual({
    "x-server-from": "8e9e05c52164694d",
    "x-server-version": "3.7.3",
    "x-min-cluster-version": "3.0.0",
    "x-etcd-cluster-id": "cdf818194e3a8c32",
    "x-peerurls": "http://a:2380,http://b:2380",
  });
});

test("ids are hexadecimal without padding", () => {
  expect(hexId(0xabn)).toBe("ab");
  expect(parseHexId("ab")).toBe(0xabn);
  expect(parseHexId("FFFFFFFFFFFFFFFF")).toBe(2n ** 64n - 1n);
  for (const text of [undefined, "", "0x1", "-1", "g", "10000000000000000", "1 "]) {
    expect(parseHexId(text)).toBeUndefined();
  }
});

const accepted: readonly Record<string, string>[] = [
  {},
  { "x-server-version": "3.0.0" },
  { "x-server-version": "3.4.0-pre" },
  { "x-server-version": "4.1.0" },
  { "x-min-cluster-version": "3.7.9" },
];
test.each(accepted)("a compatible peer: %o", (headers) => {
  expect(incompatibility({ ...requestHeaders(local), ...headers }, local)).toBeUndefined();
});

const refused: readonly (readonly [Record<string, string>, string])[] = [
  [{ "x-server-version": "2.3.8" }, "incompatible version"],
  [{ "x-server-version": "" }, "incompatible version"],
  [{ "x-server-version": "newest" }, "incompatible version"],
  [{ "x-min-cluster-version": "3.8.0" }, "incompatible version"],
  [{ "x-min-cluster-version": "4.0.0" }, "incompatible version"],
  [{ "x-min-cluster-version": "x" }, "incompatible version"],
  [{ "x-etcd-cluster-id": "cdf818194e3a8c33" }, "cluster ID mismatch"],
  [{ "x-etcd-cluster-id": "" }, "cluster ID mismatch"],
  [{ "x-etcd-cluster-id": "CDF818194E3A8C32" }, "cluster ID mismatch"],
];
test.each(refused)("an incompatible peer: %o", (headers, why) => {
  expect(incompatibility({ ...requestHeaders(local), ...headers }, local)).toBe(why);
});

test("a peer without headers is one of version 2", () => {
  expect(incompatibility({}, local)).toBe("incompatible version");
});
