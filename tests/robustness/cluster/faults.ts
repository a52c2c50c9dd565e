/** What can be wrong with one member of a cluster, or with its links, while the others must keep serving. */

import type { DiskFault } from "../support/shim.js";
import { type Cluster, type ClusterMember, type ClusterOptions, delay } from "./cluster.js";
import type { Host } from "./network.js";

export interface Fault {
  readonly name: string;
  /** Whom it hits. */
  readonly victim: "leader" | "follower";
  /** What the cluster must be made of. */
  readonly needs: Pick<ClusterOptions, "proxied" | "faultyDisks" | "onHosts">;
  /** Milliseconds from the fault on within which another member must lead; undefined = the leader may stay. */
  readonly otherLeadsWithinMs?: number;
  /** The victim may end; an operator starts it again when the fault is over. */
  readonly mayEnd?: true;
  /** How long it lasts, in a sample and in full; milliseconds. */
  readonly lastsMs: { readonly sample: number; readonly full: number };
  /** Longest time without an acknowledged put on the others; milliseconds. */
  readonly gapMaxMs: number;
  /** Makes it happen; returns what ends it. */
  inject(cluster: Cluster, victim: ClusterMember): () => void | Promise<void>;
}

/** An election takes one to two election timeouts, twice that if votes are split; the rest is a busy machine. */
const electionMaxMs = 8000;
/** Of all packets between members. */
const lossShare = 0.2;

export const faults: readonly Fault[] = [
  diskFault("stalled-disk-of-leader", "leader", "hold", {
    otherLeadsWithinMs: electionMaxMs,
    lastsMs: { sample: 10_000, full: 30_000 },
  }),
  diskFault("stalled-disk-of-follower", "follower", "hold", { lastsMs: { sample: 5000, full: 30_000 } }),
  diskFault("slow-disk-of-leader", "leader", "slow 300"),
  diskFault("slow-disk-of-follower", "follower", "slow 300"),
  diskFault("full-disk-of-leader", "leader", "full", { otherLeadsWithinMs: electionMaxMs, mayEnd: true }),
  diskFault("full-disk-of-follower", "follower", "full", { mayEnd: true }),
  {
    name: "paused-leader",
    victim: "leader",
    needs: {},
    otherLeadsWithinMs: electionMaxMs,
    lastsMs: { sample: 5000, full: 5000 },
    gapMaxMs: electionMaxMs,
    inject: (_cluster, victim) => {
      const { pid } = victim.process;
      process.kill(pid, "SIGSTOP");
      return () => void process.kill(pid, "SIGCONT");
    },
  },
  oneWayFault("leader-is-not-heard", "leader", "out"),
  oneWayFault("leader-hears-nobody", "leader", "in"),
  oneWayFault("follower-hears-nobody", "follower", "in"),
  lostPackets("cut-off-host-of-leader", (leader, other) => [
    [leader, other],
    [other, leader],
  ]),
  lostPackets("mute-host-of-leader", (leader, other) => [[leader, other]]),
  lostPackets("deaf-host-of-leader", (leader, other) => [[other, leader]]),
  {
    name: "lossy-network",
    victim: "leader",
    needs: { onHosts: true },
    lastsMs: { sample: 5000, full: 30_000 },
    gapMaxMs: 2 * electionMaxMs,
    inject: (cluster) => {
      const { network } = cluster;
      const hosts = cluster.members.map(hostOf);
      for (const from of hosts) for (const to of hosts) if (from !== to) network.drop(from, to, lossShare);
      return () => network.heal();
    },
  },
  {
    name: "flapping-links",
    victim: "leader",
    needs: { proxied: true },
    lastsMs: { sample: 5000, full: 30_000 },
    gapMaxMs: electionMaxMs,
    inject: (cluster) => {
      let isOver = false;
      const flapping = (async () => {
        for (let i = 0; !isOver; i++) {
          cluster.members[i % cluster.members.length]?.link?.cut();
          await delay(150);
        }
      })();
      return () => {
        isOver = true;
        return flapping;
      };
    },
  },
];

/** All packets on the given ways between the host of the leader and each other are lost. */
function lostPackets(name: string, waysOf: (leader: Host, other: Host) => (readonly [from: Host, to: Host])[]): Fault {
  return {
    name,
    victim: "leader",
    needs: { onHosts: true },
    otherLeadsWithinMs: electionMaxMs,
    lastsMs: { sample: 5000, full: 30_000 },
    gapMaxMs: electionMaxMs,
    inject: (cluster, leader) => {
      const { network } = cluster;
      const ways = cluster.others(leader).flatMap((other) => waysOf(hostOf(leader), hostOf(other)));
      for (const [from, to] of ways) network.drop(from, to);
      return () => network.heal();
    },
  };
}

function hostOf({ name, host }: ClusterMember): Host {
  if (host === undefined) throw new Error(`${name} has no host of its own`);
  return host;
}

function diskFault(
  name: string,
  victim: Fault["victim"],
  kind: DiskFault,
  rest: Partial<Pick<Fault, "otherLeadsWithinMs" | "mayEnd" | "lastsMs">> = {},
): Fault {
  return {
    lastsMs: { sample: 5000, full: 15_000 },
    ...rest,
    name,
    victim,
    needs: { faultyDisks: true },
    gapMaxMs: electionMaxMs,
    inject: (_cluster, { disk }) => {
      if (disk === undefined) throw new Error("the cluster has no faulty disks");
      disk.fault = kind;
      return () => {
        disk.fault = undefined;
      };
    },
  };
}

/** What comes in to the victim, or goes out from it, does not arrive, whoever dialled. */
function oneWayFault(name: string, victim: Fault["victim"], direction: "in" | "out"): Fault {
  return {
    name,
    victim,
    needs: { proxied: true },
    ...(victim === "leader" && { otherLeadsWithinMs: electionMaxMs }),
    lastsMs: { sample: 5000, full: 15_000 },
    gapMaxMs: electionMaxMs,
    inject: (cluster, member) => {
      member.link?.hold({ direction });
      const dialled = { dialler: member.id.toString(16), direction: direction === "in" ? "out" : "in" } as const;
      for (const other of cluster.others(member)) other.link?.hold(dialled);
      return () => {
        for (const { link } of cluster.members) link?.hold();
      };
    },
  };
}
