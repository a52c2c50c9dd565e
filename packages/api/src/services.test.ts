import { expect, it } from "vitest";
import { allMethods, kv, methodsByHttpPath, methodsByPath, watch } from "./services.js";

it("has every RPC of etcd 3.7", () => {
  const counts = new Map<string, number>();
  for (const { service } of allMethods) counts.set(service, (counts.get(service) ?? 0) + 1);
  expect(Object.fromEntries(counts)).toEqual({
    "etcdserverpb.Auth": 17,
    "etcdserverpb.Cluster": 5,
    "etcdserverpb.KV": 6,
    "etcdserverpb.Lease": 5,
    "etcdserverpb.Maintenance": 8,
    "etcdserverpb.Watch": 1,
    "grpc.health.v1.Health": 3,
    "v3electionpb.Election": 5,
    "v3lockpb.Lock": 2,
  });
  expect(methodsByPath.size).toBe(allMethods.length);
});

it("knows the gateway's paths", () => {
  expect(methodsByHttpPath.get("/v3/kv/range")).toBe(kv.range);
  expect(methodsByHttpPath.get("/v3/kv/lease/revoke")).toBe(methodsByHttpPath.get("/v3/lease/revoke"));
  expect(kv.rangeStream.httpPost).toEqual([]);
});

it("knows which way messages stream", () => {
  expect(watch.watch).toMatchObject({
    clientStreaming: true,
    serverStreaming: true,
    path: "/etcdserverpb.Watch/Watch",
  });
  expect(kv.rangeStream).toMatchObject({ clientStreaming: false, serverStreaming: true });
  expect(kv.put).toMatchObject({ clientStreaming: false, serverStreaming: false });
});

it("pairs types with their codecs", () => {
  for (const { request, response } of allMethods) {
    for (const codec of [request, response]) {
      const message = codec.decode(new Uint8Array(0));
      expect(codec.size(message)).toBe(0);
      expect(codec.encode(message, new Uint8Array(0), 0)).toBe(0);
    }
  }
  expect(kv.range.request.create({ limit: 3 })).toMatchObject({ limit: 3, keysOnly: false });
});
