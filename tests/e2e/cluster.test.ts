/** Three members as processes: what a client sees of the cluster while members come, go and fail. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, type ClusterMember, delay, statusOf, until } from "../robustness/cluster/cluster.js";
import { Load, WatchRecord } from "../robustness/cluster/load.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ kinds: ["ours", "ours", "ours"], proxied: true });
}, 60_000);

afterAll(async () => {
  await cluster?.close();
});

async function sameHashes(): Promise<void> {
  const hashes = await cluster.hashes();
  expect(new Set(hashes.map(({ hash }) => hash)).size, JSON.stringify(hashes)).toBe(1);
}

/** Waits until a member answers linearizable reads again. */
function serving(member: ClusterMember): Promise<unknown> {
  return until(`answer of ${member.name}`, 20_000, () =>
    member.client.kv.get("x", { timeoutMs: 1000 }).catch(() => undefined),
  );
}

test("what one member acknowledged, every other reads", async () => {
  for (const [i, writer] of cluster.members.entries()) {
    const { header } = await writer.client.kv.put("shared", `${i}`);
    for (const reader of cluster.members) {
      const answer = await reader.client.kv.get("shared");
      expect(new TextDecoder().decode(answer.kvs[0]?.value)).toBe(`${i}`);
      expect(answer.header.revision).toBe(header.revision);
      expect(answer.header.memberId).toBe(reader.id);
    }
  }
  await sameHashes();
});

test("leases are kept alive and looked at through any member", async () => {
  const leader = await cluster.leader();
  const [one, other] = cluster.others(leader);
  const { id } = await one!.client.lease.grant(60);
  await other!.client.kv.put("leased", "x", { lease: id });
  for (const member of cluster.members) {
    const renewed = await member.client.lease.keepAliveOnce(id);
    expect([renewed.id, renewed.ttl]).toEqual([id, 60]);
    const left = await member.client.lease.timeToLive(id, { keys: true });
    expect(left.grantedTtl).toBe(60);
    expect(left.ttl).toBeGreaterThan(50);
    expect(left.keys.map((key) => new TextDecoder().decode(key))).toEqual(["leased"]);
  }
  await other!.client.lease.revoke(id);
  for (const member of cluster.members) {
    expect((await member.client.kv.get("leased")).count).toBe(0);
    await expect(member.client.lease.keepAliveOnce(id)).rejects.toThrow(/lease not found/);
  }
});

test("a lease is known to the leader as soon as a follower granted it", async () => {
  const { client } = await cluster.follower();
  for (let i = 0; i < 30; i++) {
    const { id } = await client.lease.grant(60);
    expect((await client.lease.keepAliveOnce(id)).ttl).toBe(60);
    await client.kv.put(`fresh/${i}`, "x", { lease: id });
    expect((await client.lease.timeToLive(id, { keys: true })).keys.length).toBe(1);
  }
});

test("leadership is handed over on request", async () => {
  const target = await cluster.follower();
  await cluster.moveLeader(target);
  const status = await statusOf(target);
  expect(status?.leader).toBe(target.id);
});

test("the leader is killed under load: nothing acknowledged is lost, watches go on, it rejoins", async () => {
  const client = cluster.connect();
  const watch = new WatchRecord(client, "kill/");
  await watch.created;
  const leader = await cluster.leader();
  const survivors = cluster.others(leader);
  const load = new Load({
    clients: () => survivors.map((member) => member.client),
    writers: 12,
    prefix: "kill/",
    timeoutMs: 2000,
    pauseMs: 5,
  });
  load.start();
  await load.more(200);
  await leader.process.stop({ force: true });
  const killedAt = performance.now();
  await cluster.leader(survivors);
  await load.more(100);
  const gapMs = load.gapAfter(killedAt);
  await leader.process.boot();
  await load.more(100);
  await load.stop();
  console.log(`no put was acknowledged for ${gapMs.toFixed(0)} ms after the kill`);
  await serving(leader);
  for (const member of cluster.members) expect(await load.check(member.client)).toEqual([]);
  expect(await watch.check(client)).toEqual([]);
  await watch.close();
  client.close();
  await sameHashes();
});

test("a leader that was stopped for seconds does not answer from the past", async () => {
  const leader = await cluster.leader();
  const rest = cluster.others(leader);
  await leader.client.kv.put("paused", "before");
  process.kill(leader.process.pid, "SIGSTOP");
  try {
    const next = await cluster.leader(rest);
    expect(next).not.toBe(leader);
    await next.client.kv.put("paused", "after");
  } finally {
    process.kill(leader.process.pid, "SIGCONT");
  }
  // It wakes believing that it leads; a linearizable read must find out.
  const answer = await until("answer", 20_000, () =>
    leader.client.kv.get("paused", { timeoutMs: 5000 }).catch(() => undefined),
  );
  expect(new TextDecoder().decode(answer.kvs[0]?.value)).toBe("after");
  await sameHashes();
});

