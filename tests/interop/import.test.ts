/** A data directory of Go etcd is taken over by ours, with all that is in it. */

import { rmSync } from "node:fs";
import { expect, test } from "vitest";
import { Cluster } from "../e2e/support/cluster.js";

const ours = [process.execPath, new URL("../../bin/etcd", import.meta.url).pathname];

test.each([
  ["after its log was cut", ["--snapshot-count", "30"], "SIGTERM" as const],
  ["after a kill", [], "SIGKILL" as const],
])("a directory of Go etcd is imported %s", async (_name, flags, signal) => {
  const cluster = await Cluster.start(["go"], flags);
  try {
    const [member] = cluster.members;
    if (member === undefined) throw new Error("no member");
    for (let i = 0; i < 100; i++) await member.put(`k${i % 20}`, `${i}-${"x".repeat(3000)}`);
    const { hash, revision } = await member.hashKv();
    await member.stop(signal);
    cluster.restart(member, ours);
    await cluster.untilHealthy(member);
    expect(await member.hashKv()).toEqual({ hash, revision });
    await member.put("k1", "new");
    await member.stop();
    // From now on the directory does without what Go etcd left.
    rmSync(`${member.dataDirectory}/member/snap`, { recursive: true });
    cluster.restart(member, ours);
    await cluster.untilHealthy(member);
    expect(await member.get("k1")).toBe("new");
    expect(await member.get("k2")).toMatch(/^82-/);
  } finally {
    await cluster.close();
  }
});
