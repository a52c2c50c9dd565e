/**
 * Clusters of our members and Go's: each side leads, members are replaced by the other kind while puts go on, and at
 * every pause all members hold the same.
 *
 *   node build/tests/interop/mixed.js
 */

import { EtcdClient } from "@etcd-ts/client";
import { Cluster, type ClusterMember, type Kind, statusOf, until } from "../robustness/cluster/cluster.js";
import { Load, WatchRecord } from "../robustness/cluster/load.js";

interface Totals {
  passed: number;
  failed: number;
}

/** Fails with what is wrong with the members now. */
async function pause(cluster: Cluster): Promise<void> {
  const hashes = await cluster.hashes();
  if (new Set(hashes.map(({ hash }) => hash)).size !== 1) {
    throw new Error(`the members differ: ${JSON.stringify(hashes)}`);
  }
}

function demand(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Everything a client does, through each member, while each member leads. */
async function eachLeads(kinds: readonly Kind[]): Promise<void> {
  const cluster = await Cluster.start({ kinds, proxied: false });
  try {
    for (const leader of cluster.members) {
      await until(`${leader.name} leading`, 30_000, async () => {
        await cluster.moveLeader(leader).catch(() => undefined);
        return (await statusOf(leader))?.leader === leader.id ? true : undefined;
      });
      for (const member of cluster.members) await useMember(cluster, leader, member);
      await pause(cluster);
    }
    await versionIs(cluster, "3.7.0");
  } finally {
    await cluster.close();
  }
}

async function useMember(cluster: Cluster, leader: ClusterMember, member: ClusterMember): Promise<void> {
  const { client } = member;
  const key = `${leader.name}/${member.name}`;
  const { header } = await client.kv.put(key, "x".repeat(1000));
  for (const reader of cluster.members) {
    const { kvs } = await reader.client.kv.get(key);
    demand(kvs[0]?.modRevision === header.revision, `${reader.name} does not read what ${member.name} wrote`);
  }
  const { id } = await client.lease.grant(60);
  await client.kv.put(`${key}/leased`, "x", { lease: id });
  demand((await client.lease.keepAliveOnce(id)).ttl === 60, `${member.name} cannot renew a lease`);
  const left = await client.lease.timeToLive(id, { keys: true });
  const found = `${left.keys.length} keys, ${left.ttl} of ${left.grantedTtl} seconds left`;
  demand(left.keys.length === 1 && left.ttl > 50, `${member.name}, ${leader.name} leading: a lease with ${found}`);
  await client.lease.revoke(id);
  demand((await client.kv.get(`${key}/leased`)).count === 0, "a revoked lease's key is still there");
}

async function versionIs(cluster: Cluster, expected: string): Promise<void> {
  for (const member of cluster.members) {
    await until(`cluster version ${expected} at ${member.name}`, 20_000, async () => {
      const answer = await member.process.get("/version");
      return answer?.body.includes(`"etcdcluster":"${expected}"`) === true ? true : undefined;
    });
  }
}

/** One member after the other is replaced by the other kind, twice, under load. */
async function replaced(totals: Totals): Promise<void> {
  const cluster = await Cluster.start({ kinds: ["go", "go", "go"] });
  const watching = new EtcdClient({ endpoints: cluster.endpoints });
  const watch = new WatchRecord(watching, "replace/");
  const load = new Load({
    clients: () => cluster.members.map(({ client }) => client),
    writers: 3,
    prefix: "replace/",
    pauseMs: 50,
  });
  try {
    await watch.created;
    for (const [from, to] of [
      ["go", "ours"],
      ["ours", "go"],
    ] as const) {
      for (const leaving of cluster.members.filter(({ kind }) => kind === from)) {
        await check(totals, `${leaving.name} is replaced by one of ${to}`, async () => {
          load.start();
          const learner = await cluster.add(to, { learner: true });
          await until(`promotion of ${learner.name}`, 30_000, async () => {
            const through = (await cluster.leader()).client;
            return through.cluster.memberPromote(learner.id).catch((error: Error) => {
              if (/in sync with leader|unhealthy/.test(error.message)) return undefined;
              throw error;
            });
          });
          await cluster.remove(leaving);
          watching.setEndpoints(cluster.endpoints);
          await cluster.leader();
          await load.more(20);
          await load.stop();
          await pause(cluster);
          for (const member of cluster.members) {
            const wrong = await load.check(member.client);
            demand(wrong.length === 0, `${member.name}: ${wrong.slice(0, 3).join("; ")}`);
          }
          const wrong = await watch.check(watching);
          demand(wrong.length === 0, wrong.join("; "));
        });
      }
    }
  } finally {
    await load.stop();
    watching.close();
    await watch.close();
    await cluster.close();
  }
}

async function check(totals: Totals, name: string, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  try {
    await work();
    totals.passed++;
    console.log(`✓ ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  } catch (error) {
    totals.failed++;
    console.log(`✗ ${name}\n    ${error instanceof Error ? error.stack : String(error)}`);
  }
}

export async function run(): Promise<Totals> {
  const totals = { passed: 0, failed: 0 };
  await check(totals, "one of three is Go's, each leads", () => eachLeads(["ours", "ours", "go"]));
  await check(totals, "two of three are Go's, each leads", () => eachLeads(["go", "ours", "go"]));
  await check(totals, "a cluster of Go's becomes one of ours and goes back", () => replaced(totals));
  return totals;
}

if (import.meta.filename === process.argv[1]) {
  const { passed, failed } = await run();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