test("a leader that cannot be heard is replaced, and says no more", async () => {
  const leader = await cluster.leader();
  const rest = cluster.others(leader);
  const dialler = leader.id.toString(16);
  // What it sends leaves on streams that the others dial (held where it answers), and on requests of its own.
  leader.link?.hold({ direction: "out" });
  for (const member of rest) member.link?.hold({ dialler, direction: "in" });
  const next = await cluster.leader(rest);
  const { header } = await next.client.kv.put("one-way", "new");
  const read = await leader.client.kv.get("one-way", { timeoutMs: 1500 }).catch((error: Error) => error);
  // It may not answer at all; if it does, not from the past.
  if (!(read instanceof Error)) expect(read.header.revision).toBeGreaterThanOrEqual(header.revision);
  for (const member of cluster.members) member.link?.hold();
  await serving(leader);
  expect(new TextDecoder().decode((await leader.client.kv.get("one-way")).kvs[0]?.value)).toBe("new");
  await sameHashes();
});

test("a follower that hears nobody does not disturb the others, and catches up", async () => {
  const leader = await cluster.leader();
  const deaf = cluster.others(leader)[0]!;
  const before = await statusOf(leader);
  deaf.link?.hold({ direction: "in" });
  for (const member of cluster.others(deaf)) member.link?.hold({ dialler: deaf.id.toString(16), direction: "out" });
  const load = new Load({
    clients: () => cluster.others(deaf).map((member) => member.client),
    writers: 4,
    prefix: "deaf/",
    pauseMs: 5,
  });
  load.start();
  // Longer than three election timeouts: it campaigns in vain.
  await delay(3500);
  await load.stop();
  expect(load.failures).toBe(0);
  for (const member of cluster.members) member.link?.hold();
  await serving(deaf);
  expect(await load.check(deaf.client)).toEqual([]);
  const after = await statusOf(leader);
  expect(after?.raftTerm).toBe(before?.raftTerm);
  await sameHashes();
});

test("links that break all the time lose nothing", async () => {
  const load = new Load({
    clients: () => cluster.members.map((member) => member.client),
    writers: 6,
    prefix: "flap/",
    timeoutMs: 3000,
    pauseMs: 5,
  });
  load.start();
  for (let i = 0; i < 12; i++) {
    cluster.members[i % 3]?.link?.cut();
    await delay(150);
  }
  await load.more(20);
  await load.stop();
  for (const member of cluster.members) {
    await serving(member);
    expect(await load.check(member.client)).toEqual([]);
  }
  await sameHashes();
});

test("a learner is added, promoted, and removed again", async () => {
  const learner = await cluster.add("ours", { learner: true });
  const { members } = await cluster.members[0]!.client.cluster.memberList();
  expect(members.find(({ id }) => id === learner.id)?.isLearner).toBe(true);
  await expect(learner.client.kv.put("x", "y")).rejects.toThrow(/rpc not supported for learner/);
  const through = await cluster.follower();
  await until("promotion", 20_000, () =>
    through.client.cluster.memberPromote(learner.id).catch((error: Error) => {
      if (/in sync with leader/.test(error.message)) return undefined;
      throw error;
    }),
  );
  await serving(learner);
  await learner.client.kv.put("by-the-new-voter", "x");
  await sameHashes();
  const metrics = await (await fetch(`http://${through.process.endpoint}/metrics`)).text();
  expect(metrics).toContain("\netcd_server_learner_promote_successes 1\n");
  const roundTrips = /^etcd_network_peer_round_trip_time_seconds_count\{To="[0-9a-f]+"\} [1-9]/gm;
  expect(metrics.match(roundTrips)?.length).toBeGreaterThanOrEqual(2);
  await cluster.remove(learner);
  const rest = await cluster.members[0]!.client.cluster.memberList();
  expect(rest.members.map(({ id }) => id).sort()).toEqual(cluster.members.map(({ id }) => id).sort());
  await cluster.members[1]!.client.kv.put("without-it", "x");
  await sameHashes();
});

test("a leader that is stopped hands over first", async () => {
  const leader = await cluster.leader();
  const rest = cluster.others(leader);
  await leader.process.stop();
  // Left to themselves, the others would believe in it for another second.
  const known = new Set((await Promise.all(rest.map(statusOf))).map((status) => status?.leader));
  expect(known.has(leader.id)).toBe(false);
  const next = await cluster.leader(rest);
  await next.client.kv.put("handed-over", "x");
  await leader.process.boot();
  await serving(leader);
});

test("all members are killed at once under load, and started again", async () => {
  const load = new Load({
    clients: () => cluster.members.map((member) => member.client),
    writers: 6,
    prefix: "all/",
    timeoutMs: 2000,
    pauseMs: 5,
  });
  load.start();
  await load.more(100);
  await Promise.all(cluster.members.map((member) => member.process.stop({ force: true })));
  await load.stop();
  await Promise.all(cluster.members.map((member) => member.process.boot()));
  for (const member of cluster.members) {
    await serving(member);
    expect(await load.check(member.client)).toEqual([]);
  }
  await sameHashes();
});
