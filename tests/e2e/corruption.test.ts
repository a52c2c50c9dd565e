/** One member of three holds other data than the others: it is found out. */

import { join } from "node:path";
import { BufferedBackend, createNodeEnv, currentDatabase } from "@etcd-ts/server/internal";
import { afterEach, expect, test } from "vitest";
import { Cluster, type ClusterMember, until } from "../robustness/cluster/cluster.js";

const corruptAlarm = 2;

let cluster: Cluster | undefined;

afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

/** Changes the last byte of the newest record in the database of a member that is stopped. */
async function corrupt(member: ClusterMember): Promise<void> {
  const env = createNodeEnv({ logLevel: "error" });
  const directory = await currentDatabase(env.disk, join(member.process.dataDirectory, "member"));
  if (directory === undefined) throw new Error("no database");
  const backend = new BufferedBackend({
    clock: env.clock,
    digest: env.digest,
    database: await env.openDatabase(directory),
    onFailure: (error) => {
      throw error;
    },
  });
  let last: { readonly main: number; readonly sub: number; readonly value: Uint8Array } | undefined;
  backend.scanRecords(0, 0, Number.MAX_SAFE_INTEGER, (main, sub, _tombstone, value) => {
    last = { main, sub, value: value.slice() };
    return true;
  });
  if (last === undefined) throw new Error("no record");
  const { main, sub, value } = last;
  value[value.length - 1] = (value.at(-1) ?? 0) ^ 1;
  backend.putRecord(main, sub, false, value);
  backend.sealEntry(backend.durableIndex, 1);
  await backend.close();
}

async function startWithOneCorrupt(flags: readonly string[]): Promise<ClusterMember> {
  cluster = await Cluster.start({ kinds: ["ours", "ours", "ours"], flags });
  for (let i = 0; i < 20; i++) await cluster.members[0]!.client.kv.put(`key${i}`, `value${i}`);
  await cluster.caughtUp();
  const victim = await cluster.follower();
  await victim.process.stop();
  await corrupt(victim);
  return victim;
}

async function alarmedMembers(): Promise<bigint[]> {
  const client = cluster!.members[0]!.client;
  return until("the alarm", 30_000, async () => {
    const { alarms } = await client.maintenance.alarmList();
    const ids = alarms.filter(({ alarm }) => alarm === corruptAlarm).map(({ memberId }) => memberId);
    return ids.length > 0 ? ids : undefined;
  });
}

test("it is refused when it starts", async () => {
  const victim = await startWithOneCorrupt([]);
  await expect(victim.process.boot()).rejects.toThrow(/found data inconsistency with peers/);
  expect((await cluster!.others(victim)[0]!.client.maintenance.alarmList()).alarms).toEqual([]);
});

test("the hashes of a compaction tell the leader which member it is, and nobody may write any more", async () => {
  const gates = ["--feature-gates", "InitialCorruptCheck=false", "--compact-hash-check-time", "200ms"];
  const victim = await startWithOneCorrupt(gates);
  await victim.process.boot();
  const { client } = cluster!.others(victim)[0]!;
  const { header } = await client.kv.put("another", "put");
  await client.kv.compact(header.revision);
  expect(await alarmedMembers()).toEqual([victim.id]);
  await expect(client.kv.put("x", "y")).rejects.toThrow(/corrupt cluster/);
});

test("so does the comparison of all data", async () => {
  const flags = ["--feature-gates", "InitialCorruptCheck=false", "--corrupt-check-time", "200ms"];
  const victim = await startWithOneCorrupt(flags);
  await victim.process.boot();
  expect(await alarmedMembers()).toEqual([victim.id]);
});
