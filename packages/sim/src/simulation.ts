/**
 * One run: a safety phase, in which anything of the run's faults may happen and nothing wrong may be seen, then a
 * liveness phase, in which all is healed and the cluster must come to rest, complete and equal on all members, in time.
 */

import { kv, maintenance } from "@etcd-ts/api";
import type { ConfState } from "@etcd-ts/raft";
import { Auditor } from "./auditor.js";
import { Caller } from "./client.js";
import { Cluster, type Node } from "./cluster.js";
import type { Fact } from "./history.js";
import { isLinearizable, registersOf } from "./linearizability.js";
import { Nemesis, type Step } from "./nemesis.js";
import type { SimOptions } from "./options.js";
import { RaftAuditor } from "./raft-auditor.js";
import { SimRandom } from "./random.js";
import { Workload } from "./workload.js";
import { World } from "./world.js";

export interface RunResult {
  readonly options: SimOptions;
  /** The first property that did not hold; undefined when all did. */
  readonly violation: string | undefined;
  readonly traceHash: number;
  /** Virtual milliseconds. */
  readonly virtualMs: number;
  readonly events: number;
  readonly entries: number;
  readonly answers: number;
  readonly revision: number;
  /** Its faults and operations. */
  readonly steps: readonly Step[];
}

export interface RunOptions {
  /** Lines about what happens. */
  readonly log?: (line: string) => void;
  /** Takes every fact, to be judged again. */
  readonly record?: (fact: Fact) => void;
}

const clockRateMax = 1.06;

