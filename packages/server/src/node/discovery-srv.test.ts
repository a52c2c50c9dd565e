import { expect, test } from "vitest";
import { configFromFlags } from "../config/load-config.js";
import type { MemberConfig } from "../config/member-config.js";
import type { Dns, Env, ServiceRecord } from "../env.js";
import { withDiscoveredCluster } from "./discovery-srv.js";

const addresses: Readonly<Record<string, string>> = { "m1.example": "10.0.0.1", "m2.example": "10.0.0.2" };

function dns(services: Readonly<Record<string, readonly ServiceRecord[]>>): Dns {
  const missing = (name: string) => new Error(`lookup ${name}: no such host`);
  return {
    async services(name) {
      const records = services[name];
      if (records === undefined) throw missing(name);
      return records;
    },
    async addresses(host) {
      const address = addresses[host];
      if (address === undefined) throw missing(host);
      return [address];
    },
    names: async (address) => Promise.reject(missing(address)),
  };
}

async function discover(
  services: Readonly<Record<string, readonly ServiceRecord[]>>,
  flags: Readonly<Record<string, string>> = {},
  logExists = false,
): Promise<MemberConfig | string> {
  const loaded = configFromFlags({
    name: "m1",
    "discovery-srv": "example",
    "initial-advertise-peer-urls": "http://m1.example:2380",
    ...flags,
  });
  if (loaded.kind !== "run") throw new Error(JSON.stringify(loaded));
  const disk = {
    list: async () => (logExists ? ["0000000000000000-0000000000000000.wal"] : []),
    exists: async () => logExists,
  };
  const env = { dns: dns(services), logger: { log: () => {} }, disk } as unknown as Env;
  return withDiscoveredCluster(env, loaded.config).catch(String);
}

const m1 = { target: "m1.example.", port: 2380 };
const m2 = { target: "m2.example.", port: 2380 };

test("the record that is this member bears its name, the others numbers", async () => {
  expect(await discover({ "_etcd-server._tcp.example": [m2, m1, { ...m1, port: 2390 }] })).toMatchObject({
    initialCluster: "0=http://m2.example:2380,m1=http://m1.example:2380,1=http://m1.example:2390",
    peerTls: { serverName: "" },
  });
});

test("records of both kinds are taken together; the members' certificates are then the domain's", async () => {
  const services = { "_etcd-server-ssl-x._tcp.example": [m1], "_etcd-server-x._tcp.example": [m2] };
  const flags = { "discovery-srv-name": "x", "initial-advertise-peer-urls": "https://m1.example:2380" };
  const files = { "peer-cert-file": "c", "peer-key-file": "k" };
  const expected = { initialCluster: "m1=https://m1.example:2380,0=http://m2.example:2380" };
  expect(await discover(services, { ...flags, ...files })).toMatchObject({
    ...expected,
    peerTls: { serverName: "example" },
  });
  const withAuthority = { ...flags, ...files, "peer-trusted-ca-file": "ca" };
  expect(await discover(services, withAuthority)).toMatchObject({ ...expected, peerTls: { serverName: "" } });
});

test("records that cannot be used are passed over, if others can", async () => {
  const unknown = { target: "m9.example.", port: 2380 };
  expect(await discover({ "_etcd-server._tcp.example": [unknown, m1] })).toMatchObject({
    initialCluster: "m1=http://m1.example:2380",
  });
  expect(await discover({ "_etcd-server._tcp.example": [unknown] })).toContain(
    "error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl lookup _etcd-server-ssl._tcp.example: no such host",
  );
  expect(await discover({ "_etcd-server-ssl._tcp.example": [m1] })).toContain("has scheme mismatch with expected peer");
});

test("a member that is in no record is refused", async () => {
  expect(await discover({ "_etcd-server._tcp.example": [m2] })).toBe(
    'BootstrapError: error setting up initial cluster: cannot find local etcd member "m1" in SRV records',
  );
});

test("a member that has data asks nobody", async () => {
  expect(await discover({}, {}, true)).toMatchObject({ initialCluster: "" });
});
