/**
 * One member of three has a bad disk, is stopped, or cannot be heard, under load: the others keep serving, no
 * acknowledged put is lost, watches miss nothing, no linearizable read is stale, and afterwards all members hold the
 * same.
 *
 *   node build/scripts/soak.js cluster-faults [--scenario NAME] [--sample] [--rounds N]
 */

import { Cluster, type ClusterMember, delay, statusOf, until } from "../../tests/robustness/cluster/cluster.js";
import { type Fault, faults } from "../../tests/robustness/cluster/faults.js";
import { FreshReads } from "../../tests/robustness/cluster/fresh-reads.js";
import { Load, WatchRecord } from "../../tests/robustness/cluster/load.js";
import { option } from "../../tests/robustness/support/options.js";

const writers = 20;
/** For some puts, on a machine that may be busy. */
const loadTimeoutMs = 60_000;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const at = args.indexOf("--scenario");
  const name = at < 0 ? undefined : args[at + 1];
  const chosen = name === undefined ? all(args) : faults.filter((fault) => fault.name === name);
  if (chosen.length === 0) throw new Error(`scenarios: ${faults.map((fault) => fault.name).join(" ")}`);
  const length = args.includes("--sample") ? "sample" : "full";
  const totals = { passed: 0, failed: 0 };
  for (let round = option(args, "--rounds", 1); round > 0; round--) {
    for (const fault of chosen) {
      const outcome = await suffer(fault, fault.lastsMs[length]).catch((error: unknown) => ({
        wrong: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
        told: "",
      }));
      totals[outcome.wrong.length === 0 ? "passed" : "failed"]++;
      console.log(`${outcome.wrong.length === 0 ? "✓" : "✗"} ${fault.name}: ${outcome.told}`);
      for (const line of outcome.wrong.slice(0, 5)) console.log(`    ${line}`);
    }
  }
  return totals;
}

/** A sample is without those that need root. */
function all(args: readonly string[]): readonly Fault[] {
  if (!args.includes("--sample")) return faults;
  const left = faults.filter(({ needs }) => needs.onHosts === true);
  console.log(`not in the sample: ${left.map((fault) => fault.name).join(" ")}`);
  return faults.filter((fault) => !left.includes(fault));
}

async function suffer(fault: Fault, lastsMs: number): Promise<{ wrong: string[]; told: string }> {
  const cluster = await Cluster.start({ kinds: ["ours", "ours", "ours"], ...fault.needs });
  const client = cluster.connect();
  try {
    const watch = new WatchRecord(client, "fault/");
    await watch.created;
    const leader = await cluster.leader();
    const victim = fault.victim === "leader" ? leader : await cluster.follower();
    const others = cluster.others(victim);
    const load = new Load({
      clients: () => others.map((member) => member.client),
      writers,
      prefix: "fault/",
      timeoutMs: (writer) => 1000 + 50 * writer,
      pauseMs: 10,
    });
    const reads = new FreshReads(cluster.members, others);
    load.start();
    reads.start();
    await load.more(100, loadTimeoutMs);

    const faultAt = performance.now();
    const heal = fault.inject(cluster, victim);
    const told: string[] = [];
    const wrong: string[] = [];
    if (fault.otherLeadsWithinMs !== undefined) {
      await until("another leader", fault.otherLeadsWithinMs, () => leading(others));
      told.push(`another led after ${seconds(performance.now() - faultAt)}`);
    }
    await delay(Math.max(0, faultAt + lastsMs - performance.now()));
    await load.more(50, loadTimeoutMs);
    for (const { name, process } of others) if (!process.isRunning) wrong.push(`${name} ended: ${process.logTail()}`);
    if (!victim.process.isRunning) {
      if (fault.mayEnd !== true) wrong.push(`${victim.name} ended: ${victim.process.logTail()}`);
      told.push("it ended");
    }
    if (fault.otherLeadsWithinMs !== undefined && (await statusOf(victim))?.leader === victim.id) {
      wrong.push(`${victim.name} believes that it leads`);
    }

    await heal();
    if (!victim.process.isRunning) await victim.process.boot();
    await until(`answer of ${victim.name}`, 30_000, () => answer(victim));
    const follower = await statusOf(victim);
    if (fault.otherLeadsWithinMs !== undefined && follower?.leader === victim.id) {
      wrong.push(`${victim.name} leads as soon as it is back`);
    }
    await load.more(50, loadTimeoutMs);
    await Promise.all([load.stop(), reads.stop()]);

    const gapMs = load.gapAfter(faultAt);
    told.push(`longest gap ${seconds(gapMs)}`, `${load.acknowledged.size} puts`, `${reads.answered} reads`);
    if (gapMs > fault.gapMaxMs) wrong.push(`no put for ${seconds(gapMs)}`);
    wrong.push(...reads.stale);
    for (const member of cluster.members) {
      wrong.push(...(await load.check(member.client)).map((text) => `${member.name}: ${text}`));
    }
    wrong.push(...(await watch.check(client)));
    await watch.close();
    const hashes = await cluster.hashes();
    if (new Set(hashes.map(({ hash }) => hash)).size !== 1) wrong.push(`they differ: ${JSON.stringify(hashes)}`);
    return { wrong, told: told.join(", ") };
  } finally {
    client.close();
    await cluster.close();
  }
}

async function leading(among: readonly ClusterMember[]): Promise<ClusterMember | undefined> {
  for (const member of among) {
    const status = await statusOf(member);
    if (status?.leader === member.id && member.id !== 0n) return member;
  }
  return undefined;
}

function answer(member: ClusterMember): Promise<unknown> {
  return member.client.kv.get("x", { timeoutMs: 1000 }).catch(() => undefined);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
