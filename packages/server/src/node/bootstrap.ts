/**
 * From a configuration and what is on disk to a member that can be started: the data directory is locked, the database
 * and the log are opened (or made), the state is restored, and raft is given both.
 *
 * Source: etcd server/etcdserver/bootstrap.go.
 */

import { decodeUtf8, encodeUtf8, limits, messageBytes } from "@etcd-ts/api";
import { decodeMetadata, encodeMetadata, sizeMetadata } from "@etcd-ts/api/etcdserverpb";
import {
  emptyHardState,
  type HardState,
  isEmptyHardState,
  MemoryStorage,
  noLimit,
  type Peer,
  RawNode,
} from "@etcd-ts/raft";
import {
  AlarmStore,
  Budget,
  type Member as ClusterMember,
  Lessor,
  Membership,
  Mvcc,
  type MvccOptions,
  minLeaseTtlSeconds,
  noAuth,
  Quota,
  readApplied,
  runToEnd,
  StateMachine,
  stringifyMember,
  WatchHub,
  type WatchHubOptions,
} from "@etcd-ts/store";
import { BufferedBackend } from "../backend/buffered-backend.js";
import type { Database } from "../backend/database.js";
import { currentDatabase, nextDatabase, removeStrays, switchDatabase } from "../backend/directory.js";
import { LiveDatabase } from "../backend/live-database.js";
import { BootstrapError } from "../config/bootstrap-error.js";
import { checkedInitialCluster, localCluster, type NewCluster, newCluster } from "../config/initial-cluster.js";
import type { DiscoveryConfig, MemberConfig } from "../config/member-config.js";
import type { DiskLock, Env } from "../env.js";
import { measuredDatabase } from "../metrics/measured.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import { Defragmentation } from "../snapshot/defragmentation.js";
import { finishSwitch } from "../snapshot/finish-switch.js";
import { importGoDatabase } from "../snapshot/import-go-database.js";
import { ReceivedSnapshots } from "../snapshot/received-snapshots.js";
import { isOlderLine, serverVersion } from "../version.js";
import { findLatestMark } from "../wal/log-reader.js";
import { Wal, type WalOptions } from "../wal/wal.js";
import { applyUnitsPerTurn } from "./applier.js";
import { type DiscoveryService, discoverMembers } from "./discovery.js";
import { forceNewCluster } from "./force-new-cluster.js";
import { checkLearners, checkNotBootstrapped, joinCluster } from "./join.js";
import { Member } from "./member.js";
import type { Live, PeerTransport } from "./member-parts.js";

export interface OpenedMember {
  readonly member: Member;
  /** Members to connect to at first, this one aside. */
  readonly peers: ReadonlyMap<bigint, readonly string[]>;
  /** Raft's log as far as it is durable, for those who look on. */
  readonly log: Pick<MemoryStorage, "firstIndex" | "lastIndex" | "entries" | "term">;
  /** To be released last. */
  readonly lock: DiskLock;
}

