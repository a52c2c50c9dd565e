/** The story of a member that was away for too long. */

import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { Cluster, type ClusterMember, type Kind } from "./cluster.js";

export const cutsItsLog: readonly string[] = ["--snapshot-count", "50", "--snapshot-catchup-entries", "20"];

export async function write(member: ClusterMember, prefix: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await member.put(`${prefix}${i % 40}`, `${i}-${"x".repeat(500)}`);
}

/** Stops a member, writes past the log, restarts it, and compares. The first member leads. */
export async function catchUp(kinds: readonly Kind[], lagging: number): Promise<void> {
  const cluster = await Cluster.start(kinds, cutsItsLog);
  try {
    const [first] = cluster.members;
    const behind = cluster.members[lagging];
    if (first === undefined || behind === undefined) throw new Error("no such member");
    await cluster.lead(first);
    await write(first, "a", 30);
    await behind.put("watched", "before");
    await behind.stop("SIGKILL");
    await write(first, "b", 300);
    await first.put("watched", "meanwhile");
    cluster.restart(behind);
    await cluster.untilHealthy(behind);
    await first.put("watched", "after");
    const hashes = await cluster.hashes();
    expect(new Set(hashes).size).toBe(1);
    expect(await behind.watch("watched", 1, 3)).toEqual(["before", "meanwhile", "after"]);
    expect(readFileSync(behind.logFile, "utf8")).toMatch(/applied snapshot/);
    // It is a member like any other afterwards, also after another restart.
    await behind.stop();
    await write(first, "c", 10);
    cluster.restart(behind);
    await cluster.untilHealthy(behind);
    await behind.put("last", "word");
    expect(new Set(await cluster.hashes()).size).toBe(1);
  } finally {
    await cluster.close();
  }
}