export async function simulate(options: SimOptions, { log, record }: RunOptions = {}): Promise<RunResult> {
  const world = new World({ livelocked: (reason) => report(reason) });
  const random = new SimRandom(options.seed, "run");
  let violation: string | undefined;
  const report = (reason: string): void => {
    if (violation !== undefined) return;
    violation = `at ${world.now.toFixed(1)} ms: ${reason}`;
    world.stop();
  };
  const say = (line: string): void => log?.(`${world.now.toFixed(1).padStart(9)} ${line}`);

  /** For the search at the end. */
  const calls: Fact[] = [];
  const auditor = new Auditor({ clockRateMax, violation: report });
  const observe = (fact: Fact): void => {
    record?.(fact);
    if (!options.leases && (fact.kind === "invoke" || fact.kind === "return")) calls.push(fact);
    if (log !== undefined) say(describeFact(fact));
    auditor.observe(fact);
  };
  const raft = new RaftAuditor(options.members, {
    committed: ({ index, term, data, type }) =>
      observe({ kind: "commit", index, term, data: type === 0 ? data : undefined, at: world.now }),
    revisionAt: (index) => auditor.model.revisionAt(index),
    violation: report,
  });
  const cluster = new Cluster(world, random.split("cluster"), options, {
    violation: report,
    turned: (node, running) => {
      raft.turned(node, running);
      nemesis.turned(node);
    },
    log: (node, level, message, fields) => {
      if (log !== undefined)
        say(`${node.name} ${level} ${message} ${fields === undefined ? "" : JSON.stringify(fields)}`);
    },
  });
  const workload = new Workload(cluster, random.split("workload"), options, {
    observe,
    revision: () => auditor.model.revision,
    compactRevision: () => auditor.model.compactRevision,
    watchNext: (id) => auditor.watch(id)?.next ?? 0,
    watchEnded: (id) => auditor.watch(id)?.ended ?? true,
    violation: report,
  });
  const nemesis = new Nemesis(cluster, random.split("nemesis"), options, {
    workload,
    revision: () => auditor.model.revision,
    note: (event) => say(`-- ${event}`),
  });

  const result = (): RunResult => ({
    options,
    violation,
    traceHash: world.traceHash,
    virtualMs: world.now,
    events: world.eventCount,
    entries: auditor.model.index,
    answers: auditor.answers,
    revision: auditor.model.revision,
    steps: nemesis.steps,
  });

  cluster.start();
  workload.start();
  nemesis.start();
  await world.runUntil(options.seconds * 1000);
  if (violation !== undefined) return result();

  say("-- heal");
  nemesis.heal();
  workload.calm();
  const caller = new Caller(world, random.split("liveness"), 0.3);
  const healedAt = world.now;
  await untilCalm();
  for (const node of cluster.nodes) node.running?.incarnation.kill();
  if (violation === undefined && registersOf(calls).some((register) => isLinearizable(register) === "no")) {
    report("no order of the calls on a key explains their answers");
  }
  return result();

  /** The first put after the healing must succeed within ten election timeouts, beside what a paused member needs. */
  async function untilCalm(): Promise<void> {
    const limitMs = 10 * options.electionMs + livenessGraceMs;
    const deadline = healedAt + limitMs;
    let putRevision = 0;
    const put = (): void => {
      const node = cluster.serving.find(
        ({ running, member }) => running?.incarnation.paused === false && member?.isLearner === false,
      );
      if (putRevision > 0) return;
      if (node === undefined) return void world.schedule(50, put);
      const request = { key: new TextEncoder().encode("z"), value: new Uint8Array(1) };
      caller.unary(node, kv.put, request, 3000, (outcome) => {
        if (outcome.kind === "ok") putRevision = outcome.response.header?.revision ?? 0;
        else world.schedule(50, put);
      });
    };
    put();
    while (world.now < deadline && violation === undefined) {
      await world.runUntil(Math.min(world.now + options.electionMs / 4, deadline));
      if (putRevision > 0 && unsettled(putRevision) === undefined) break;
    }
    if (violation !== undefined) return;
    const reason = putRevision === 0 ? "no put succeeds" : unsettled(putRevision);
    if (reason !== undefined) return report(`not converged ${limitMs} ms after the healing: ${reason}`);
    await compareHashes();
  }

  /** Why the cluster has not come to rest; undefined when it has. */
  function unsettled(revision: number): string | undefined {
    const members = cluster.nodes.filter((node) => !node.removed);
    const leaders = members.filter((node) => node.member?.isLeader === true);
    if (leaders.length !== 1) return `${leaders.length} leaders`;
    for (const node of members) {
      const { member } = node;
      if (member === undefined || !node.serving) return `${node.name} is not serving`;
      if (member.leader !== leaders[0]?.member?.memberId) return `${node.name} does not know the leader`;
      if (member.appliedIndex < raft.commitIndex)
        return `${node.name} has applied ${member.appliedIndex} of ${raft.commitIndex}`;
      if (member.mvcc.currentRevision() < revision) return `${node.name} is behind`;
    }
    const pending = workload.pendingCalls;
    if (pending > 0) return `${pending} calls are not answered`;
    // Nobody keeps them alive any more.
    const leases = auditor.model.leaseIds();
    if (leases.length > 0) return `${leases.length} leases have not expired`;
    for (const id of workload.openWatches()) if (auditor.watch(id)?.isBehind === true) return `watch ${id} is behind`;
    return undefined;
  }

  /** What a hash of keys does not cover. */
  function compareTables(nodes: readonly Node[]): void {
    const tables = new Map<string, string>();
    const leader = nodes.find(({ member }) => member?.isLeader === true)?.member;
    for (const { name, member } of nodes) {
      // One that has been removed may not have heard of it.
      if (member === undefined || leader?.membership.isRemoved(member.memberId) === true) continue;
      const { voters, learners } = member.raftStatus().confState;
      const [table, applied] = [
        describeConfState(member.membership.confState()),
        describeConfState({ voters, learners }),
      ];
      if (table !== applied) report(`${name} has ${applied} in raft and ${table} in its member table`);
      if (member.lessor.count > 0) report(`${name} has ${member.lessor.count} leases that were revoked`);
      tables.set(name, table);
    }
    if (new Set(tables.values()).size > 1) report(`members differ in who they are: ${JSON.stringify([...tables])}`);
  }

  async function compareHashes(): Promise<void> {
    // Learners are not asked for anything.
    const members = cluster.nodes.filter((node) => node.serving && node.member?.isLearner === false);
    if (members.some((node) => node.member?.alarms.has(corruptAlarm))) return report("the alarm CORRUPT was raised");
    const revision = Math.min(...members.map((node) => node.member?.mvcc.currentRevision() ?? 0));
    const hashes = new Map<string, number>();
    for (const node of members) {
      caller.unary(node, maintenance.hashKv, { revision }, 5000, (outcome) => {
        if (outcome.kind !== "ok") return report(`${node.name} has no hash: ${JSON.stringify(outcome)}`);
        hashes.set(`${node.name} at ${outcome.response.compactRevision}`, outcome.response.hash);
        if (hashes.size === members.length) world.stop();
      });
    }
    await world.runUntil(world.now + 6000);
    if (violation !== undefined) return;
    compareTables(members);
    if (hashes.size < members.length) return report("a hash was not answered");
    if (new Set(hashes.values()).size > 1)
      report(`hashes at revision ${revision} differ: ${JSON.stringify([...hashes])}`);
  }
}

const corruptAlarm = 2;
/** What a healed cluster needs besides elections: pauses and stalls that end, restarts, the retries of dialling. */
const livenessGraceMs = 30_000;

function describeConfState({ voters, learners }: Pick<ConfState, "voters" | "learners">): string {
  const ids = (list: readonly bigint[]): string =>
    list
      .map((id) => id.toString(16))
      .sort()
      .join(",");
  return `voters ${ids(voters)} learners ${ids(learners) || "none"}`;
}

function describeFact(fact: Fact): string {
  return JSON.stringify(fact, (name, value: unknown) => {
    if (name === "data") return undefined;
    return typeof value === "bigint" ? String(value) : value;
  });
}
