/**
 * Injects the faults of a run and does what its operators do. Never more than the cluster must survive: see `quorum`.
 */

import { cluster as clusterService, maintenance } from "@etcd-ts/api";
import { RaftState } from "@etcd-ts/raft";
import { Caller } from "./client.js";
import { type Cluster, type Node, peerUrlOf } from "./cluster.js";
import type { Answer, Request } from "./history.js";
import type { FaultKind, OperationKind, SimOptions } from "./options.js";
import type { SimRandom } from "./random.js";
import { quietDisk, type StorageStep } from "./sim-disk.js";
import { quietNetwork } from "./sim-network.js";
import { definiteCodes, type Workload } from "./workload.js";

const membersMax = 5;
/** A pause that began before the healing must end within what liveness allows. */
const faultMsMax = 20_000;
const operatorTimeoutMs = 20_000;
/** What a member that was killed at a change of members is down. */
const restartMs = 200;
/** Of the ids of leases granted in bursts, divided by 100: no client's. */
const burstLeaseRemainder = 99n;
/** How often an operator looks, once a second, whether a change without an answer was made. */
const lookupsMax = 20;
const crashFaults: ReadonlySet<FaultKind> = new Set(["kill", "power-loss", "power-loss-all"]);
/** When crashes come. */
const crashMoments: readonly ("now" | StorageStep)[] = ["now", "now", "sync", "sync", "rename", "commit"];

export interface NemesisPorts {
  readonly workload: Workload;
  revision(): number;
  note(event: string): void;
}