interface Identity {
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

interface OpenedLog extends Identity {
  readonly wal: Wal;
  readonly log: MemoryStorage;
  readonly markedIndex: number;
  /** Members of a cluster that begins now; undefined when there was a log or a cluster already. */
  readonly bootstrapPeers: readonly Peer[] | undefined;
  readonly members: readonly ClusterMember[];
}

export type ConnectDiscovery = (config: DiscoveryConfig) => DiscoveryService;

interface LogOptions extends WalOptions {
  readonly connectDiscovery: ConnectDiscovery | undefined;
}

/** What tests make small, so that they reach it. */
export interface MemberLimits {
  /** Of a segment of the write-ahead log. */
  readonly segmentSizeBytes?: number;
  /** Encoded bytes of entries in one message; 0 = one entry. Source: etcd maxSizePerMsg. */
  readonly messageBytesMax?: number;
  /** Messages raft keeps in flight to one follower. Source: etcd maxInflightMsgs. */
  readonly inflightMessagesMax?: number;
  /** Work of applying in one loop turn, see applier.ts. */
  readonly applyUnitsPerTurn?: number;
  readonly watch?: Omit<WatchHubOptions, "onWork">;
  /** Of the latest records, which are kept in memory. */
  readonly recordRing?: Pick<MvccOptions, "ringSizeBytes" | "ringBufferBytes">;
}

const messageBytesMaxDefault = 1024 * 1024;
const inflightMessagesMaxDefault = 512;
const ownerOnly = 0o700;
const storageVersionKey = encodeUtf8("storageVersion");

export async function openMember(
  env: Env,
  config: MemberConfig,
  options: {
    readonly makeTransport?: (identity: Identity) => PeerTransport;
    readonly metrics: MemberMetrics;
    /** etcd's unless given. */
    readonly limits?: MemberLimits;
    /** Reaches the discovery service; a configuration without discovery needs none. */
    readonly connectDiscovery?: ConnectDiscovery;
    failed(error: Error): void;
  },
): Promise<OpenedMember> {
  const memberDirectory = `${config.dataDir}/member`;
  const lock = await claimDirectory(env, config.dataDir, memberDirectory);
  try {
    const walDirectory = config.walDir ?? `${memberDirectory}/wal`;
    await finishSwitch(env, memberDirectory, walDirectory);
    const database = await openLiveDatabase(env, memberDirectory, walDirectory);
    const makeLive = (opened: Database): Live => {
      const live = new LiveDatabase(opened);
      const backend = new BufferedBackend({
        clock: env.clock,
        digest: env.digest,
        database: measuredDatabase(live, env.clock, options.metrics),
        commitIntervalMs: config.backendBatchIntervalMs || limits.backendBatchIntervalMs,
        commitOperations: config.backendBatchLimit || limits.backendBatchLimit,
        onFailure: (error) => options.failed(error),
      });
      return { backend, database: live };
    };
    const live = makeLive(database);
    const { backend } = live;
    const electionTicks = Math.floor(config.electionMs / config.heartbeatMs);
    const lessor = new Lessor(backend, {
      ttlSecondsMin: minLeaseTtlSeconds({ electionTicks, heartbeatMs: config.heartbeatMs }),
      checkpoints: config.featureGates.LeaseCheckpoint,
    });
    const mvcc = new Mvcc({ backend, leases: lessor, crc32c: env.digest.crc32c, ...options.limits?.recordRing });
    const alarms = new AlarmStore(backend);
    const membership = new Membership(backend, { learnersMax: config.maxLearners });
    const quota = new Quota(config.quotaBackendBytes);
    const machine = new StateMachine({
      backend,
      mvcc,
      leases: lessor,
      alarms,
      membership,
      auth: noAuth,
      quota,
      persistsCheckpoints: config.featureGates.LeaseCheckpointPersist,
    });
    runToEnd(machine.restoreTask(backend, new Budget(Number.POSITIVE_INFINITY)));
    refuseNewerData(backend, membership);
    const memberLimits = options.limits ?? {};
    const { segmentSizeBytes } = memberLimits;
    const { connectDiscovery } = options;
    const walOptions = segmentSizeBytes === undefined ? {} : { segmentSizeBytes };
    const opened = (await Wal.exists(env.disk, walDirectory))
      ? await reopenLog(env, walDirectory, config, { backend, membership }, { ...walOptions, connectDiscovery })
      : await createLog(env, walDirectory, config, {
          isEmpty: machine.applied.index === 0,
          connectDiscovery,
          ...walOptions,
        });
    const raft = new RawNode({
      id: opened.memberId,
      electionTick: electionTicks,
      heartbeatTick: 1,
      storage: opened.log,
      random: (bound) => env.random.integer(bound),
      logger: raftLogger(env),
      asyncStorageWrites: true,
      maxSizePerMessage: memberLimits.messageBytesMax ?? messageBytesMaxDefault,
      maxCommittedSizePerReady: messageBytesMaxDefault,
      maxInflightMessages: memberLimits.inflightMessagesMax ?? inflightMessagesMaxDefault,
      maxUncommittedEntriesSize: noLimit,
      checkQuorum: true,
      preVote: config.preVote,
    });
    if (opened.bootstrapPeers !== undefined) raft.bootstrap(opened.bootstrapPeers);
    let member: Member | undefined;
    const watchHub = new WatchHub(mvcc, { ...memberLimits.watch, onWork: () => member?.syncWatchersSoon() });
    mvcc.setListener((revision, changes) => watchHub.published(revision, changes));
    member = new Member({
      clusterId: opened.clusterId,
      memberId: opened.memberId,
      clock: env.clock,
      random: env.random,
      logger: env.logger,
      digest: env.digest,
      settings: {
        heartbeatMs: config.heartbeatMs,
        electionTicks,
        maxRequestBytes: config.maxRequestBytes,
        snapshotCount: config.snapshotCount,
        snapshotCatchupEntries: config.snapshotCatchupEntries,
        maxWals: config.maxWals,
        quotaBackendBytes: config.quotaBackendBytes,
        compactionBatchLimit: config.compactionBatchLimit || limits.compactionBatchLimit,
        compactionSleepMs: config.compactionSleepIntervalMs || limits.compactionSleepMs,
        autoCompaction: config.autoCompaction,
        applyUnitsPerTurn: memberLimits.applyUnitsPerTurn ?? applyUnitsPerTurn,
      },
      raft,
      log: opened.log,
      wal: opened.wal,
      markedIndex: opened.markedIndex,
      live,
      mvcc,
      lessor,
      alarms,
      membership,
      watchHub,
      machine,
      received: new ReceivedSnapshots(env, memberDirectory),
      defragmentation: new Defragmentation(env, memberDirectory),
      makeLive,
      quota,
      metrics: options.metrics,
      transport: options.makeTransport?.(opened),
      failed: options.failed,
    });
    const peers = new Map(opened.members.map(({ id, peerUrls }) => [id, peerUrls]));
    return { member, peers, log: opened.log, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the directories and takes the lock that keeps other processes out of them. */
async function claimDirectory(env: Env, dataDir: string, memberDirectory: string): Promise<DiskLock> {
  const { disk, logger } = env;
  const existed = await disk.exists(dataDir);
  await disk.makeDirectory(memberDirectory);
  const mode = await disk.mode(dataDir);
  if (existed && mode !== ownerOnly) {
    const found = mode.toString(8).padStart(4, "0");
    logger.log("warn", "directory exists, but the permission of it is loose", {
      dir: dataDir,
      found,
      recommended: "0700",
    });
  }
  const lock = await disk.lock(`${memberDirectory}/LOCK`);
  if (lock === undefined) throw new BootstrapError(`data directory ${dataDir} is in use by another process`);
  return lock;
}

async function openLiveDatabase(env: Env, memberDirectory: string, walDirectory: string): Promise<Database> {
  const { disk, logger } = env;
  for (const name of await removeStrays(disk, memberDirectory)) {
    logger.log("info", "removed what an interrupted start or switch of databases left behind", { name });
  }
  const current = await currentDatabase(disk, memberDirectory);
  if (current !== undefined) return env.openDatabase(current);
  const directory = await nextDatabase(disk, memberDirectory);
  await disk.makeDirectory(directory);
  const database = await env.openDatabase(directory);
  await importGoDatabase(env, { memberDirectory, walDirectory, database });
  await switchDatabase(disk, memberDirectory, directory);
  return database;
}

/**
 * Data that a newer line of etcd has written may mean something this one does not know.
 *
 * Source: etcd server/storage/schema Validate, server/etcdserver/version/downgrade.go MustDetectDowngrade.
 */
function refuseNewerData(backend: BufferedBackend, membership: Membership): void {
  const row = backend.get("meta", storageVersionKey);
  const storageVersion = row === undefined ? undefined : decodeUtf8(row, 0, row.length);
  if (storageVersion !== undefined && isOlderLine(serverVersion, storageVersion)) {
    throw new BootstrapError(`version ${JSON.stringify(storageVersion)} is not supported`);
  }
  const clusterVersion = membership.clusterVersion();
  if (clusterVersion !== undefined && isOlderLine(serverVersion, clusterVersion)) {
    const versions = `server ${serverVersion}, cluster ${clusterVersion}`;
    throw new BootstrapError(
      `invalid downgrade; server version is lower than determined cluster version (${versions})`,
    );
  }
}

async function reopenLog(
  env: Env,
  directory: string,
  config: MemberConfig,
  state: { readonly backend: BufferedBackend; readonly membership: Membership },
  options: LogOptions,
): Promise<OpenedLog> {
  const mark = await findLatestMark(env.disk, env.digest, directory);
  const consistent = readApplied(state.backend);
  if (consistent.index < mark.index) {
    const versus = `the database has applied index ${consistent.index}, the log begins after index ${mark.index}`;
    throw new BootstrapError(`database and write-ahead log do not belong together: ${versus}`);
  }
  const opened = await Wal.open(env, directory, mark, {
    ...options,
    durableIndex: state.backend.durableIndex,
  });
  const { nodeId, clusterId } = decodeMetadata(opened.metadata);
  if (isEmptyHardState(opened.hardState) && consistent.index === 0) {
    return beginAgain(env, config, opened.wal, { memberId: nodeId, clusterId }, options.connectDiscovery);
  }
  checkLearners(state.membership.members(), config.maxLearners);
  if (config.discovery !== undefined) {
    const message = "discovery token is ignored since cluster already initialized; valid logs are found";
    env.logger.log("warn", message, { "wal-dir": directory });
  }
  let { hardState, entries } = opened;
  if (config.forceNewCluster) {
    const applied = { index: consistent.index, members: state.membership.members() };
    ({ hardState, entries } = await forceNewCluster(env, opened, { memberId: nodeId, clusterId, applied }));
  } else {
    env.logger.log("info", "restarting local member", {
      "cluster-id": clusterId.toString(16),
      "local-member-id": nodeId.toString(16),
      "commit-index": hardState.commit,
    });
  }
  const log = new MemoryStorage();
  const confState = state.membership.confState();
  log.applySnapshot({ data: undefined, metadata: { index: mark.index, term: mark.term, confState } });
  log.setHardState(hardState);
  log.append(entries);
  return {
    memberId: nodeId,
    clusterId,
    wal: opened.wal,
    log,
    markedIndex: mark.index,
    bootstrapPeers: undefined,
    members: state.membership.members(),
  };
}

/**
 * A log whose first save a crash cut short: without its hard state nothing of it was ever said to anybody, so the
 * member begins as if it had none; what entries are there will be written over.
 */
async function beginAgain(
  env: Env,
  config: MemberConfig,
  wal: Wal,
  found: Identity,
  connectDiscovery: ConnectDiscovery | undefined,
): Promise<OpenedLog> {
  const { memberId, clusterId, bootstrapPeers, members } = await identify(env, config, connectDiscovery);
  if (memberId !== found.memberId || clusterId !== found.clusterId) {
    await wal.close();
    throw new BootstrapError("the write-ahead log was begun by another member, or for another --initial-cluster");
  }
  env.logger.log("info", "starting local member again, after its first start was cut short");
  return { memberId, clusterId, wal, log: new MemoryStorage(), markedIndex: 0, bootstrapPeers, members };
}

async function createLog(
  env: Env,
  directory: string,
  config: MemberConfig,
  options: LogOptions & { readonly isEmpty: boolean },
): Promise<OpenedLog> {
  if (!options.isEmpty) throw new BootstrapError(`${directory} has no write-ahead log, but the database has data`);
  const { memberId, clusterId, bootstrapPeers, members } = await identify(env, config, options.connectDiscovery);
  const metadata = messageBytes({ size: sizeMetadata, encode: encodeMetadata }, { nodeId: memberId, clusterId });
  const wal = await Wal.create(env, directory, metadata, options);
  const log = new MemoryStorage();
  log.setHardState(emptyHardState satisfies HardState);
  env.logger.log("info", "starting local member", {
    "local-member-id": memberId.toString(16),
    "cluster-id": clusterId.toString(16),
  });
  return { memberId, clusterId, wal, log, markedIndex: 0, bootstrapPeers, members };
}

/** The ids of this member and its cluster, new or existing. */
async function identify(
  env: Env,
  config: MemberConfig,
  connectDiscovery: ConnectDiscovery | undefined,
): Promise<Pick<OpenedLog, "memberId" | "clusterId" | "bootstrapPeers" | "members">> {
  if (config.initialClusterState === "existing") {
    if (config.discovery !== undefined) {
      throw new BootstrapError("discovery URL should not be set when joining existing initial cluster");
    }
    const { self, clusterId, members } = await joinCluster(env, localCluster(config), config);
    return { memberId: self.id, clusterId, bootstrapPeers: undefined, members };
  }
  const { self, clusterId, members } = await firstCluster(env, config, connectDiscovery);
  const bootstrapPeers = members.map((member) => ({ id: member.id, context: encodeUtf8(stringifyMember(member)) }));
  return { memberId: self.id, clusterId, bootstrapPeers, members };
}

/** The members that begin a cluster together, from `--initial-cluster` or through the discovery service. */
async function firstCluster(
  env: Env,
  config: MemberConfig,
  connectDiscovery: ConnectDiscovery | undefined,
): Promise<NewCluster> {
  const { name, discovery } = config;
  const advertisedPeerUrls = config.initialAdvertisePeerUrls.map((url) => url.text);
  const own = advertisedPeerUrls.map((url) => `${name}=${url}`).join(",");
  const initialCluster = discovery === undefined ? config.initialCluster : own;
  const cluster = await checkedInitialCluster(env, { name, initialCluster, advertisedPeerUrls });
  const local = { name, token: discovery?.token ?? config.initialClusterToken };
  const alone = newCluster(env.digest, cluster, local);
  await checkNotBootstrapped(env, alone.self, cluster);
  if (discovery === undefined || connectDiscovery === undefined) return alone;
  env.logger.log("info", "Bootstrapping cluster using v3 discovery.");
  const options = { token: discovery.token, memberId: alone.self.id, own };
  const found = await discoverMembers(env, connectDiscovery(discovery), options);
  return newCluster(env.digest, localCluster({ name, initialCluster: found }), local);
}

/** Raft says so of each write that is acknowledged twice, which is usual where writes go on beside each other. */
const acknowledgedTwice = /^entry at index \d+ missing from unstable log; ignoring$/;

/** Raft's lines in the member's log. */
function raftLogger(env: Env): NonNullable<ConstructorParameters<typeof RawNode>[0]["logger"]> {
  const at = (level: "debug" | "info" | "warn" | "error") => (line: string) => env.logger.log(level, line);
  const info = (line: string): void => at(acknowledgedTwice.test(line) ? "debug" : "info")(line);
  return { debug: at("debug"), info, warning: at("warn"), error: at("error") };
}
