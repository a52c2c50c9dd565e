/** A member inside of a program. */

import { EtcdClient } from "@etcd-ts/client";
import { type Etcd, startEtcd } from "@etcd-ts/server";
import { afterEach, expect, test } from "vitest";

const anyPort = "http://127.0.0.1:0";
let etcd: Etcd | undefined;

afterEach(() => etcd?.close());

test("a port of 0 is advertised as the one that the system chose", async () => {
  const urls = `${anyPort},http://localhost:0`;
  etcd = await startEtcd({
    memory: true,
    "log-level": "error",
    "listen-client-urls": urls,
    "advertise-client-urls": urls,
    "listen-peer-urls": anyPort,
  });
  const [first = "", second = ""] = etcd.clientUrls;
  expect(first).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
  expect(second).toMatch(/^http:\/\/localhost:[1-9]\d+$/);
  expect(second.split(":")[2]).not.toBe(first.split(":")[2]);
  for (const endpoint of etcd.clientUrls) {
    const client = new EtcdClient({ endpoints: [endpoint] });
    await client.kv.put("color", endpoint);
    expect(await client.kv.getText("color")).toBe(endpoint);
    const { members } = await client.cluster.memberList();
    expect(members.map(({ clientUrls }) => clientUrls)).toEqual([etcd.clientUrls]);
    client.close();
  }
});
