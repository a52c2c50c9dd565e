/** Injects the faults of a run and does what its operators do. Never more than the cluster must survive: see `quorum`. */

import { cluster as clusterService, maintenance } from "@etcd-ts/api";
import { Caller } from "./client.js";
import { type Cluster, type Node, peerUrlOf } from "./cluster.js";
import type { FaultKind, SimOptions } from "./options.js";
import type { SimRandom } from "./random.js";
import { quietDisk } from "./sim-disk.js";
import { quietNetwork } from "./sim-network.js";
import type { Workload } from "./workload.js";

const membersMax = 5;
const operatorTimeoutMs = 20_000;

export interface NemesisPorts {
  readonly workload: Workload;
  revision(): number;
  note(event: string): void;
}

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #random: SimRandom;
  readonly #options: SimOptions;
  readonly #ports: NemesisPorts;
  readonly #caller: Caller;
  #stopped = false;
  #joined = 0;
  /** A member change is under way. */
  #changing = false;
  /** The last but one voter may be left without word of the last removal if a message is lost, so that it never leads. */
  readonly #votersMin: number;

  constructor(cluster: Cluster, random: SimRandom, options: SimOptions, ports: NemesisPorts) {
    this.#cluster = cluster;
    this.#random = random;
    this.#options = options;
    this.#ports = ports;
    this.#caller = new Caller(cluster.world, random, 0.3);
    this.#votersMin = options.faults.length === 0 ? 1 : 2;
  }

  start(): void {
    const { faults, operations } = this.#options;
    if (faults.includes("clock-rate")) {
      for (const node of this.#cluster.nodes) node.machine.clockRate = 0.95 + this.#random.fraction() * 0.1;
    }
    if (faults.length > 0) this.#nextFault();
    if (operations.length > 0) this.#nextOperation();
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

  #nextFault(): void {
    this.#cluster.world.schedule(this.#random.exponential(this.#options.faultIntervalMs), () => {
      if (this.#stopped) return;
      const kind = this.#random.pick(this.#options.faults);
      this.#inject(kind);
      this.#nextFault();
    });
  }

  #anyNode(): Node {
    return this.#random.pick(this.#cluster.nodes.filter((node) => !node.removed));
  }

  /** Until when a fault lasts: short ones are common. */
  #duration(): number {
    return this.#random.exponential(this.#random.pick([200, 1000, 4000]));
  }

  #later(delayMs: number, action: () => void): void {
    this.#cluster.world.schedule(delayMs, () => {
      if (!this.#stopped) action();
    });
  }

  #inject(kind: FaultKind): void {
    const { fabric, nodes } = this.#cluster;
    const random = this.#random;
    const node = this.#anyNode();
    const host = (one: Node): string => one.machine.host;
    this.#ports.note(`${kind} ${node.name}`);
    switch (kind) {
      case "delay":
        fabric.faults = { ...fabric.faults, delayMs: random.pick([0.2, 5, 30, 100]) };
        return this.#later(this.#duration(), () => {
          fabric.faults = { ...fabric.faults, delayMs: quietNetwork.delayMs };
        });
      case "hold":
        fabric.faults = {
          ...fabric.faults,
          holdChance: random.pick([0.01, 0.1]),
          holdMs: random.pick([100, 1000, 5000]),
        };
        return this.#later(this.#duration(), () => {
          fabric.faults = { ...fabric.faults, holdChance: 0 };
        });
      case "break":
        fabric.faults = { ...fabric.faults, breakChance: random.pick([0.001, 0.02]) };
        return this.#later(this.#duration(), () => {
          fabric.faults = { ...fabric.faults, breakChance: 0 };
        });
      case "isolate":
        for (const other of nodes) {
          fabric.cut(host(node), host(other));
          fabric.cut(host(other), host(node));
        }
        return this.#later(this.#duration(), () => fabric.heal());
      case "split": {
        const side = new Set(nodes.filter(() => random.chance(0.5)));
        for (const a of side) {
          for (const b of nodes) {
            if (side.has(b)) continue;
            fabric.cut(host(a), host(b));
            fabric.cut(host(b), host(a));
          }
        }
        return this.#later(this.#duration(), () => fabric.heal());
      }
      case "one-way": {
        const isOutgoing = random.chance(0.5);
        for (const other of nodes) {
          if (isOutgoing) fabric.cut(host(node), host(other));
          else fabric.cut(host(other), host(node));
        }
        return this.#later(this.#duration(), () => fabric.heal());
      }
      case "ring":
        // Each reaches only its neighbours.
        for (const [i, a] of nodes.entries()) {
          for (const [j, b] of nodes.entries()) {
            const distance = Math.min((i - j + nodes.length) % nodes.length, (j - i + nodes.length) % nodes.length);
            if (distance > 1 || (nodes.length === 3 && i + j === 2)) fabric.cut(host(a), host(b));
          }
        }
        return this.#later(this.#duration(), () => fabric.heal());
      case "disk-slow":
        node.diskFaults = { ...node.diskFaults, latencyMs: random.pick([5, 30, 150]) };
        return this.#later(this.#duration(), () => {
          node.diskFaults = { ...node.diskFaults, latencyMs: quietDisk.latencyMs };
        });
      case "disk-stall":
        node.diskFaults = { ...node.diskFaults, stallChance: 0.05, stallMs: random.pick([500, 3000, 20_000]) };
        return this.#later(this.#duration(), () => {
          node.diskFaults = { ...node.diskFaults, stallChance: 0 };
        });
      case "sync-error":
        node.diskFaults = { ...node.diskFaults, syncErrorChance: 0.05 };
        return this.#later(this.#duration(), () => {
          node.diskFaults = { ...node.diskFaults, syncErrorChance: 0 };
        });
      case "kill":
        return this.#cluster.crash(node, { losesPower: false, downMs: this.#duration() });
      case "power-loss":
        return this.#cluster.crash(node, { losesPower: true, downMs: this.#duration() });
      case "power-loss-all":
        for (const one of nodes) this.#cluster.crash(one, { losesPower: true, downMs: this.#duration() });
        return;
      case "pause":
        return node.running?.incarnation.pause(this.#duration());
      case "clock-rate":
        return;
      case "wall-jump":
        node.machine.wallOffsetMs += (random.fraction() - 0.5) * 7_200_000;
        return;
    }
  }

  #nextOperation(): void {
    this.#cluster.world.schedule(this.#random.exponential(700), () => {
      if (this.#stopped) return;
      const kind = this.#random.pick(this.#options.operations);
      const { serving } = this.#cluster;
      const node = serving.length === 0 ? undefined : this.#random.pick(serving);
      if (node !== undefined) {
        if (kind === "compact") this.#compact(node);
        else if (kind === "move-leader") this.#moveLeader();
        else this.#changeMembers(node);
      }
      this.#nextOperation();
    });
  }

  #compact(node: Node): void {
    const revision = this.#ports.revision() + 5 - this.#random.integer(this.#random.pick([10, 100]));
    if (revision < 1) return;
    this.#ports.note(`compact ${revision}`);
    this.#ports.workload.call(node, { kind: "compact", revision }, () => {});
  }

  #moveLeader(): void {
    const { leader, serving } = this.#cluster;
    const target = serving.length === 0 ? undefined : this.#random.pick(serving).member;
    if (leader?.serving !== true || target === undefined) return;
    const { memberId: targetId } = target;
    this.#ports.note("move leader");
    this.#caller.unary(leader, maintenance.moveLeader, { targetId }, operatorTimeoutMs, () => {});
  }

  #changeMembers(node: Node): void {
    if (this.#changing) return;
    const members = this.#cluster.nodes.filter((one) => !one.removed);
    this.#changing = true;
    const done = (): void => {
      this.#changing = false;
    };
    if (members.length < membersMax && this.#joined < 3 && this.#random.chance(0.6)) this.#add(node, done);
    else if ((node.member?.membership.voters().length ?? 0) > this.#votersMin)
      this.#remove(node, this.#random.pick(members), done);
    else done();
  }

  /** Adds a member, mostly a learner that is promoted later, and starts it. */
  #add(node: Node, done: () => void): void {
    const name = `j${++this.#joined}`;
    const url = peerUrlOf(name);
    const isLearner = this.#random.chance(0.6);
    const request = { peerUrls: [url], isLearner };
    this.#ports.note(`add ${name} learner=${isLearner}`);
    this.#caller.unary(node, clusterService.memberAdd, request, operatorTimeoutMs, (outcome) => {
      if (outcome.kind !== "ok") return done();
      const initialCluster = outcome.response.members
        .flatMap(({ peerUrls }) => peerUrls.map((peerUrl) => `${new URL(peerUrl).hostname}=${peerUrl}`))
        .join(",");
      this.#cluster.join(name, initialCluster);
      const added = outcome.response.member;
      if (!isLearner || added === undefined) return done();
      this.#later(1000 + this.#random.exponential(2000), () => {
        const { serving } = this.#cluster;
        if (serving.length === 0) return done();
        this.#ports.note(`promote ${name}`);
        const target = this.#random.pick(serving);
        this.#caller.unary(target, clusterService.memberPromote, { id: added.id }, operatorTimeoutMs, done);
      });
    });
  }

  #remove(node: Node, victim: Node, done: () => void): void {
    const id = victim.member?.memberId;
    if (id === undefined) return done();
    this.#ports.note(`remove ${victim.name}`);
    this.#caller.unary(node, clusterService.memberRemove, { id }, operatorTimeoutMs, (outcome) => {
      if (outcome.kind === "ok") this.#cluster.retire(victim);
      done();
    });
  }
}
