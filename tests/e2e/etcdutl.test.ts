/** A snapshot saved over the wire, looked at, damaged, and restored into new clusters. */

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts } from "../interop/support/ports.js";
import { Cluster, type ClusterMember, until } from "./support/cluster.js";

const etcdutl = new URL("../../bin/etcdutl", import.meta.url).pathname;

let cluster: Cluster;
let file: string;
let revision: number;
let hash: number;

async function saveSnapshot(member: ClusterMember, path: string): Promise<void> {
  const response = await fetch(`${member.clientUrl}/v3/maintenance/snapshot`, { method: "POST", body: "{}" });
  const blobs: Buffer[] = [];
  for (const line of (await response.text()).split("\n").filter((text) => text !== "")) {
    const { result } = JSON.parse(line) as { result: { blob: string } };
    blobs.push(Buffer.from(result.blob, "base64"));
  }
  writeFileSync(path, Buffer.concat(blobs));
}

function run(...words: string[]): string {
  return execFileSync(etcdutl, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

beforeAll(async () => {
  cluster = await Cluster.start(["ours"]);
  const [member] = cluster.members;
  if (member === undefined) throw new Error("no member");
  for (let i = 0; i < 50; i++) await member.put(`k${i % 20}`, `${i}-${"x".repeat(100 * i)}`);
  await member.post("/v3/lease/grant", { ID: "77", TTL: "1000" });
  await member.post("/v3/kv/put", { key: btoa("leased"), value: btoa("v"), lease: "77" });
  file = join(cluster.directory, "saved.db");
  await saveSnapshot(member, file);
  const state = await member.hashKv();
  revision = Number(state.revision);
  hash = state.hash;
  await member.stop();
});

afterAll(() => cluster.close());

async function restored(name: string, ...flags: string[]): Promise<ClusterMember> {
  const [client = 0, peer = 0] = await freePorts(2);
  const dataDir = join(cluster.directory, name);
  const url = `http://127.0.0.1:${peer}`;
  run(
    ...["snapshot", "restore", file, "--name", name, "--data-dir", dataDir],
    ...["--initial-cluster", `${name}=${url}`, "--initial-advertise-peer-urls", url, ...flags],
  );
  const member = cluster.add(name, "ours", client, peer, dataDir);
  cluster.restart(member);
  await cluster.untilHealthy(member);
  return member;
}

test("status and hashkv tell what the member had", () => {
  expect(JSON.parse(run("snapshot", "status", file, "-w", "json"))).toMatchObject({ revision, totalKey: 21 });
  expect(JSON.parse(run("hashkv", file, "-w", "json"))).toMatchObject({ hash, hashRevision: revision });
});

test("a restored member has the same history, its lease, and another cluster", async () => {
  const member = await restored("same");
  expect(await member.hashKv()).toEqual({ hash, revision: String(revision) });
  const lease = await member.post<{ keys?: string[] }>("/v3/lease/timetolive", { ID: "77", keys: true });
  expect(lease.keys).toEqual([btoa("leased")]);
  const { members } = await member.post<{ members: { name: string }[] }>("/v3/cluster/member/list", {});
  expect(members.map(({ name }) => name)).toEqual(["same"]);
  await member.put("k1", "new");
  await member.stop("SIGKILL");
  cluster.restart(member);
  await cluster.untilHealthy(member);
  expect(await member.get("k1")).toBe("new");
});

test("revisions can be made to jump, with the history before compacted", async () => {
  const member = await restored("bumped", "--bump-revision", "1000", "--mark-compacted");
  await until("the compaction is done", async () => (await member.hashKv()).revision === String(revision + 1000));
  expect(await member.get("k2")).toMatch(/^42-/);
  const old = member.post("/v3/kv/range", { key: btoa("k2"), revision: String(revision) });
  await expect(old).rejects.toThrow(/compacted/);
  await member.put("k2", "new");
  expect((await member.hashKv()).revision).toBe(String(revision + 1001));
});

test("a damaged file is refused, and nothing is left behind", () => {
  const damaged = `${file}.damaged`;
  const bytes = readFileSync(file);
  bytes[bytes.length / 2 - 16] = (bytes[bytes.length / 2 - 16] ?? 0) ^ 1;
  writeFileSync(damaged, bytes);
  const target = join(cluster.directory, "refused");
  const words = ["snapshot", "restore", damaged, "--data-dir", target];
  const result = spawnSync(etcdutl, words, { encoding: "utf8" });
  expect(result.status).toBe(1);
  expect(result.stderr).toContain("expected sha256 [");
  writeFileSync(damaged, bytes.subarray(0, bytes.length - 32));
  expect(spawnSync(etcdutl, words, { encoding: "utf8" }).stderr).toContain("snapshot missing hash");
});
