/**
 * A running member: what its services and its peers may ask of it. It owns the node loop, the applier, the reads, the
 * leases' loop and the log keeper, and wires them together; each of them is explained in its own file.
 *
 * Source: etcd server/etcdserver/server.go, v3_server.go.
 */

import {
  bytesFromLatin1,
  decodeUtf8,
  encodeInternalRequest,
  InternalField,
  limits,
  type Reason,
  sizeInternalRequest,
} from "@etcd-ts/api";
import {
  encodeAlarmRequest,
  encodeCompactionRequest,
  encodeLeaseCheckpointRequest,
  encodeLeaseRevokeRequest,
  encodeResponseHeader,
  type LeaseCheckpointInit,
  type ResponseHeaderInit,
  sizeAlarmRequest,
  sizeCompactionRequest,
  sizeLeaseCheckpointRequest,
  sizeLeaseRevokeRequest,
  sizeResponseHeader,
} from "@etcd-ts/api/etcdserverpb";
import type { ServerCall } from "@etcd-ts/grpc";
import {
  type ConfChange,
  isLocalTarget,
  type MemoryStorage,
  type Message,
  type RawNode,
  type Snapshot,
  type SoftState,
  type Status,
} from "@etcd-ts/raft";
import {
  type AlarmStore,
  Budget,
  type Member as ClusterMember,
  type Connections,
  computeMemberId,
  type HeaderParts,
  type Lessor,
  type Membership,
  type MembershipEffect,
  type Mvcc,
  type Outcome,
  type Quota,
  ResponseHeaders,
  type SlicedRead,
  type StateMachine,
  type WatchHub,
} from "@etcd-ts/store";
import { assert } from "../assert.js";
import type { BufferedBackend } from "../backend/buffered-backend.js";
import type { Database } from "../backend/database.js";
import type { LiveDatabase } from "../backend/live-database.js";
import type { AutoCompaction } from "../config/auto-compaction.js";
import type { Clock, Digest, Logger, Random } from "../env.js";
import { MeasuredLog } from "../metrics/measured.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import type { Defragmentation } from "../snapshot/defragmentation.js";
import { ImageMaker } from "../snapshot/image-maker.js";
import { type ReceivedSnapshots, SnapshotRefusedError } from "../snapshot/received-snapshots.js";
import { serverVersion } from "../version.js";
import type { Wal } from "../wal/wal.js";
import { AppliedWaits } from "./applied-waits.js";
import { Applier, type ConfChangeOutcome } from "./applier.js";
import { type AutoCompactor, createAutoCompactor } from "./auto-compactor.js";
import { FlushQueue } from "./flush-queue.js";
import { LeaseLoop } from "./lease-loop.js";
import { type LeaseForwarding, Leases } from "./leases.js";
import { LogKeeper } from "./log-keeper.js";
import { RaftLoop } from "./raft-loop.js";
import { type ReadDone, ReadIndexLoop } from "./read-index.js";
import { deadlineExceeded, proposalDropped, type Refusal } from "./refusal.js";
import { RequestIds } from "./request-ids.js";
import { SlabAllocator } from "./slab.js";
import { Ticker } from "./ticker.js";
import { Waiters } from "./waiters.js";

/** The result of a proposal: what apply made of it, or why it never came to that. */
export type ProposalOutcome = Outcome | { readonly kind: "failed"; readonly refusal: Refusal };
export type ProposalDone = (outcome: ProposalOutcome) => void;

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

/** Source: etcd maxGapBetweenApplyAndCommitIndex. */
const applyLagMax = 5000;
/** Proposals that wait for their result. */
const proposalsMax = 20_000;
const readersMax = 100_000;
/** Source: etcd server.go HealthInterval. */
const healthIntervalMs = 5000;
/** Source: etcd ErrTimeoutLeaderTransfer, which is not mapped. */
const transferTimeout: Refusal = { code: 2, message: "etcdserver: request timed out, leader transfer took too long" };
const snapshotComes: Refusal = { code: 14, message: "etcdserver: a snapshot of the leader replaces the database" };
/** Source: etcd readIndexRetryTime. */
const readRetryMs = 500;
/** Encoded bytes of proposals in one message to raft. Source: etcd maxSizePerMsg. */
const proposalBatchBytesMax = 1024 * 1024;
const proposalSlabBytes = 256 * 1024;
/** Entries kept for slow followers at most; one further behind gets a snapshot. */
const logMemoryBytesMax = 256 * 1024 * 1024;
/** Units (about a microsecond each) of one slice of a read that goes on over several turns. */
const sliceUnits = 4000;

