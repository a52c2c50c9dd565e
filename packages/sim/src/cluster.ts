/**
 * A whole cluster of production members in one process: machines that keep their disks, and the incarnations that run
 * on them. A member is assembled as `startMember` in the server's embed.ts does, over simulated ports, and served
 * in-process instead of through sockets.
 */

import { connectInProcess, type InProcessConnection } from "@etcd-ts/grpc";
import {
  BootstrapError,
  CorruptionMonitor,
  configFromFlags,
  corruptionOptions,
  type DiskError,
  HealthService,
  type Logger,
  type Member,
  type MemberConfig,
  type MemberLimits,
  MemberMetrics,
  memberProbe,
  memberServices,
  type OpenedMember,
  openMember,
  PeerNetwork,
  promoteHere,
  publishAttributes,
  VersionMonitor,
  versionBody,
} from "@etcd-ts/server/internal";
import { Incarnation } from "./incarnation.js";
import type { SimOptions } from "./options.js";
import type { SimRandom } from "./random.js";
import { DiskContent, type DiskFaults, quietDisk } from "./sim-disk.js";
import { createSimEnv, type Machine } from "./sim-env.js";
import { SimNetworkFabric } from "./sim-network.js";
import type { World } from "./world.js";

const serverVersion = "3.7.3";
/** A supervisor starts a member again after this long. */
const restartDelayMs = 200;

/** What runs on a machine. */
export interface Running {
  readonly incarnation: Incarnation;
  member: Member | undefined;
  log: OpenedMember["log"] | undefined;
  /** Set once clients are served. */
  connection: InProcessConnection | undefined;
}

export class Node {
  readonly name: string;
  readonly machine: Machine;
  readonly peerUrl: string;
  /** Started with `--initial-cluster-state existing`. */
  readonly joins: boolean;
  initialCluster: string;
  running: Running | undefined;
  diskFaults: DiskFaults = quietDisk;
  /** Removed from the cluster: never to be started again. */
  removed = false;
  restarts = 0;

  constructor(name: string, machine: Machine, joins: boolean, initialCluster: string) {
    this.name = name;
    this.machine = machine;
    this.peerUrl = peerUrlOf(name);
    this.joins = joins;
    this.initialCluster = initialCluster;
  }

  get member(): Member | undefined {
    return this.running?.member;
  }

  /** Whether clients are served. */
  get serving(): boolean {
    return this.running?.connection !== undefined;
  }
}

export interface ClusterEvents {
  /** A member did what it never may. */
  violation(reason: string): void;
  /** After every loop turn of a member. */
  turned(node: Node, running: Running): void;
  log(node: Node, level: string, message: string, fields: Readonly<Record<string, unknown>> | undefined): void;
}

export function peerUrlOf(name: string): string {
  return `http://${name}:2380`;
}

export class Cluster {
  readonly world: World;
  readonly fabric: SimNetworkFabric;
  readonly nodes: Node[] = [];
  readonly #random: SimRandom;
  readonly #options: SimOptions;
  readonly #events: ClusterEvents;

  constructor(world: World, random: SimRandom, options: SimOptions, events: ClusterEvents) {
    this.world = world;
    this.#random = random;
    this.#options = options;
    this.#events = events;
    this.fabric = new SimNetworkFabric(world, random.split("network"));
    const names = Array.from({ length: options.members }, (_, i) => `m${i + 1}`);
    const initialCluster = names.map((name) => `${name}=${peerUrlOf(name)}`).join(",");
    for (const name of names) this.#addNode(name, false, initialCluster);
  }

  start(): void {
    for (const node of this.nodes) this.boot(node);
  }

  /** A machine for a member that was added to the cluster. */
  join(name: string, initialCluster: string): Node {
    const node = this.#addNode(name, true, initialCluster);
    this.boot(node);
    return node;
  }

  get serving(): readonly Node[] {
    return this.nodes.filter((node) => node.serving);
  }

  get leader(): Node | undefined {
    let found: Node | undefined;
    for (const node of this.nodes) {
      if (node.member?.isLeader !== true) continue;
      if (found === undefined || node.member.appliedTerm > (found.member?.appliedTerm ?? 0)) found = node;
    }
    return found;
  }

