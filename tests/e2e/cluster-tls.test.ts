/** Members that talk over TLS and demand each other's certificates. */

import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Authority } from "../interop/support/authority.js";
import { Cluster, type ClusterMember } from "../robustness/cluster/cluster.js";

const directory = mkdtempSync(join(tmpdir(), "etcd-peer-tls-"));
const file = (name: string): string => join(directory, name);
let authority: Authority;
let cluster: Cluster;

beforeAll(async () => {
  authority = new Authority(directory, "authority");
  authority.sign("member");
  new Authority(directory, "stranger").sign("intruder");
  cluster = await Cluster.start({
    kinds: ["ours", "ours", "ours"],
    scheme: "https",
    flags: [
      ...["--peer-cert-file", file("member.crt"), "--peer-key-file", file("member.key")],
      ...["--peer-trusted-ca-file", file("authority.crt"), "--peer-client-cert-auth"],
    ],
  });
}, 60_000);

afterAll(async () => {
  await cluster?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Asks a member's peer port for the member table. */
function ask(member: ClusterMember, certificate?: string): Promise<{ status: number; serial: string }> {
  return new Promise((resolve, reject) => {
    const shown =
      certificate === undefined
        ? {}
        : { cert: readFileSync(file(`${certificate}.crt`)), key: readFileSync(file(`${certificate}.key`)) };
    const ca = readFileSync(file("authority.crt"));
    const call = request(`${member.peerUrl}/members`, { agent: false, ca, ...shown }, (response) => {
      const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber;
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode ?? 0, serial }));
    });
    call.on("error", reject);
    call.end();
  });
}

test("the members form a cluster", async () => {
  const [first, second, third] = cluster.members;
  await first!.client.kv.put("tls", "yes");
  for (const member of [second!, third!]) {
    expect(new TextDecoder().decode((await member.client.kv.get("tls")).kvs[0]?.value)).toBe("yes");
  }
  // Forwarded to the leader by request, not by stream.
  const follower = await cluster.follower();
  const { id } = await follower.client.lease.grant(60);
  expect((await follower.client.lease.keepAliveOnce(id)).ttl).toBe(60);
});

test("who shows no certificate, or another authority's, is not answered", async () => {
  const member = cluster.members[0]!;
  expect((await ask(member, "member")).status).toBe(200);
  await expect(ask(member)).rejects.toThrow();
  await expect(ask(member, "intruder")).rejects.toThrow();
});

test("certificates are read again", async () => {
  const member = cluster.members[0]!;
  const { serial } = await ask(member, "member");
  authority.sign("renewed");
  for (const kind of ["key", "crt"]) renameSync(file(`renewed.${kind}`), file(`member.${kind}`));
  const renewed = await ask(member, "member");
  expect(renewed.status).toBe(200);
  expect(renewed.serial).not.toBe(serial);
  // A member that starts now meets the others with the new one.
  await member.process.stop({ force: true });
  await member.process.boot();
  expect((await member.client.kv.get("tls")).count).toBe(1);
});
