/** A follower that the log cannot catch up any more gets the database. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { freePorts } from "../interop/support/ports.js";
import { catchUp, cutsItsLog, write } from "./support/catch-up.js";
import { Cluster, until } from "./support/cluster.js";

test("a member that was away too long is caught up by a snapshot", () => catchUp(["ours", "ours", "ours"], 2));

test("a member that was held up goes on where it was, and so do its watches", async () => {
  const cluster = await Cluster.start(["ours", "ours", "ours"], cutsItsLog);
  try {
    const [first, , behind] = cluster.members;
    if (first === undefined || behind === undefined) throw new Error("no such member");
    await cluster.lead(first);
    await first.put("watched", "before");
    await until("the follower has it", async () => (await behind.get("watched")) === "before");
    const watches = Promise.allSettled([behind.watch("watched", 1, 4), behind.watch("own", 0, 1)]);
    behind.pause();
    // More than raft keeps in flight: what the connection has taken is not enough.
    await write(first, "b", 600);
    await first.put("watched", "meanwhile");
    await write(first, "c", 100);
    await first.put("watched", "and later");
    behind.resume();
    await until("the snapshot is installed", async () =>
      readFileSync(behind.logFile, "utf8").includes("applied snapshot"),
    );
    await behind.put("watched", "after");
    await behind.put("own", "event");
    expect(await watches).toMatchObject([
      { value: ["before", "meanwhile", "and later", "after"] },
      { value: ["event"] },
    ]);
    expect(new Set(await cluster.hashes()).size).toBe(1);
  } finally {
    await cluster.close();
  }
});

test("a member that joins after the log was cut begins with a snapshot", async () => {
  const cluster = await Cluster.start(["ours"], cutsItsLog);
  try {
    const [first] = cluster.members;
    if (first === undefined) throw new Error("no member");
    await write(first, "a", 300);
    const [client = 0, peer = 0] = await freePorts(2);
    const joining = cluster.add("joining", "ours", client, peer, `${cluster.directory}/joining`);
    await first.post("/v3/cluster/member/add", { peerURLs: [joining.peerUrl] });
    cluster.restart(joining, undefined, ["--initial-cluster-state", "existing"]);
    await cluster.untilHealthy(joining);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(readFileSync(joining.logFile, "utf8")).toContain("applied snapshot");
    await joining.put("from", "the new one");
    expect(await first.get("from")).toBe("the new one");
  } finally {
    await cluster.close();
  }
});