  /** `--initial-cluster` of the members as they are now; undefined when nobody can tell. */
  describeMembers(): string | undefined {
    const members = (this.leader ?? this.serving[0])?.member?.membership.members();
    return members?.flatMap(({ peerUrls }) => peerUrls.map((url) => `${new URL(url).hostname}=${url}`)).join(",");
  }

  /** Ends the process at once; what it wrote stays in the page cache, and goes too with the power. */
  crash(node: Node, options: { readonly losesPower: boolean; readonly downMs: number }): void {
    const { running } = node;
    if (running === undefined) return;
    node.running = undefined;
    running.incarnation.kill();
    running.connection?.close();
    for (const content of node.machine.databases.values()) content.crash(this.#random);
    if (options.losesPower) node.machine.disk.losePower(this.#random, node.diskFaults.keepsUnsynced);
    if (node.removed) return;
    this.world.schedule(options.downMs, () => this.boot(node));
  }

  /** The member was removed: its machine is switched off before long, if it has not noticed by then. */
  retire(node: Node): void {
    node.removed = true;
    this.world.schedule(this.#random.exponential(3000), () => this.crash(node, { losesPower: false, downMs: 0 }));
  }

  boot(node: Node): void {
    if (node.running !== undefined || node.removed) return;
    node.restarts++;
    const incarnation = new Incarnation(this.world, {
      crashed: (error) => this.#events.violation(`${node.name} crashed: ${error.stack ?? error.message}`),
      turned: () => {
        if (node.running?.member !== undefined) this.#events.turned(node, node.running);
      },
    });
    const running: Running = { incarnation, member: undefined, log: undefined, connection: undefined };
    node.running = running;
    this.#open(node, running).catch((error: unknown) => {
      if (!incarnation.alive) return;
      const cause = error instanceof Error ? error : new Error(String(error));
      this.#events.log(node, "warn", "does not start", { error: cause.message });
      const isExpected = isDiskError(cause) || (node.joins && cause instanceof BootstrapError);
      // Others may have been added or removed since: the operator corrects the flag.
      if (node.joins) node.initialCluster = this.describeMembers() ?? node.initialCluster;
      if (!isExpected) this.#events.violation(`${node.name} does not start: ${cause.stack ?? cause.message}`);
      this.crash(node, { losesPower: false, downMs: restartDelayMs });
    });
  }

  #addNode(name: string, joins: boolean, initialCluster: string): Node {
    const machine: Machine = {
      host: `${name}:2380`,
      disk: new DiskContent(),
      databases: new Map(),
      clockRate: 1,
      wallOffsetMs: 0,
      aim: undefined,
    };
    const node = new Node(name, machine, joins, initialCluster);
    this.nodes.push(node);
    return node;
  }

  /** See embed.ts: the same steps in the same order. */
  async #open(node: Node, running: Running): Promise<void> {
    const { incarnation } = running;
    const config = this.#configOf(node);
    const logger: Logger = {
      log: (level, message, fields) => {
        if (incarnation.alive) this.#events.log(node, level, message, fields);
      },
    };
    const random = this.#random.split(`${node.name}.${node.restarts}`);
    const env = createSimEnv({
      incarnation,
      machine: node.machine,
      random,
      fabric: this.fabric,
      diskFaults: () => node.diskFaults,
      logger,
      exited: () => {},
    });
    const failed = (error: Error): void => this.#memberFailed(node, running, error);
    const metrics = new MemberMetrics({ extensive: false });
    let peers: PeerNetwork | undefined;
    const opened = await openMember(env, config, {
      metrics,
      limits: this.#limits(),
      failed,
      makeTransport: ({ memberId, clusterId }) => {
        peers = new PeerNetwork({
          env,
          memberId,
          clusterId,
          advertisedUrls: [node.peerUrl],
          electionMs: config.electionMs,
          requestTimeoutMs: requestTimeoutMs(this.#options),
          metrics,
          endpoints: {
            versionBody: (asked) => versionBody(memberProbe(asked)),
            promote: (asked, id, done) => void promoteHere(asked, id, config, done),
          },
          removed: () => {
            node.removed = true;
            failed(new Error("removed"));
          },
        });
        return peers;
      },
    });
    if (!incarnation.alive) return;
    const { member } = opened;
    running.log = opened.log;
    const health = new HealthService();
    const services = memberServices(member, health, {
      maxTxnOps: config.maxTxnOps,
      maxRequestBytes: config.maxRequestBytes,
      strictReconfigCheck: config.strictReconfigCheck,
      progressNotifyMs: config.watchProgressNotifyIntervalMs,
    });
    const versions = new VersionMonitor(member, () => peers?.versions() ?? Promise.resolve([serverVersion]));
    const corruption = new CorruptionMonitor(corruptionOptions(env, member, config));
    const inconsistency = await corruption.checkInitially();
    if (!incarnation.alive) return;
    if (inconsistency !== undefined) return this.#events.violation(`${node.name}: ${inconsistency}`);
    await peers?.start(member, opened.peers, [node.peerUrl]);
    if (!incarnation.alive) return;
    running.member = member;
    member.start();
    versions.start();
    corruption.start();
    await publishAttributes(member, { name: node.name, clientUrls: [`http://${node.name}:2379`] }, () => false);
    if (!incarnation.alive) return;
    const { clientBufferBytes } = this.#options;
    running.connection = connectInProcess(services, env.clock, {
      unsentHighWaterBytes: clientBufferBytes,
      unsentLowWaterBytes: clientBufferBytes / 2,
    });
  }

