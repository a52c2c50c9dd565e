/**
 * The leader of three is killed under load again and again: nothing acknowledged may be lost, and for how long no put
 * was acknowledged is printed.
 *
 *   node build/scripts/soak.js leader-kill [--kills 100]
 */

import { Cluster, until } from "../../tests/robustness/cluster/cluster.js";
import { Load, WatchRecord } from "../../tests/robustness/cluster/load.js";
import { option } from "../../tests/robustness/support/options.js";

/** Kills of one cluster, before a new one is begun: what is checked after each kill grows with the load so far. */
const killsPerCluster = 20;
const writers = 40;
/**
 * Milliseconds. A put that a follower passed on to the dead leader is lost, and its writer waits. Different and short
 * ones let some writer try again at any time, so that the gap ends when puts are possible, not when all writers wake at
 * once.
 */
const putTimeoutMs = (writer: number): number => 100 + 10 * writer;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const kills = option(args, "--kills", 100);
  const gaps: number[] = [];
  let failed = 0;
  while (gaps.length + failed < kills) {
    const left = Math.min(killsPerCluster, kills - gaps.length - failed);
    for (const outcome of await killLeaders(left)) {
      if (typeof outcome === "number") gaps.push(outcome);
      else {
        failed++;
        console.log(`✗ ${outcome}`);
      }
    }
    console.log(`${gaps.length} kills passed, ${failed} failed; ${describe(gaps)}`);
  }
  return { passed: gaps.length, failed };
}

/** For each kill the milliseconds without an acknowledged put, or what was wrong. */
async function killLeaders(kills: number): Promise<(number | string)[]> {
  const cluster = await Cluster.start({ kinds: ["ours", "ours", "ours"] });
  const client = cluster.connect();
  const outcomes: (number | string)[] = [];
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const prefix = `kill${kill}/`;
      const watch = new WatchRecord(client, prefix);
      await watch.created;
      const leader = await cluster.leader();
      const survivors = cluster.others(leader);
      const load = new Load({
        clients: () => survivors.map((member) => member.client),
        writers,
        prefix,
        timeoutMs: putTimeoutMs,
        pauseMs: 20,
      });
      load.start();
      await load.more(200);
      await leader.process.stop({ force: true });
      const killedAt = performance.now();
      await cluster.leader(survivors);
      await load.more(100);
      await load.stop();
      const gapMs = load.gapAfter(killedAt);
      await leader.process.boot();
      await until(`answer of ${leader.name}`, 20_000, () => leader.client.kv.get("x").catch(() => undefined));
      const wrong = [];
      for (const member of cluster.members) wrong.push(...(await load.check(member.client)));
      wrong.push(...(await watch.check(client)));
      await watch.close();
      const hashes = await cluster.hashes();
      if (new Set(hashes.map(({ hash }) => hash)).size !== 1)
        wrong.push(`the members differ: ${JSON.stringify(hashes)}`);
      outcomes.push(wrong.length === 0 ? gapMs : `kill ${kill}: ${wrong.slice(0, 5).join("; ")}`);
    }
  } finally {
    client.close();
    await cluster.close();
  }
  return outcomes;
}

function describe(gaps: readonly number[]): string {
  const sorted = gaps.toSorted((a, b) => a - b);
  const at = (fraction: number): string =>
    ((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0) / 1000).toFixed(2);
  return `gap in s: p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)}`;
}