/** A fault or an operation of a run. */
export interface Step {
  /** `f` and the number of the fault, or `o` and that of the operation: what `only` selects. */
  readonly name: string;
  readonly atMs: number;
  readonly text: string;
}

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #random: SimRandom;
  readonly #options: SimOptions;
  readonly #ports: NemesisPorts;
  readonly #caller: Caller;
  /** What has happened, in order. */
  readonly steps: Step[] = [];
  #stopped = false;
  /** While it lasts, members are cut off when they stand for election, or soon after they have won it. */
  #muting: { readonly until: number; readonly random: SimRandom } | undefined;
  readonly #roles = new Map<Node, number>();
  #joined = 0;
  /** Leases granted in bursts. */
  #burst = 0;
  /** A member change is under way. */
  #changing = false;
  /**
   * The last but one voter may be left without word of the last removal if a message is lost, so that it never leads.
   */
  readonly #votersMin: number;
  readonly #mayKill: boolean;

  constructor(cluster: Cluster, random: SimRandom, options: SimOptions, ports: NemesisPorts) {
    this.#cluster = cluster;
    this.#random = random;
    this.#options = options;
    this.#ports = ports;
    this.#caller = new Caller(cluster.world, random, 0.3);
    this.#votersMin = options.faults.length === 0 ? 1 : 2;
    this.#mayKill = options.faults.some((kind) => crashFaults.has(kind));
  }

  start(): void {
    const { faults, operations } = this.#options;
    if (faults.includes("clock-rate")) {
      for (const node of this.#cluster.nodes) node.machine.clockRate = 0.95 + this.#random.fraction() * 0.1;
    }
    const { faultIntervalMs, operationIntervalMs } = this.#options;
    if (faults.length > 0) {
      const random = this.#random.split("faults");
      this.#plan("f", random, faultIntervalMs, (own) => this.#inject(own.pick(faults), own));
    }
    if (operations.length > 0) {
      const random = this.#random.split("operations");
      this.#plan("o", random, operationIntervalMs, (own) => this.#operate(own.pick(operations), own));
    }
  }

  /**
   * Steps at random times. Each draws from a stream of its own, so that the others stay as they are when it is left
   * out; the times do not depend on what happens.
   */
  #plan(prefix: string, random: SimRandom, intervalMs: number, step: (own: SimRandom) => string | undefined): void {
    let count = 0;
    const next = (): void => {
      this.#cluster.world.schedule(random.exponential(intervalMs), () => {
        if (this.#stopped) return;
        const name = `${prefix}${count++}`;
        const own = random.split(name);
        if (this.#options.only?.includes(name) !== false) {
          const text = step(own);
          if (text !== undefined) this.#note(name, text);
        }
        next();
      });
    };
    next();
  }

  #note(name: string, text: string): void {
    this.steps.push({ name, atMs: this.#cluster.world.now, text });
    this.#ports.note(`${name} ${text}`);
  }

  /** After every loop turn of a member. */
  turned(node: Node): void {
    const muting = this.#muting;
    if (muting === undefined || this.#stopped || this.#cluster.world.now > muting.until) return;
    const role = node.member?.raftStatus().softState.raftState ?? RaftState.follower;
    if (role === this.#roles.get(node)) return;
    this.#roles.set(node, role);
    if (role === RaftState.candidate && muting.random.chance(0.5)) this.#mute(node, muting.random);
    else if (role === RaftState.leader) {
      // About when the first of its entries have been answered, or later.
      const afterMs = muting.random.pick([2 * this.#cluster.fabric.faults.delayMs, this.#options.electionMs]);
      this.#later(muting.random.exponential(afterMs), () => this.#mute(node, muting.random));
    }
  }

  /** What it sends waits; what others send arrives. */
  #mute(node: Node, random: SimRandom): void {
    const { fabric, nodes } = this.#cluster;
    const others = nodes.filter((other) => other !== node);
    this.#ports.note(`mute ${node.name}`);
    for (const other of others) fabric.cut(node.machine.host, other.machine.host);
    this.#later(random.exponential(this.#options.electionMs * random.pick([2, 6])), () => {
      for (const other of others) fabric.join(node.machine.host, other.machine.host);
      this.#roles.delete(node);
    });
  }

  /** Ends all faults: everything is connected, quick and running again. */
  heal(): void {
    this.#stopped = true;
    this.#healNetwork();
    for (const node of this.#cluster.nodes) {
      node.diskFaults = quietDisk;
      this.#cluster.boot(node);
    }
  }

  #healNetwork(): void {
    this.#cluster.fabric.faults = quietNetwork;
    this.#cluster.fabric.heal();
  }

  /** A member that is there, now and then rather the leader. */
  #anyNode(random: SimRandom): Node {
    const isLeader = random.chance(this.#options.leaderChance);
    const node = random.pick(this.#cluster.nodes.filter((one) => !one.removed));
    return (isLeader ? this.#cluster.leader : undefined) ?? node;
  }

  #later(delayMs: number, action: () => void): void {
    this.#cluster.world.schedule(delayMs, () => {
      if (!this.#stopped) action();
    });
  }

  /** Returns what was done, in words. */
  #inject(kind: FaultKind, random: SimRandom): string {
    const node = this.#anyNode(random);
    // Short ones are common.
    const durationMs = Math.min(random.exponential(random.pick([200, 1000, 4000])), faultMsMax);
    const forSoLong = `for ${durationMs.toFixed(0)} ms`;
    const until = (action: () => void): string => {
      this.#later(durationMs, action);
      return `${kind} ${forSoLong}`;
    };
    const { fabric, nodes } = this.#cluster;
    switch (kind) {
      case "delay":
        fabric.faults = { ...fabric.faults, delayMs: random.pick([0.2, 5, 30, 100]) };
        return until(() => {
          fabric.faults = { ...fabric.faults, delayMs: quietNetwork.delayMs };
        });
      case "hold": {
        const [holdChance, holdMs] = [random.pick([0.01, 0.1]), random.pick([100, 1000, 5000])];
        fabric.faults = { ...fabric.faults, holdChance, holdMs };
        return until(() => {
          fabric.faults = { ...fabric.faults, holdChance: 0 };
        });
      }
      case "break":
        fabric.faults = { ...fabric.faults, breakChance: random.pick([0.001, 0.02]) };
        return until(() => {
          fabric.faults = { ...fabric.faults, breakChance: 0 };
        });
      case "isolate":
      case "one-way":
      case "split":
      case "ring": {
        for (const [from, to] of this.#linksToCut(kind, node, random)) fabric.cut(from.machine.host, to.machine.host);
        until(() => fabric.heal());
        return `${kind} ${node.name} ${forSoLong}`;
      }
      case "mute":
        this.#muting = { until: this.#cluster.world.now + 4 * durationMs, random };
        for (const one of nodes) this.#roles.delete(one);
        return `mute candidates and new leaders for ${(4 * durationMs).toFixed(0)} ms`;
      case "disk-slow":
        node.diskFaults = { ...node.diskFaults, latencyMs: random.pick([5, 30, 150]) };
        until(() => {
          node.diskFaults = { ...node.diskFaults, latencyMs: quietDisk.latencyMs };
        });
        break;
      case "disk-stall":
        node.diskFaults = { ...node.diskFaults, stallChance: 0.05, stallMs: random.pick([500, 3000, 20_000]) };
        until(() => {
          node.diskFaults = { ...node.diskFaults, stallChance: 0 };
        });
        break;
      case "sync-error":
        // With the greater one a start fails as well.
        node.diskFaults = { ...node.diskFaults, syncErrorChance: random.pick([0.05, 0.5]) };
        until(() => {
          node.diskFaults = { ...node.diskFaults, syncErrorChance: 0 };
        });
        break;
      case "kill":
      case "power-loss": {
        const losesPower = kind === "power-loss";
        const when = this.#aim(node, random, () => this.#cluster.crash(node, { losesPower, downMs: durationMs }));
        return `${kind} ${node.name} ${forSoLong}${when}`;
      }
      case "power-loss-all": {
        const when = this.#aim(node, random, () => {
          for (const one of nodes) {
            const downMs = random.exponential(durationMs);
            this.#cluster.crash(one, { losesPower: true, downMs });
          }
        });
        return `${kind}${when}`;
      }
      case "pause":
        node.running?.incarnation.pause(durationMs);
        break;
      case "clock-rate":
        return "clock-rate";
      case "wall-jump":
        node.machine.wallOffsetMs += (random.fraction() - 0.5) * 7_200_000;
        return `wall-jump ${node.name}`;
    }
    return `${kind} ${node.name} ${forSoLong}`;
  }

  /**
   * Runs `crash` now, or about the member's next step of some kind: few crashes would come while a write is on its way,
   * or between a rename and the sync of its directory, and these are the ones that matter. Says when, in words.
   */
  #aim(node: Node, random: SimRandom, crash: () => void): string {
    const moment = random.pick(crashMoments);
    if (moment === "now") {
      crash();
      return "";
    }
    // Segments are common, so that other renames would never be met.
    const step = moment === "rename" && random.chance(0.5) ? "switch" : moment;
    const delayMs = this.#aimAt(step, node, random, crash);
    return ` ${delayMs.toFixed(1)} ms after its next ${step}`;
  }

  /** Returns how long after the step, in virtual milliseconds. */
  #aimAt(step: StorageStep, node: Node, random: SimRandom, crash: () => void): number {
    const delayMs = random.exponential(random.pick([0.5, 5]) * node.diskFaults.latencyMs);
    node.machine.aim = { step, reached: () => this.#later(delayMs, crash) };
    return delayMs;
  }

  #linksToCut(
    kind: "isolate" | "one-way" | "split" | "ring",
    node: Node,
    random: SimRandom,
  ): readonly (readonly [Node, Node])[] {
    const { nodes } = this.#cluster;
    const pairs = nodes.flatMap((from) => nodes.map((to) => [from, to] as const)).filter(([from, to]) => from !== to);
    switch (kind) {
      case "isolate":
        return pairs.filter(([from, to]) => from === node || to === node);
      case "one-way": {
        const isOutgoing = random.chance(0.5);
        return pairs.filter(([from, to]) => (isOutgoing ? from : to) === node);
      }
      case "split": {
        const side = new Set(nodes.filter(() => random.chance(0.5)));
        return pairs.filter(([from, to]) => side.has(from) !== side.has(to));
      }
      case "ring":
        // Each reaches only its neighbours.
        return pairs.filter(([from, to]) => {
          const [i, j] = [nodes.indexOf(from), nodes.indexOf(to)];
          const distance = Math.min((i - j + nodes.length) % nodes.length, (j - i + nodes.length) % nodes.length);
          return distance > 1 || (nodes.length === 3 && i + j === 2);
        });
    }
  }

  #operate(kind: OperationKind, random: SimRandom): string | undefined {
    const { serving } = this.#cluster;
    if (serving.length === 0) return undefined;
    const node = random.pick(serving);
    if (kind === "compact") return this.#compact(node, random);
    if (kind === "lease-burst") return this.#burstLeases(random);
    return kind === "move-leader" ? this.#moveLeader(random) : this.#changeMembers(node, random);
  }

  #compact(node: Node, random: SimRandom): string | undefined {
    const revision = this.#ports.revision() + 5 - random.integer(random.pick([10, 100]));
    if (revision < 1) return undefined;
    this.#ports.workload.call(node, { kind: "compact", revision }, () => {});
    return `compact ${revision}`;
  }

  /**
   * Leases that are renewed about when they expire: more of them than are revoked at a time. Granted one after the other,
   * so that few entries are on their way: see `snapshotCatchupEntries`.
   */
  #burstLeases(random: SimRandom): string | undefined {
    if (!this.#options.leases) return undefined;
    const count = random.pick([4, 40]);
    const ttl = random.between(1, 3);
    const call = (request: Request, done: (answer: Answer) => void): void => {
      const { serving } = this.#cluster;
      if (serving.length > 0) this.#ports.workload.call(random.pick(serving), request, done);
    };
    const grant = (left: number): void => {
      if (left === 0 || this.#stopped) return;
      const lease = BigInt(++this.#burst) * 100n + burstLeaseRemainder;
      const lateMs = random.exponential(500) - 200;
      call({ kind: "grant", lease, ttl }, (answer) => {
        if (answer.kind !== "ok") return;
        this.#later(answer.ttl * 1000 + lateMs, () => call({ kind: "keep-alive", lease }, () => {}));
        grant(left - 1);
      });
    };
    grant(count);
    return `${count} leases of ${ttl} s`;
  }

  #moveLeader(random: SimRandom): string | undefined {
    const { leader, serving } = this.#cluster;
    const target = random.pick(serving);
    if (leader?.serving !== true || target.member === undefined) return undefined;
    const { memberId: targetId } = target.member;
    this.#caller.unary(leader, maintenance.moveLeader, { targetId }, operatorTimeoutMs, () => {});
    return `move leader to ${target.name}`;
  }

  #changeMembers(node: Node, random: SimRandom): string | undefined {
    if (this.#changing) return undefined;
    const members = this.#cluster.nodes.filter((one) => !one.removed);
    const done = (): void => {
      this.#changing = false;
    };
    const mayAdd = members.length < membersMax && this.#joined < 3;
    const mayRemove = (node.member?.membership.voters().length ?? 0) > this.#votersMin;
    if (!mayAdd && !mayRemove) return undefined;
    this.#changing = true;
    if (mayAdd && (!mayRemove || random.chance(0.6))) return this.#add(node, random, done);
    return this.#remove(node, random.pick(members), done);
  }

  /** Adds a member, mostly a learner that is promoted later, and starts it. */
  #add(node: Node, random: SimRandom, done: () => void): string {
    const name = `j${++this.#joined}`;
    const url = peerUrlOf(name);
    const isLearner = random.chance(0.6);
    const request = { peerUrls: [url], isLearner };
    // The new member meets those that do not know it, and the one that does is gone for a while.
    const isKilled = this.#mayKill && random.chance(0.5);
    if (isKilled) this.#muteToLearners(node, random);
    this.#caller.unary(node, clusterService.memberAdd, request, operatorTimeoutMs, (outcome) => {
      if (outcome.kind === "lost" || (outcome.kind === "refused" && !definiteCodes.has(outcome.code)))
        return this.#startIfAdded(name, url, lookupsMax, done);
      if (outcome.kind !== "ok") return done();
      const initialCluster = outcome.response.members
        .flatMap(({ peerUrls }) => peerUrls.map((peerUrl) => `${new URL(peerUrl).hostname}=${peerUrl}`))
        .join(",");
      this.#cluster.join(name, initialCluster);
      if (isKilled) this.#cluster.crash(node, { losesPower: false, downMs: restartMs });
      const added = outcome.response.member;
      const staysLearner = random.chance(0.5);
      if (!isLearner || added === undefined || staysLearner) return done();
      this.#later(1000 + random.exponential(2000), () => {
        const { serving } = this.#cluster;
        if (serving.length === 0) return done();
        this.#ports.note(`promote ${name}`);
        const target = random.pick(serving);
        this.#caller.unary(target, clusterService.memberPromote, { id: added.id }, operatorTimeoutMs, done);
      });
    });
    return `add ${name} learner=${isLearner}`;
  }

  /** Whether it was added nobody knows: who did it looks now and then, also when all is healed. */
  #startIfAdded(name: string, url: string, lookups: number, done: () => void): void {
    const known = this.#cluster.serving.flatMap(({ member }) => member?.membership.members() ?? []);
    if (known.some(({ peerUrls }) => peerUrls.includes(url))) {
      this.#ports.note(`${name} was added after all`);
      this.#cluster.join(name, this.#cluster.describeMembers() ?? "");
      return done();
    }
    if (lookups === 0) return done();
    this.#cluster.world.schedule(1000, () => this.#startIfAdded(name, url, lookups - 1, done));
  }

  /** What a member sends to learners waits. */
  #muteToLearners(node: Node, random: SimRandom): void {
    const { fabric, nodes } = this.#cluster;
    const learners = nodes.filter(({ member }) => member?.isLearner === true);
    for (const learner of learners) fabric.cut(node.machine.host, learner.machine.host);
    this.#later(random.exponential(2000), () => {
      for (const learner of learners) fabric.join(node.machine.host, learner.machine.host);
    });
  }

  #remove(node: Node, victim: Node, done: () => void): string | undefined {
    const id = victim.member?.memberId;
    if (id === undefined) {
      done();
      return undefined;
    }
    this.#caller.unary(node, clusterService.memberRemove, { id }, operatorTimeoutMs, (outcome) => {
      if (outcome.kind === "ok") this.#cluster.retire(victim);
      done();
    });
    return `remove ${victim.name}`;
  }
}
