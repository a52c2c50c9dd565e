/** A cluster of real processes on this machine, ours or Go's, each behind a proxy or on a host of its own if asked. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdClient } from "@etcd-ts/client";
import { Member } from "../../interop/support/member.js";
import { freePort } from "../../interop/support/ports.js";
import { PeerLink } from "../proxy/peer-link.js";
import { FaultyDisk, repository } from "../support/shim.js";
import { type Host, Network } from "./network.js";

/** Who wrote the program. */
export type Kind = "ours" | "go";

export const commands: Readonly<Record<Kind, readonly string[]>> = {
  ours: ["node", join(repository, "bin/etcd")],
  go: [join(repository, "tests/interop/bin/server")],
};

export interface ClusterOptions {
  /** One for each member. */
  readonly kinds: readonly Kind[];
  /** A proxy in front of each peer port. */
  readonly proxied?: boolean;
  /** Each member runs on a host of its own (see network.ts), not on this one. */
  readonly onHosts?: boolean;
  /** Each member runs on a disk that can be made to fail; needs a C compiler. */
  readonly faultyDisks?: boolean;
  readonly flags?: readonly string[];
  /** Of peer URLs; `https` needs flags that name certificates. */
  readonly scheme?: "http" | "https";
}

/** One member with what is known of it. */
export interface ClusterMember {
  readonly name: string;
  readonly kind: Kind;
  readonly process: Member;
  readonly peerUrl: string;
  readonly link: PeerLink | undefined;
  readonly disk: FaultyDisk | undefined;
  readonly host: Host | undefined;
  /** Talks to this member only. */
  readonly client: EtcdClient;
  id: bigint;
}

interface Place {
  readonly name: string;
  readonly kind: Kind;
  readonly peerPort: number;
  readonly peerUrl: string;
  readonly link: PeerLink | undefined;
  readonly host: Host | undefined;
}

