/** Snapshots between Go etcd's members and ours, and from clients' point of view. */

import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catchUp } from "../e2e/support/catch-up.js";
import { Cluster } from "../e2e/support/cluster.js";
import { freePorts } from "./support/ports.js";

const go = (name: string): string => new URL(`bin/${name}`, import.meta.url).pathname;

function run(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

test("ours installs the snapshot of Go etcd", () => catchUp(["go", "go", "ours"], 2));

test("Go etcd installs ours", () => catchUp(["ours", "ours", "go"], 2));

test("Go's tools save, check and restore a snapshot of ours", async () => {
  const cluster = await Cluster.start(["ours"]);
  try {
    const [member] = cluster.members;
    if (member === undefined) throw new Error("no member");
    for (let i = 0; i < 60; i++) await member.put(`k${i % 25}`, `${i}-${"x".repeat(100 * i)}`);
    await member.post("/v3/kv/deleterange", { key: btoa("k3") });
    const { hash, revision } = await member.hashKv();
    const file = join(cluster.directory, "saved.db");
    run(go("etcdctl"), "--endpoints", member.clientUrl, "snapshot", "save", file);
    const status = JSON.parse(run(go("etcdutl"), "snapshot", "status", file, "-w", "json"));
    expect(status).toMatchObject({ revision: Number(revision), totalKey: 24, version: "3.7.0" });
    // Go's hashkv opens the file for writing.
    copyFileSync(file, `${file}.copy`);
    expect(JSON.parse(run(go("etcdutl"), "hashkv", `${file}.copy`, "-w", "json"))).toMatchObject({ hash });

    await member.stop();
    const [, peerPort] = await freePorts(2);
    const restored = join(cluster.directory, "restored");
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    run(
      go("etcdutl"),
      ...["snapshot", "restore", file, "--name", "r", "--data-dir", restored],
      ...["--initial-cluster", `r=${peerUrl}`, "--initial-advertise-peer-urls", peerUrl],
    );
    const goMember = cluster.add("r", "go", Number(new URL(member.clientUrl).port), peerPort ?? 0, restored);
    cluster.restart(goMember);
    await cluster.untilHealthy(goMember);
    expect(await goMember.hashKv()).toEqual({ hash, revision });
  } finally {
    await cluster.close();
  }
});