export class Member {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly digest: Digest;
  readonly settings: MemberSettings;
  readonly mvcc: Mvcc;
  readonly lessor: Lessor;
  readonly alarms: AlarmStore;
  readonly membership: Membership;
  readonly watchHub: WatchHub;
  readonly quota: Quota;
  readonly ids: RequestIds;
  readonly leases: Leases;
  readonly images: ImageMaker;
  readonly flushQueue: FlushQueue;
  readonly watchHeaders: ResponseHeaders;
  readonly #parts: MemberParts;
  #live: Live;
  readonly #machine: StateMachine;
  readonly #loop: RaftLoop;
  readonly #applier: Applier;
  readonly #reads: ReadIndexLoop;
  readonly #appliedWaits = new AppliedWaits();
  readonly #proposals = new Waiters<ProposalOutcome>(proposalsMax);
  readonly #confChanges = new Waiters<ConfChangeOutcome>(16);
  readonly #leaseLoop: LeaseLoop;
  readonly #logKeeper: LogKeeper;
  readonly #autoCompactor: AutoCompactor | undefined;
  readonly #ticker: Ticker;
  readonly #leaderListeners = new Set<() => void>();
  readonly #termListeners = new Set<() => void>();
  readonly #slab = new SlabAllocator(proposalSlabBytes);
  #committedIndex = 0;
  #syncing = false;
  #compacting = false;
  /** Snapshots that other members are sending. */
  #receiving = 0;
  #installing = false;
  #raisingNoSpace: (() => void)[] | undefined;
  /** When this member last became leader. */
  #ledSince: number | undefined;
  #stopped = false;
  #flushAnswers: () => void = () => {};
  #headerTerm = -1;
  #headerParts: HeaderParts = { beforeRevision: new Uint8Array(0), afterRevision: new Uint8Array(0) };

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.clusterId = parts.clusterId;
    this.memberId = parts.memberId;
    this.clock = parts.clock;
    this.random = parts.random;
    this.logger = parts.logger;
    this.digest = parts.digest;
    this.settings = parts.settings;
    this.#live = parts.live;
    this.mvcc = parts.mvcc;
    this.lessor = parts.lessor;
    this.alarms = parts.alarms;
    this.membership = parts.membership;
    this.watchHub = parts.watchHub;
    this.quota = parts.quota;
    this.#machine = parts.machine;
    this.ids = new RequestIds(parts.memberId, parts.clock.wallTime());
    this.flushQueue = new FlushQueue(parts.clock);
    this.watchHeaders = new ResponseHeaders({
      clusterId: parts.clusterId,
      memberId: parts.memberId,
      raftTerm: () => this.appliedTerm,
    });
    this.#loop = new RaftLoop({
      raft: parts.raft,
      log: parts.log,
      writer: new MeasuredLog(parts.wal, parts.clock, parts.metrics),
      clock: parts.clock,
      logger: parts.logger,
      electionTimeoutMs: this.electionTimeoutMs,
      proposalBatchBytesMax,
      events: {
        softStateChanged: (state) => this.#softStateChanged(state),
        readConfirmed: (context, index) => this.#reads.confirmed(context, index),
        committed: (entries, applied) => {
          this.#committedIndex = entries.at(-1)?.index ?? this.#committedIndex;
          this.#applier.enqueue(entries, applied);
        },
        snapshotPersisted: (snapshot, installed) => {
          this.#installSnapshot(snapshot).then(installed, (error: unknown) => {
            parts.failed(error instanceof Error ? error : new Error(String(error)));
          });
        },
        send: (messages) => parts.transport?.send(messages),
        proposalDropped: (key, reason) => {
          const refusal = reason === "no leader" ? "noLeader" : proposalDropped;
          this.#proposals.settle(key, { kind: "failed", refusal });
        },
        failed: (error) => parts.failed(error),
        beforeTurn: () => this.#reads.startRound(),
        afterTurn: () => this.flushQueue.runNow(),
        beforeBlocking: () => this.#flushAnswers(),
      },
    });
    const { index, term } = startOf(parts.log);
    this.#committedIndex = index;
    this.#applier = new Applier(
      {
        clock: parts.clock,
        machine: parts.machine,
        membership: parts.membership,
        backend: () => this.backend,
        applyConfChange: (change) => this.#applyConfChange(change),
        wantsResult: (id) => this.#isAwaited(id),
        settle: (id, outcome) => this.#settle(id, outcome),
        settleConfChange: (id, outcome) => {
          const key = this.ids.suffixOf(id);
          if (key !== undefined) this.#confChanges.settle(key, outcome);
        },
        membershipChanged: (effect) => this.#membershipChanged(effect),
        termBegan: () => this.#termBegan(),
        progressed: (applied, appliedTerm, confState, bytes) => {
          this.#reads.applied(applied);
          this.#appliedWaits.applied(applied);
          this.#logKeeper.applied(applied, appliedTerm, confState, bytes);
          this.#forgetUnusedSnapshot(applied);
          this.#campaignIfAlone();
        },
      },
      { index, term, confState: parts.membership.confState() },
    );
    this.#reads = new ReadIndexLoop(
      {
        clock: parts.clock,
        requestReadIndex: (context) => this.#loop.readIndex(context),
        nextRequestId: () => this.ids.next(),
        appliedIndex: () => this.#applier.index,
      },
      { timeoutMs: this.requestTimeoutMs, retryMs: readRetryMs, readersMax },
    );
    this.leases = new Leases({
      clock: parts.clock,
      lessor: parts.lessor,
      isLeader: () => this.isLeader,
      confirmLeadership: (done) => this.#confirmLeadership(done),
      waitApplied: (timeoutMs, done) => this.waitApplied(timeoutMs, done),
      clearRemainingTtl: (id, done) => this.#proposeCheckpoints([{ id, remainingTtl: 0 }], done),
      forward: parts.transport?.leases,
    });
    this.images = new ImageMaker({
      clock: parts.clock,
      digest: parts.digest,
      backend: () => this.backend,
      appliedIndex: () => this.#machine.applied.index,
    });
    this.#leaseLoop = new LeaseLoop({
      clock: parts.clock,
      lessor: parts.lessor,
      confirmLeadership: (done) => this.#confirmLeadershipByQuorum(done),
      revoke: (id, done) => this.#proposeRevoke(id, done),
      checkpoint: (checkpoints) => this.#proposeCheckpoints(checkpoints, () => {}),
    });
    this.#logKeeper = new LogKeeper(
      {
        clock: parts.clock,
        logger: parts.logger,
        wal: parts.wal,
        log: parts.log,
        snapshotCount: parts.settings.snapshotCount,
        catchupEntries: parts.settings.snapshotCatchupEntries,
        maxWals: parts.settings.maxWals,
        memoryBytesMax: logMemoryBytesMax,
        commitBackend: () => this.commitBackend(),
        failed: (error) => parts.failed(error),
      },
      parts.markedIndex,
    );
    this.#autoCompactor = createAutoCompactor(
      {
        clock: parts.clock,
        logger: parts.logger,
        isLeader: () => this.isLeader,
        currentRevision: () => this.mvcc.currentRevision(),
        compact: (revision, done) => this.#proposeCompaction(revision, done),
      },
      parts.settings.autoCompaction,
    );
    this.#ticker = new Ticker(parts.clock, parts.settings.heartbeatMs, () => this.#tick());
  }

  // Lifecycle.

  start(): void {
    this.#updateInLoopWrites();
    this.#logKeeper.start();
    this.#leaseLoop.start();
    this.#autoCompactor?.start();
    this.#ticker.start();
    this.#campaignIfAlone();
    this.#loop.poke();
  }

  /** Ends everything that runs, flushes and closes what it owns. Callers that wait get "server stopped". */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    await this.#transferBeforeStop();
    this.#stopped = true;
    this.#ticker.stop();
    this.#leaseLoop.stop();
    this.#autoCompactor?.stop();
    this.#logKeeper.stop();
    this.#loop.stop();
    this.#applier.stop();
    this.#reads.stop();
    this.#appliedWaits.stop();
    this.#proposals.settleAll(() => ({ kind: "failed", refusal: "stopped" }));
    this.#confChanges.settleAll(() => ({ kind: "refused", reason: "stopped" }));
    this.#parts.transport?.stop();
    this.mvcc.close();
    this.images.abort();
    await this.#parts.received.stop();
    await this.#parts.defragmentation.stop();
    await this.#parts.wal.close();
    await this.backend.close();
  }

  /** Sets what sends the answers that are ready; called when the loop is about to be held up. */
  setAnswerFlush(flush: () => void): void {
    this.#flushAnswers = flush;
  }

  // What this member knows.

  /** The live database; a received snapshot replaces it. */
  get backend(): BufferedBackend {
    return this.#live.backend;
  }

  /** 0n while none is known. */
  get leader(): bigint {
    return this.#loop.isSuspended ? 0n : this.#loop.softState.lead;
  }

  get isLeader(): boolean {
    return this.#loop.isLeader && !this.#loop.isSuspended;
  }

  get isLearner(): boolean {
    return this.membership.member(this.memberId)?.isLearner ?? false;
  }

  get committedIndex(): number {
    return this.#committedIndex;
  }

  get appliedIndex(): number {
    return this.#applier.index;
  }

  get appliedTerm(): number {
    return this.#applier.term;
  }

  /** Milliseconds a request may take. Source: etcd config.go ReqTimeout. */
  get requestTimeoutMs(): number {
    return 5000 + 2 * this.settings.electionTicks * this.settings.heartbeatMs;
  }

  get electionTimeoutMs(): number {
    return this.settings.electionTicks * this.settings.heartbeatMs;
  }

  /** As status reports it. */
  get quotaBytes(): number {
    const configured = this.settings.quotaBackendBytes;
    return configured > 0 ? configured : limits.defaultQuotaBytes;
  }

  /** As stored in the database; empty until the cluster version is known. */
  get storageVersion(): string {
    const stored = this.backend.get("meta", storageVersionKey);
    return stored === undefined ? "" : (decodeUtf8(stored, 0, stored.length) ?? "");
  }

  /** What surrounds the revision in the header of every answer, encoded. */
  get headerParts(): HeaderParts {
    if (this.#headerTerm !== this.appliedTerm) {
      this.#headerTerm = this.appliedTerm;
      this.#headerParts = encodeHeaderParts(this.headerFields(0));
    }
    return this.#headerParts;
  }

  /** Fields of a ResponseHeader; revision 0 is left out. */
  headerFields(revision: number): { clusterId: bigint; memberId: bigint; revision: number; raftTerm: number } {
    return { clusterId: this.clusterId, memberId: this.memberId, revision, raftTerm: this.appliedTerm };
  }

  raftStatus(): Status {
    return this.#parts.raft.status();
  }

  /** Brings the fields up to date that mirror a state. */
  refreshMetrics(): void {
    const { metrics, settings } = this.#parts;
    metrics.memberId = this.memberId.toString(16);
    metrics.serverVersion = serverVersion;
    metrics.clusterVersion = (this.membership.clusterVersion() ?? "").split(".").slice(0, 2).join(".");
    metrics.hasLeader = this.leader === 0n ? 0 : 1;
    metrics.isLeader = this.isLeader ? 1 : 0;
    metrics.isLearner = this.isLearner ? 1 : 0;
    metrics.proposalsCommitted = this.#committedIndex;
    metrics.proposalsApplied = this.#applier.index;
    metrics.proposalsPending = this.#proposals.count;
    metrics.keys = this.mvcc.keyCount;
    metrics.currentRevision = this.mvcc.currentRevision();
    metrics.compactRevision = this.mvcc.compactRevision();
    metrics.watchStreams = this.watchHub.streamCount;
    metrics.watchers = this.watchHub.watcherCount;
    metrics.slowWatchers = this.watchHub.slowWatcherCount;
    metrics.events = this.watchHub.eventsTotal;
    metrics.pendingEvents = this.watchHub.pendingEvents();
    metrics.dbSizeBytes = this.backend.sizeBytes();
    metrics.dbSizeInUseBytes = this.backend.sizeInUseBytes();
    metrics.quotaBackendBytes = Math.max(settings.quotaBackendBytes, 0) || this.quotaBytes;
  }

  /** Called whenever the leader that this member knows changes; returns a function that ends it. */
  onLeaderChange(listener: () => void): () => void {
    this.#leaderListeners.add(listener);
    return () => this.#leaderListeners.delete(listener);
  }

  /** Called when the first entry of a leader's term has been applied; returns a function that ends it. */
  onTermBegan(listener: () => void): () => void {
    this.#termListeners.add(listener);
    return () => this.#termListeners.delete(listener);
  }

  /** Why the caller may not read [key, rangeEnd); undefined when it may. */
  authorizeRange(_call: ServerCall, _key: Uint8Array, _rangeEnd: Uint8Array): Reason | undefined {
    return undefined;
  }

  // What it can be asked to do.

  /**
   * Proposes a request. `request` is its encoded message, copied before the call returns; `done` is called once, after
   * this member has applied it or when it will not.
   */
  propose(field: InternalField, request: Uint8Array, done: ProposalDone): void {
    if (this.#stopped) return done({ kind: "failed", refusal: "stopped" });
    if (this.#loop.isSuspended) return done({ kind: "failed", refusal: "noLeader" });
    const { metrics } = this.#parts;
    const isOverloaded = this.#committedIndex > this.#applier.index + applyLagMax || this.#proposals.full;
    if (isOverloaded) {
      metrics.proposalsFailed++;
      return done({ kind: "failed", refusal: "requestTooManyRequests" });
    }
    const suffix = this.ids.nextSuffix();
    const header = { id: this.ids.full(suffix) };
    const size = sizeInternalRequest(field, request.length, header);
    if (size > this.settings.maxRequestBytes) return done({ kind: "failed", refusal: "requestTooLarge" });
    const data = this.#slab.allocate(size);
    data.set(request, encodeInternalRequest(field, request.length, header, data, 0));
    this.#proposals.add(suffix, { startedAt: this.clock.now(), done });
    this.#loop.propose(data, suffix);
  }

  /** Proposes a configuration change and waits until it is in force, or for good: returns a function that gives up. */
  proposeConfChange(change: Omit<ConfChange, "id">, done: (outcome: ConfChangeOutcome) => void): () => void {
    if (this.#loop.isSuspended || this.#confChanges.full) {
      done({ kind: "refused", reason: this.#loop.isSuspended ? "noLeader" : "requestTooManyRequests" });
      return () => {};
    }
    const suffix = this.ids.nextSuffix();
    this.#confChanges.add(suffix, { startedAt: this.clock.now(), done });
    const refusal = this.#loop.proposeConfChange({ ...change, id: this.ids.full(suffix) });
    if (refusal !== undefined) this.#confChanges.settle(suffix, { kind: "refused", reason: proposalDropped });
    return () => this.#confChanges.forget(suffix);
  }

  /** The id of a member that is added now. */
  newMemberId(peerUrls: readonly string[]): bigint {
    const unixSeconds = Math.floor(this.clock.wallTime() / 1000);
    return computeMemberId((bytes) => this.digest.sha1(bytes), { peerUrls, clusterToken: "", unixSeconds });
  }

  /** What this member knows of its connections to the others. */
  get connections(): Connections {
    const activeSince = (id: bigint): number | undefined => this.#parts.transport?.activeSince(id);
    return {
      self: this.memberId,
      isActive: (id) => activeSince(id) !== undefined,
      isHealthy: (id) => (activeSince(id) ?? Number.POSITIVE_INFINITY) < this.clock.now() - healthIntervalMs,
    };
  }

  /** Asks the leader to promote a learner. */
  forwardPromotion(id: bigint, done: (refusal: Refusal | undefined) => void): void {
    const { transport } = this.#parts;
    if (transport === undefined) done("noLeader");
    else transport.promote(id, done);
  }

  /** Hands leadership to another voter. `done` when it has it, or with the reason why not. */
  moveLeader(to: bigint, done: (refusal: Refusal | undefined) => void): void {
    if (!this.isLeader) return done("notLeader");
    const target = this.membership.member(to);
    if (target === undefined || target.isLearner) return done("badLeaderTransferee");
    if (to === this.memberId) return done(undefined);
    this.logger.log("info", "leadership transfer starting", {
      "current-leader-member-id": this.memberId.toString(16),
      "transferee-member-id": to.toString(16),
    });
    const deadline = this.clock.setTimer(this.requestTimeoutMs, () => {
      stop();
      done(transferTimeout);
    });
    const stop = this.onLeaderChange(() => {
      if (this.leader !== to) return;
      stop();
      deadline.cancel();
      done(undefined);
    });
    this.#loop.transferLeader(to);
  }

  /** A leader that stops hands over to the voter connected longest, so that the others need not wait for an election. */
  async #transferBeforeStop(): Promise<void> {
    if (!this.isLeader) return;
    let longest: { readonly id: bigint; readonly since: number } | undefined;
    for (const { id } of this.membership.voters()) {
      const since = id === this.memberId ? undefined : this.#parts.transport?.activeSince(id);
      if (since !== undefined && (longest === undefined || since < longest.since)) longest = { id, since };
    }
    if (longest === undefined) return;
    const { id } = longest;
    const refusal = await new Promise<Refusal | undefined>((resolve) => this.moveLeader(id, resolve));
    const fields = {
      "transferee-member-id": id.toString(16),
      ...(refusal === undefined ? {} : { error: String(refusal) }),
    };
    this.logger.log(refusal === undefined ? "info" : "warn", "leadership transfer before stopping", fields);
  }

  /** Calls `done` once reading the local state is linearizable, or with the reason why it is not. */
  linearizableRead(done: ReadDone): void {
    if (this.#loop.isSuspended) return done("noLeader");
    this.#reads.read(done);
    this.#loop.poke();
  }

  /** Waits until what is committed now is applied; false when that takes longer. */
  waitApplied(timeoutMs: number, done: (reached: boolean) => void): void {
    // Raft's own commit index: a leader whose disk is slower than a quorum's tells followers of entries that it may not
    // apply yet, and a follower's client may ask about them here.
    const committed = this.#parts.raft.basicStatus().hardState.commit;
    this.#appliedWaits.wait(this.#applier.index, committed, this.clock.now() + timeoutMs, done);
  }

  /** Carries a read to its end in slices between other work. Returns a function that gives it up. */
  runSliced<Result>(read: SlicedRead<Result>, done: (result: Result) => void): () => void {
    let cancelled = false;
    const step = (): void => {
      if (cancelled) return;
      const result = read.step(sliceUnits);
      if (result === undefined) this.clock.defer(step);
      else done(result);
    };
    step();
    return () => {
      if (!cancelled) read.cancel();
      cancelled = true;
    };
  }

  /** Raises the NOSPACE alarm for this member; `done` once that has been applied or has failed. */
  raiseNoSpace(done: () => void): void {
    if (this.#raisingNoSpace !== undefined) {
      this.#raisingNoSpace.push(done);
      return;
    }
    const waiting = [done];
    this.#raisingNoSpace = waiting;
    const alarm = { action: 1, memberId: this.memberId, alarm: 1 } as const;
    const bytes = new Uint8Array(sizeAlarmRequest(alarm));
    encodeAlarmRequest(alarm, bytes, 0);
    this.propose(InternalField.alarm, bytes, () => {
      this.#raisingNoSpace = undefined;
      for (const callback of waiting) callback();
    });
  }

  /** Writes a row of `meta` that is this member's own and no entry's. */
  putMeta(key: Uint8Array, value: Uint8Array): void {
    this.backend.put("meta", key, value);
    const { index, term } = this.#machine.applied;
    if (!this.#machine.busy) this.backend.sealEntry(index, term);
  }

  /** Resolves when everything applied so far is durable in the database. */
  commitBackend(): Promise<void> {
    return this.backend.whenDurable(this.#machine.applied.index);
  }

  /** Resolves when everything applied so far is durable, what has compaction removed included. */
  async flushBackend(): Promise<void> {
    // What the step under way has removed is sealed at its end.
    await Promise.resolve();
    await this.backend.flush();
  }

  /** A message from another member. */
  receive(message: Message): void {
    // Raft would take it for an answer of this member's own storage.
    if (isLocalTarget(message.from)) return;
    this.#loop.step(message);
  }

  /**
   * A snapshot message from another member with its database in `body`. Resolves when raft was told of it; rejects as
   * `ReceivedSnapshots.receive`.
   */
  async receiveSnapshot(message: Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const index = message.snapshot?.metadata.index ?? 0;
    if (index === 0) throw new SnapshotRefusedError("the message has no snapshot");
    this.#receiving++;
    try {
      await this.#parts.defragmentation.abort("a snapshot of the leader is being received");
      await this.#parts.received.receive(body, index);
    } finally {
      this.#receiving--;
    }
    this.receive(message);
  }

  /**
   * Gives the database's free pages back to the disk while it serves. Resolves when that is done, or with the reason why
   * it was not, and then everything is as before.
   */
  async defragment(): Promise<Refusal | undefined> {
    const { defragmentation, received, metrics } = this.#parts;
    // The database is going to be replaced as a whole.
    if (this.#receiving > 0 || received.waitingIndex !== undefined || this.#installing) return snapshotComes;
    const startedAt = this.clock.now();
    const before = this.backend.sizeBytes();
    this.logger.log("info", "starting defragment", { "current-db-size-bytes": before });
    metrics.defragInflight = 1;
    try {
      await this.backend.flush();
      await defragmentation.run(this.#live.database);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.logger.log("warn", "failed to defragment", { error: text });
      return { code: 2, message: text };
    } finally {
      metrics.defragInflight = defragmentation.isRunning ? 1 : 0;
    }
    const seconds = (this.clock.now() - startedAt) / 1000;
    metrics.backendDefragSeconds.observe(seconds);
    this.backend.refreshSize();
    this.logger.log("info", "finished defragment", {
      "current-db-size-bytes-diff": this.backend.sizeBytes() - before,
      "current-db-size-bytes": this.backend.sizeBytes(),
      took: `${seconds.toFixed(3)}s`,
    });
    return undefined;
  }

  /** Keeps the raft log as it is until the returned function is called: a follower will need it after its snapshot. */
  holdLog(): () => void {
    return this.#logKeeper.hold();
  }

  reportUnreachable(id: bigint): void {
    this.#loop.reportUnreachable(id);
  }

  reportSnapshot(id: bigint, outcome: "finish" | "failure"): void {
    this.#loop.reportSnapshot(id, outcome);
  }

  // Inside.

  #tick(): void {
    this.#loop.tick();
    this.#reads.tick();
    const now = this.clock.now();
    this.#appliedWaits.tick(now);
    this.#proposals.expire(now - this.requestTimeoutMs, (key, { startedAt }) => ({
      kind: "failed",
      refusal: this.#loop.withdraw(key) ? deadlineExceeded : this.#timeoutReason(startedAt),
    }));
    this.watchHub.tick(now);
  }

  /** Source: etcd server/etcdserver/v3_server.go parseProposeCtxErr. */
  #timeoutReason(startedAt: number): Refusal {
    const led = this.#ledSince;
    if (led !== undefined && startedAt > led - 2 * this.electionTimeoutMs && startedAt < led)
      return "timeoutDueToLeaderFail";
    if (this.leader !== 0n && !this.#isConnectedSince(startedAt)) return "timeoutDueToConnectionLost";
    return "timeout";
  }

  /** To a quorum when this member leads, else to the leader. */
  #isConnectedSince(since: number): boolean {
    const isConnected = (id: bigint): boolean => {
      const activeSince = id === this.memberId ? 0 : this.#parts.transport?.activeSince(id);
      return activeSince !== undefined && activeSince < since;
    };
    if (!this.isLeader) return isConnected(this.leader);
    const members = this.membership.members();
    return members.filter((member) => isConnected(member.id)).length >= Math.floor(members.length / 2) + 1;
  }

  #isAwaited(id: bigint): boolean {
    const key = this.ids.suffixOf(id);
    return key !== undefined && this.#proposals.has(key);
  }

  #settle(id: bigint, outcome: Outcome): void {
    const refusedForSpace = outcome.kind === "refused" && outcome.reason === "noSpace";
    if (refusedForSpace && !this.alarms.has(1)) return this.#settleAfterAlarm(id, outcome);
    this.#settleNow(id, outcome);
    if (this.mvcc.compactionPending) this.#compactSoon();
  }

  /** Apart from `#settle`, which would make the closure's context with each result. */
  #settleAfterAlarm(id: bigint, outcome: Outcome): void {
    this.raiseNoSpace(() => this.#settleNow(id, outcome));
  }

  #settleNow(id: bigint, outcome: Outcome): void {
    const key = this.ids.suffixOf(id);
    if (key !== undefined) this.#proposals.settle(key, outcome);
  }

  #softStateChanged(state: SoftState): void {
    const previous = this.#lastSoftState;
    this.#lastSoftState = state;
    const isLeader = this.isLeader;
    if (!isLeader) this.lessor.demote();
    if (state.lead === previous.lead) return;
    if (isLeader) this.#ledSince = this.clock.now();
    if (state.lead !== 0n) {
      this.#parts.metrics.leaderChanges++;
      this.logger.log("info", previous.lead === 0n ? "raft.node elected leader" : "raft.node changed leader", {
        leader: state.lead.toString(16),
      });
      this.#reads.leaderChanged();
    } else this.logger.log("info", "raft.node lost leader", { leader: previous.lead.toString(16) });
    for (const listener of this.#leaderListeners) listener();
  }
  #lastSoftState: SoftState = { lead: 0n, raftState: 0 };

  #termBegan(): void {
    if (this.isLeader) {
      this.lessor.promote(this.clock.now(), this.electionTimeoutMs);
      this.#refreshLeases();
    }
    this.#reads.firstCommitInTerm();
    for (const listener of this.#termListeners) listener();
  }

  /** Gives the leases their new expiries in steps between other work. */
  #refreshLeases(): void {
    this.clock.defer(() => {
      if (!this.#stopped && this.lessor.promotionStep()) this.#refreshLeases();
    });
  }

  #applyConfChange(change: ConfChange): ReturnType<RaftLoop["applyConfChange"]> {
    const confState = this.#loop.applyConfChange(change);
    this.#updateInLoopWrites();
    return confState;
  }

  #membershipChanged(effect: MembershipEffect): void {
    this.#parts.transport?.membershipChanged(effect);
  }

  /**
   * Raft has taken a snapshot and the log says so: the database received with it replaces the live one, and everything
   * that is kept in memory of it. Until the last step reads answer from the old state.
   *
   * Source: etcd server/etcdserver/server.go applySnapshot.
   */
  async #installSnapshot({ metadata }: Snapshot): Promise<void> {
    const { received, makeLive, defragmentation, transport } = this.#parts;
    const { index, term, confState } = metadata;
    this.logger.log("info", "applying snapshot", { "snapshot-index": index, "applied-index": this.#applier.index });
    // Entries before the snapshot may still be applied; raft hands out no others until it is installed.
    while (!this.#applier.isIdle && !this.#stopped) await new Promise<void>((next) => this.clock.defer(next));
    if (this.#stopped) return;
    assert(index > this.#applier.index, "raft takes snapshots that are ahead only");
    this.#installing = true;
    await defragmentation.abort("a snapshot of the leader is being installed");
    const { database, removePrevious } = await received.take(index);
    const live = makeLive(database);
    const { backend } = live;
    const budget = new Budget(0);
    const task = this.#machine.restoreTask(backend, budget);
    for (;;) {
      budget.left = sliceUnits;
      if (task.next().done === true) break;
      await new Promise<void>((next) => this.clock.defer(next));
      if (this.#stopped) return backend.close();
    }
    const previous = this.backend;
    this.#live = live;
    this.#applier.jumpTo(index, term, confState);
    this.#committedIndex = Math.max(this.#committedIndex, index);
    this.watchHub.restored();
    this.syncWatchersSoon();
    this.#updateInLoopWrites();
    transport?.membershipReplaced(this.membership.members());
    this.#logKeeper.installed(index);
    this.#reads.applied(index);
    this.#appliedWaits.applied(index);
    if (this.mvcc.compactionPending) this.#compactSoon();
    this.images.abort();
    await previous.close();
    await removePrevious();
    this.#installing = false;
    this.logger.log("info", "applied snapshot", { "snapshot-index": index, term });
  }

  /** The log overtook a snapshot that raft did not want. */
  #forgetUnusedSnapshot(applied: number): void {
    const { received, failed } = this.#parts;
    if (received.waitingIndex === undefined) return;
    received.applied(applied).catch((error: unknown) => {
      failed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** The only voter needs not wait for anybody's heartbeats before it stands for election. */
  #campaignIfAlone(): void {
    const { voters } = this.#applier.confState;
    if (this.leader === 0n && voters.length === 1 && voters[0] === this.memberId) this.#loop.campaign();
  }

  /** A write in the loop delays only this member's own clients, so it is allowed while there are no others. */
  #updateInLoopWrites(): void {
    this.#loop.mayWriteInLoop = this.membership.members().length <= 1;
  }

  #confirmLeadership(done: (leads: boolean) => void): void {
    if (!this.isLeader) return done(false);
    if (this.#ticker.idleMs < 3 * this.settings.heartbeatMs) return done(true);
    this.#confirmLeadershipByQuorum(done);
  }

  /** Ticks in time do not prove it: after a pause, the tick may come before the timer of whoever asks (etcd issue 15247). */
  #confirmLeadershipByQuorum(done: (leads: boolean) => void): void {
    if (!this.isLeader) return done(false);
    this.linearizableRead((refusal) => done(refusal === undefined && this.isLeader));
  }

  #proposeRevoke(id: bigint, done: () => void): void {
    const bytes = new Uint8Array(sizeLeaseRevokeRequest({ id }));
    encodeLeaseRevokeRequest({ id }, bytes, 0);
    this.propose(InternalField.leaseRevoke, bytes, done);
  }

  #proposeCompaction(revision: number, done: (isCompacted: boolean) => void): void {
    const bytes = new Uint8Array(sizeCompactionRequest({ revision }));
    encodeCompactionRequest({ revision }, bytes, 0);
    this.propose(InternalField.compaction, bytes, (outcome) => {
      done(outcome.kind === "compaction" || (outcome.kind === "refused" && outcome.reason === "compacted"));
    });
  }

  #proposeCheckpoints(checkpoints: readonly LeaseCheckpointInit[], done: () => void): void {
    const bytes = new Uint8Array(sizeLeaseCheckpointRequest({ checkpoints }));
    encodeLeaseCheckpointRequest({ checkpoints }, bytes, 0);
    this.propose(InternalField.leaseCheckpoint, bytes, done);
  }

  /** Watchers are behind: catches them up in steps between other work. */
  syncWatchersSoon(): void {
    if (this.#syncing || this.#stopped) return;
    this.#syncing = true;
    this.clock.defer(() => {
      this.#syncing = false;
      if (!this.#stopped && this.watchHub.syncStep()) this.syncWatchersSoon();
    });
  }

  /** Compacts in batches, with a pause after each, so that requests come in between. */
  #compactSoon(): void {
    if (this.#compacting || this.#stopped) return;
    this.#compacting = true;
    this.clock.setTimer(this.settings.compactionSleepMs, () => {
      this.#compacting = false;
      if (this.#stopped) return;
      if (this.#machine.compactionStep(this.settings.compactionBatchLimit)) this.#compactSoon();
    });
  }
}

const storageVersionKey = bytesFromLatin1("storageVersion");

function encodeHeaderParts(fields: ResponseHeaderInit): HeaderParts {
  const encode = (part: ResponseHeaderInit): Uint8Array => {
    const bytes = new Uint8Array(sizeResponseHeader(part));
    encodeResponseHeader(part, bytes, 0);
    return bytes;
  };
  const { raftTerm, ...ids } = fields;
  return { beforeRevision: encode(ids), afterRevision: encode({ raftTerm }) };
}

function startOf(log: MemoryStorage): { index: number; term: number } {
  const index = log.firstIndex() - 1;
  const term = log.term(index);
  return { index, term: typeof term === "number" ? term : 0 };
}