  #limits(): MemberLimits {
    const options = this.#options;
    return {
      segmentSizeBytes: options.segmentSizeBytes,
      messageBytesMax: options.messageBytesMax,
      inflightMessagesMax: options.inflightMessagesMax,
      applyUnitsPerTurn: options.applyUnitsPerTurn,
      // Small, so that records are also read from the database.
      recordRing: { ringSizeBytes: 64 * 1024, ringBufferBytes: 16 * 1024 },
      watch: {
        streamLimits: { eventsMax: options.watchEventsMax },
        syncRevisionsMax: options.watchSyncRevisions,
        syncWatchersMax: options.watchSyncWatchers,
      },
    };
  }

  #memberFailed(node: Node, running: Running, error: Error): void {
    if (!running.incarnation.alive) return;
    const isExpected = node.removed || isDiskError(error);
    if (!isExpected) this.#events.violation(`${node.name} failed: ${error.stack ?? error.message}`);
    // After a failed sync the page cache is not to be trusted, so that the power goes too.
    const losesPower = this.#random.chance(0.5);
    this.world.schedule(0, () => {
      if (node.running === running) this.crash(node, { losesPower, downMs: restartDelayMs });
    });
  }

  #configOf(node: Node): MemberConfig {
    const options = this.#options;
    const loaded = configFromFlags({
      name: node.name,
      "data-dir": `/${node.name}`,
      "listen-peer-urls": node.peerUrl.replace(node.name, "127.0.0.1"),
      "listen-client-urls": "http://127.0.0.1:2379",
      "advertise-client-urls": `http://${node.name}:2379`,
      "initial-advertise-peer-urls": node.peerUrl,
      "initial-cluster": node.initialCluster,
      "initial-cluster-state": node.joins ? "existing" : "new",
      "heartbeat-interval": String(options.heartbeatMs),
      "election-timeout": String(options.electionMs),
      "snapshot-count": String(options.snapshotCount),
      "snapshot-catchup-entries": String(options.snapshotCatchupEntries),
      "max-wals": String(options.maxWals),
      "backend-batch-interval": `${options.backendBatchIntervalMs}ms`,
      "backend-batch-limit": String(options.backendBatchLimit),
      "compaction-batch-limit": String(options.compactionBatchLimit),
      "compaction-sleep-interval": "1ms",
      "compact-hash-check-time": "2s",
      "pre-vote": String(options.preVote),
      "watch-progress-notify-interval": `${options.progressNotifyMs}ms`,
      "strict-reconfig-check": "true",
    });
    if (loaded.kind !== "run") throw new Error(loaded.kind === "refused" ? loaded.error : loaded.text);
    return loaded.config;
  }
}

/** Source: embed.ts. */
export function requestTimeoutMs(options: Pick<SimOptions, "electionMs">): number {
  return 5000 + 2 * options.electionMs;
}

function isDiskError(error: unknown): error is DiskError {
  if (!(error instanceof Error)) return false;
  return error.name === "DiskError" || isDiskError(error.cause);
}
