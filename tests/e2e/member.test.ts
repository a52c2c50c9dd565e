/** One real member: what its operator meets besides requests. */

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BufferedBackend, createNodeEnv, currentDatabase } from "@etcd-ts/server/internal";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePorts } from "../interop/support/ports.js";
import { Cluster, type ClusterMember } from "./support/cluster.js";

const launcher = new URL("../../bin/etcd", import.meta.url).pathname;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "etcd-ts-member-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function urlFlags(): Promise<string[]> {
  const [client, peer] = await freePorts(2);
  const urls = { client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` };
  return [
    ...["--listen-client-urls", urls.client, "--advertise-client-urls", urls.client],
    ...["--listen-peer-urls", urls.peer, "--initial-advertise-peer-urls", urls.peer],
    ...["--initial-cluster", `default=${urls.peer}`],
  ];
}

/** A start that fails: its exit code, and what its last line says. */
async function failToStart(...flags: string[]): Promise<{ status: number | null; error: string; lines: number }> {
  const { status, stderr } = spawnSync(process.execPath, [launcher, ...(await urlFlags()), ...flags], {
    encoding: "utf8",
    cwd: directory,
    timeout: 60_000,
  });
  const fatal = stderr.split("\n").filter((line) => line.includes('"level":"fatal"'));
  const { error } = JSON.parse(fatal.at(-1) ?? "{}") as { error: string };
  return { status, error, lines: fatal.length };
}

async function withMember(use: (member: ClusterMember, cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await Cluster.start(["ours"]);
  try {
    await use(cluster.members[0] as ClusterMember, cluster);
  } finally {
    await cluster.close();
  }
}

/** The file that holds the live database. */
function databaseFile(member: ClusterMember): string {
  const current = readFileSync(join(member.dataDirectory, "member/CURRENT"), "latin1").trim();
  return join(member.dataDirectory, "member", current, "data.mdb");
}

test("in memory: it serves, defragments, and touches no disk", async () => {
  const flags = await urlFlags();
  const url = flags[1] as string;
  const child = spawn(process.execPath, [launcher, "--memory", ...flags], { cwd: directory, stdio: "ignore" });
  const exited = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  try {
    const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
      expect(response.status).toBe(200);
      return (await response.json()) as Record<string, unknown>;
    };
    while (
      !(await fetch(`${url}/health`).then(
        (response) => response.ok,
        () => false,
      ))
    );
    for (let i = 0; i < 300; i++) await post("/v3/kv/put", { key: btoa(`k${i % 10}`), value: btoa("v".repeat(2000)) });
    await post("/v3/kv/compaction", { revision: 301, physical: true });
    const before = await post("/v3/maintenance/status", {});
    await post("/v3/maintenance/defragment", {});
    const after = await post("/v3/maintenance/status", {});
    expect(Number(after["dbSize"])).toBeLessThan(Number(before["dbSize"]) / 2);
    expect(await post("/v3/kv/range", { key: btoa("k"), range_end: btoa("l") })).toMatchObject({ count: "10" });
  } finally {
    child.kill("SIGTERM");
    expect(await exited).toBe("SIGTERM");
  }
  expect(readdirSync(directory)).toEqual([]);
});

test("defragmentation gives pages back while a writer and a reader go on, and nothing is lost", async () => {
  await withMember(async (member, cluster) => {
    for (let i = 0; i < 400; i++) await member.put(`k${i % 20}`, `${i}-${"x".repeat(10_000)}`);
    const { header } = await member.post<{ header: { revision: string } }>("/v3/kv/put", { key: btoa("k"), value: "" });
    await member.post("/v3/kv/compaction", { revision: header.revision, physical: true });
    const before = { file: databaseFile(member), size: statSync(databaseFile(member)).size };
    let isDone = false;
    let acknowledged = 0;
    let reads = 0;
    const write = async (): Promise<void> => {
      while (!isDone) await member.put("counter", `${++acknowledged}`);
    };
    const read = async (): Promise<void> => {
      for (; !isDone; reads++) expect(await member.get("k3")).toMatch(/^383-/);
    };
    const work = [write(), read()];
    // Two at once wait for the same one.
    await Promise.all([1, 2].map(() => member.post("/v3/maintenance/defragment", {})));
    const meanwhile = { writes: acknowledged, reads };
    isDone = true;
    await Promise.all(work);
    expect(Math.min(meanwhile.writes, meanwhile.reads)).toBeGreaterThan(0);
    expect(databaseFile(member)).not.toBe(before.file);
    expect(statSync(databaseFile(member)).size).toBeLessThan(before.size / 2);
    const hash = await member.hashKv();
    await member.stop("SIGKILL");
    cluster.restart(member);
    await cluster.untilHealthy(member);
    expect(await member.hashKv()).toEqual(hash);
    expect(await member.get("counter")).toBe(`${acknowledged}`);
    expect(readdirSync(join(member.dataDirectory, "member")).filter((name) => name.startsWith("lmdb-"))).toHaveLength(
      1,
    );
  });
});

test("a data directory that another process uses is refused", async () => {
  await withMember(async (member) => {
    const failure = await failToStart("--data-dir", member.dataDirectory);
    const error = `data directory ${member.dataDirectory} is in use by another process`;
    expect(failure).toEqual({ status: 1, error, lines: 1 });
    await member.put("still", "served");
  });
});

test("a data directory that others may read is warned of", async () => {
  await withMember(async (member, cluster) => {
    await member.stop();
    chmodSync(member.dataDirectory, 0o755);
    cluster.restart(member);
    await cluster.untilHealthy(member);
    const log = readFileSync(member.logFile, "utf8");
    expect(log).toContain("directory exists, but the permission of it is loose");
    expect(log).toContain('"found":"0755","recommended":"0700"');
  });
});

test("a data directory that cannot be written is refused with its path", async () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  const below = await failToStart("--data-dir", join(file, "data"));
  expect(below).toMatchObject({ status: 1, lines: 1 });
  expect(below.error).toMatch(/file.*: ENOTDIR$/);
  const closed = join(directory, "closed");
  mkdirSync(closed, { mode: 0o500 });
  // The superuser may write everywhere.
  if (process.getuid?.() === 0) return;
  const refused = await failToStart("--data-dir", join(closed, "data"));
  expect(refused).toMatchObject({ status: 1, lines: 1 });
  expect(refused.error).toMatch(/closed.*: EACCES$/);
});

test.each([
  ["meta", "storageVersion", 'version "3.8.0" is not supported'],
  [
    "cluster",
    "clusterVersion",
    "invalid downgrade; server version is lower than determined cluster version (server 3.7.3, cluster 3.8.0)",
  ],
] as const)("data of a newer version is refused: %s/%s", async (bucket, key, error) => {
  await withMember(async (member) => {
    await member.put("a", "b");
    await member.stop();
    const env = createNodeEnv({ logLevel: "error" });
    const live = await currentDatabase(env.disk, join(member.dataDirectory, "member"));
    const database = await env.openDatabase(live ?? "");
    const onFailure = (failure: Error): never => {
      throw failure;
    };
    const backend = new BufferedBackend({ clock: env.clock, digest: env.digest, database, onFailure });
    backend.put(bucket, Buffer.from(key), Buffer.from("3.8.0"));
    backend.sealEntry(backend.durableIndex, 0);
    backend.requestCommit();
    await backend.close();
    expect(await failToStart("--data-dir", member.dataDirectory)).toEqual({ status: 1, error, lines: 1 });
  });
});
