/** What a member is made of: its settings and the parts that `bootstrap.ts` opens for it. */

import type { MemoryStorage, Message, RawNode } from "@etcd-ts/raft";
import type {
  AlarmStore,
  Member as ClusterMember,
  Lessor,
  Membership,
  MembershipEffect,
  Mvcc,
  Quota,
  StateMachine,
  WatchHub,
} from "@etcd-ts/store";
import type { BufferedBackend } from "../backend/buffered-backend.js";
import type { Database } from "../backend/database.js";
import type { LiveDatabase } from "../backend/live-database.js";
import type { AutoCompaction } from "../config/auto-compaction.js";
import type { Clock, Digest, Logger, Random } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import type { Defragmentation } from "../snapshot/defragmentation.js";
import type { ReceivedSnapshots } from "../snapshot/received-snapshots.js";
import type { Wal } from "../wal/wal.js";
import type { LeaseForwarding } from "./leases.js";
import type { Refusal } from "./refusal.js";

export interface MemberSettings {
  readonly heartbeatMs: number;
  readonly electionTicks: number;
  readonly maxRequestBytes: number;
  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  readonly maxWals: number;
  /** Bytes; negative = no quota. */
  readonly quotaBackendBytes: number;
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
  /** See `applyUnitsPerTurn`. */
  readonly applyUnitsPerTurn: number;
  readonly autoCompaction: AutoCompaction;
}

/** How messages reach other members. A member without any has none. */
export interface PeerTransport {
  send(messages: readonly Message[]): void;
  membershipChanged(effect: MembershipEffect): void;
  /** A received snapshot replaced the member table. */
  membershipReplaced(members: readonly ClusterMember[]): void;
  /** Monotonic milliseconds since when a peer is reachable; undefined while it is not. */
  activeSince(id: bigint): number | undefined;
  readonly leases: LeaseForwarding;
  /** Asks the leader to promote a learner. */
  promote(id: bigint, done: (refusal: Refusal | undefined) => void): void;
  stop(): void;
}

/** The backend and the database below it. */
export interface Live {
  readonly backend: BufferedBackend;
  readonly database: LiveDatabase;
}

export interface MemberParts {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly digest: Digest;
  readonly settings: MemberSettings;
  readonly raft: RawNode;
  readonly log: MemoryStorage;
  readonly wal: Wal;
  /** Index of the last mark in the WAL. */
  readonly markedIndex: number;
  readonly live: Live;
  readonly mvcc: Mvcc;
  readonly lessor: Lessor;
  readonly alarms: AlarmStore;
  readonly membership: Membership;
  readonly watchHub: WatchHub;
  readonly machine: StateMachine;
  readonly received: ReceivedSnapshots;
  readonly defragmentation: Defragmentation;
  /** What serves a database that a snapshot brought. */
  makeLive(database: Database): Live;
  readonly quota: Quota;
  readonly metrics: MemberMetrics;
  readonly transport: PeerTransport | undefined;
  /** The member cannot go on; called once. */
  failed(error: Error): void;
}