/** This host, for members that have none of their own. */
const localAddress = "127.0.0.1";
const pollMs = 20;
const leaderTimeoutMs = 30_000;

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #members: ClusterMember[] = [];
  #network: Network | undefined;
  #named = 0;
  /** Parent of the faulty disks. */
  #disks: string | undefined;

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      const places = await Promise.all(options.kinds.map((kind) => cluster.#place(kind)));
      const initial = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
      cluster.#members.push(...(await Promise.all(places.map((place) => cluster.#start(place, initial, "new")))));
      await cluster.#learnIds();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get members(): readonly ClusterMember[] {
    return this.#members;
  }

  /** That the members' hosts are on. */
  get network(): Network {
    this.#network ??= Network.create();
    return this.#network;
  }

  get endpoints(): string[] {
    return this.#members.map(({ process }) => process.endpoint);
  }

  /** A client of all members; the caller closes it. */
  connect(): EtcdClient {
    return new EtcdClient({ endpoints: this.endpoints, dialTimeoutMs: 1000 });
  }

  others(member: ClusterMember): ClusterMember[] {
    return this.#members.filter((other) => other !== member);
  }

  /** Waits until a member of `among` leads and says so itself. */
  async leader(among: readonly ClusterMember[] = this.#members): Promise<ClusterMember> {
    return until("a leader", leaderTimeoutMs, async () => {
      for (const member of among) {
        const status = await statusOf(member);
        if (status !== undefined && status.leader !== 0n && status.leader === member.id) return member;
      }
      return undefined;
    });
  }

  async follower(): Promise<ClusterMember> {
    const leader = await this.leader();
    return this.others(leader)[0]!;
  }

  /** Makes a member lead. */
  async moveLeader(target: ClusterMember): Promise<void> {
    const leader = await this.leader();
    if (leader === target) return;
    await leader.client.maintenance.moveLeader(target.id);
    await this.leader([target]);
  }

  /** Adds a member and starts it. */
  async add(kind: Kind, options: { readonly learner?: boolean } = {}): Promise<ClusterMember> {
    const place = await this.#place(kind);
    const through = (await this.leader()).client;
    const added = await until("a healthy cluster", 30_000, () =>
      through.cluster.memberAdd([place.peerUrl], { learner: options.learner ?? false }).catch((error: Error) => {
        // Members count as healthy only after five seconds.
        if (/unhealthy cluster/.test(error.message)) return undefined;
        throw error;
      }),
    );
    const initial = added.members
      .map((member) => `${member.id === added.member?.id ? place.name : member.name}=${member.peerUrls[0]}`)
      .join();
    const member = await this.#start(place, initial, "existing");
    member.id = added.member?.id ?? 0n;
    this.#members.push(member);
    return member;
  }

  /** Removes a member from the cluster and ends its process. */
  async remove(member: ClusterMember): Promise<void> {
    const rest = this.others(member);
    const through = rest[0]!.client;
    await until("a healthy cluster", 30_000, () =>
      through.cluster.memberRemove(member.id).catch((error: Error) => {
        if (/unhealthy cluster/.test(error.message)) return undefined;
        throw error;
      }),
    );
    this.#members.splice(this.#members.indexOf(member), 1);
    await dispose(member);
  }

  /** Waits until all members (or those given) have applied what the first has; returns its revision. */
  async caughtUp(members: readonly ClusterMember[] = this.#members): Promise<number> {
    const { header } = await members[0]!.client.kv.get("x", { countOnly: true });
    for (const member of members) {
      await until(`${member.name} at revision ${header.revision}`, 20_000, async () => {
        const answer = await member.client.kv.get("x", { countOnly: true, serializable: true }).catch(() => undefined);
        return answer !== undefined && answer.header.revision >= header.revision ? true : undefined;
      });
    }
    return header.revision;
  }

  /** The hash of all revisions up to now, of each member. */
  async hashes(): Promise<{ readonly name: string; readonly hash: number }[]> {
    const revision = await this.caughtUp();
    return Promise.all(
      this.#members.map(async ({ name, client }) => ({
        name,
        hash: (await client.maintenance.hashKv({ revision })).hash,
      })),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.splice(0).map(dispose));
    this.#network?.close();
    if (this.#disks !== undefined) rmSync(this.#disks, { recursive: true, force: true });
  }

  async #place(kind: Kind): Promise<Place> {
    const name = `${kind}${++this.#named}`;
    const peerPort = await freePort();
    const host = this.#options.onHosts === true ? this.network.addHost() : undefined;
    const link = this.#options.proxied === true ? await PeerLink.start(peerPort) : undefined;
    return {
      name,
      kind,
      peerPort,
      link,
      host,
      peerUrl: link?.url ?? `${this.#options.scheme ?? "http"}://${host?.address ?? localAddress}:${peerPort}`,
    };
  }

  async #start(place: Place, initial: string, state: "new" | "existing"): Promise<ClusterMember> {
    const { name, kind, peerPort, peerUrl, link, host } = place;
    const address = host?.address ?? localAddress;
    const disk = this.#options.faultyDisks === true ? this.#makeDisk(name) : undefined;
    const process = await Member.start({
      name,
      host: address,
      command: [
        ...(host?.command ?? []),
        ...(disk === undefined ? [] : ["env", ...variables(disk.faulty.environment())]),
        ...commands[kind],
      ],
      flags: [
        ...(disk === undefined ? [] : ["--data-dir", disk.data]),
        ...["--listen-peer-urls", `${this.#options.scheme ?? "http"}://${address}:${peerPort}`],
        ...["--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", initial, "--initial-cluster-state", state],
        ...(this.#options.flags ?? []),
      ],
      readyTimeoutMs: 30_000,
    });
    const client = new EtcdClient({ endpoints: [process.endpoint], dialTimeoutMs: 1000 });
    return { name, kind, process, peerUrl, link, disk: disk?.faulty, host, client, id: 0n };
  }

  #makeDisk(name: string): { readonly faulty: FaultyDisk; readonly data: string } {
    this.#disks ??= mkdtempSync(join(tmpdir(), "etcd-disks-"));
    const directory = join(this.#disks, name);
    mkdirSync(directory);
    return { faulty: new FaultyDisk(directory, `${directory}.control`), data: join(directory, "data") };
  }

  async #learnIds(): Promise<void> {
    const { members } = await this.#members[0]!.client.cluster.memberList();
    for (const member of this.#members) {
      member.id = members.find(({ peerUrls }) => peerUrls.includes(member.peerUrl))?.id ?? 0n;
    }
  }
}

function variables(environment: Readonly<Record<string, string>>): string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`);
}

async function dispose(member: ClusterMember): Promise<void> {
  member.client.close();
  await member.process.stop({ force: true });
  await member.process.close();
  await member.link?.close();
  rmSync(member.process.directory, { recursive: true, force: true });
}

/** Undefined when the member does not answer in a second. */
export async function statusOf(member: ClusterMember) {
  return member.client.maintenance.status({ timeoutMs: 1000 }).catch(() => undefined);
}

/** Asks again every few milliseconds until there is an answer; rejects after `timeoutMs`. */
export async function until<T>(what: string, timeoutMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`no ${what} within ${timeoutMs} ms`);
    await delay(pollMs);
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
