/**
 * A running member: what its services and its peers may ask of it. It owns the node loop, the applier, the reads, the
 * leases' loop and the log keeper, and wires them together; each of them is explained in its own file.
 *
 * Source: etcd server/etcdserver/server.go, v3_server.go.
 */

import { bytesFromLatin1, decodeUtf8, type InternalField, limits, type Reason } from "@etcd-ts/api";
import { AlarmType } from "@etcd-ts/api/etcdserverpb";
import type { ServerCall } from "@etcd-ts/grpc";
import { type ConfChange, isLocalTarget, type MemoryStorage, type Message, none, type Status } from "@etcd-ts/raft";
import {
  type AlarmStore,
  type Connections,
  computeMemberId,
  type HeaderParts,
  type Lessor,
  type Membership,
  type Mvcc,
  type Outcome,
  type Quota,
  type SlicedRead,
  type StateMachine,
  type WatchHub,
} from "@etcd-ts/store";
import type { BufferedBackend } from "../backend/buffered-backend.js";
import type { Clock, Digest, Logger, Random } from "../env.js";
import { MeasuredLog } from "../metrics/measured.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import { mirrorState } from "../metrics/mirror-state.js";
import { runSlices, sliceUnits } from "../slices.js";
import { ImageMaker } from "../snapshot/image-maker.js";
import { SnapshotRefusedError } from "../snapshot/received-snapshots.js";
import { AnswerHeaders } from "./answer-headers.js";
import { AppliedWaits } from "./applied-waits.js";
import { Applier, type ConfChangeOutcome } from "./applier.js";
import { type AutoCompactor, createAutoCompactor } from "./auto-compactor.js";
import { BackgroundWork } from "./background-work.js";
import { defragment } from "./defragment.js";
import { FlushQueue } from "./flush-queue.js";
import { Leadership } from "./leadership.js";
import { LeaseLoop } from "./lease-loop.js";
import { Leases } from "./leases.js";
import { LogKeeper } from "./log-keeper.js";
import type { Live, MemberParts, MemberSettings } from "./member-parts.js";
import { OwnRequests } from "./own-requests.js";
import { type ProposalDone, Proposals } from "./proposals.js";
import { RaftLoop } from "./raft-loop.js";
import { type ReadDone, ReadIndexLoop } from "./read-index.js";
import type { Refusal } from "./refusal.js";
import { RequestIds } from "./request-ids.js";
import { SnapshotInstaller } from "./snapshot-installer.js";
import { Ticker } from "./ticker.js";

const snapshotComes: Refusal = { code: 14, message: "etcdserver: a snapshot of the leader replaces the database" };
const readersMax = 100_000;
/** Source: etcd server.go HealthInterval. */
const healthIntervalMs = 5000;
/** Source: etcd readIndexRetryTime. */
const readRetryMs = 500;
/** Encoded bytes of proposals in one message to raft. Source: etcd maxSizePerMsg. */
const proposalBatchBytesMax = 1024 * 1024;
/** Entries kept for slow followers at most; one further behind gets a snapshot. */
const logMemoryBytesMax = 256 * 1024 * 1024;

export class Member {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly digest: Digest;
  readonly settings: MemberSettings;
  readonly metrics: MemberMetrics;
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
  readonly headers: AnswerHeaders;
  readonly #parts: MemberParts;
  #live: Live;
  readonly #machine: StateMachine;
  readonly #loop: RaftLoop;
  readonly #applier: Applier;
  readonly #reads: ReadIndexLoop;
  readonly #appliedWaits = new AppliedWaits();
  readonly #proposals: Proposals;
  readonly #ownRequests: OwnRequests;
  readonly #leadership: Leadership;
  readonly #background: BackgroundWork;
  readonly #leaseLoop: LeaseLoop;
  readonly #logKeeper: LogKeeper;
  readonly #installer: SnapshotInstaller;
  readonly #autoCompactor: AutoCompactor | undefined;
  readonly #ticker: Ticker;
  #committedIndex = 0;
  #stopped = false;
  #flushAnswers: () => void = () => {};

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.clusterId = parts.clusterId;
    this.memberId = parts.memberId;
    this.clock = parts.clock;
    this.random = parts.random;
    this.logger = parts.logger;
    this.digest = parts.digest;
    this.settings = parts.settings;
    this.metrics = parts.metrics;
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
    this.headers = new AnswerHeaders(parts, () => this.appliedTerm);
    this.#background = new BackgroundWork({ ...parts, ...parts.settings });
    this.#loop = new RaftLoop({
      raft: parts.raft,
      log: parts.log,
      writer: new MeasuredLog(parts.wal, parts.clock, parts.metrics),
      clock: parts.clock,
      logger: parts.logger,
      electionTimeoutMs: this.electionTimeoutMs,
      proposalBatchBytesMax,
      events: {
        softStateChanged: (state) => this.#leadership.softStateChanged(state),
        readConfirmed: (context, index) => this.#reads.confirmed(context, index),
        committed: (entries, applied) => {
          this.#committedIndex = entries.at(-1)?.index ?? this.#committedIndex;
          this.#applier.enqueue(entries, applied);
        },
        snapshotPersisted: (snapshot, installed) => this.#installer.install(snapshot, installed),
        send: (messages) => parts.transport?.send(messages),
        proposalDropped: (key, reason) => this.#proposals.dropped(key, reason),
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
        unitsPerTurn: parts.settings.applyUnitsPerTurn,
        machine: parts.machine,
        membership: parts.membership,
        backend: () => this.backend,
        applyConfChange: (change) => this.#applyConfChange(change),
        wantsResult: (id) => this.#proposals.isAwaited(id),
        settle: (id, outcome) => this.#settle(id, outcome),
        settleConfChange: (id, outcome) => this.#proposals.settleConfChange(id, outcome),
        membershipChanged: (effect) => parts.transport?.membershipChanged(effect),
        termBegan: () => this.#termBegan(),
        progressed: (applied, appliedTerm, confState, bytes) => {
          this.#reads.applied(applied);
          this.#appliedWaits.applied(applied);
          this.#logKeeper.applied(applied, appliedTerm, confState, bytes);
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
        counts: parts.metrics,
      },
      { timeoutMs: this.requestTimeoutMs, retryMs: readRetryMs, readersMax },
    );
    this.#leadership = new Leadership({
      memberId: parts.memberId,
      clock: parts.clock,
      logger: parts.logger,
      loop: this.#loop,
      membership: parts.membership,
      lessor: parts.lessor,
      heartbeatMs: parts.settings.heartbeatMs,
      electionTimeoutMs: this.electionTimeoutMs,
      requestTimeoutMs: this.requestTimeoutMs,
      activeSince: (id) => parts.transport?.activeSince(id),
      tickIdleMs: () => this.#ticker.idleMs,
      linearizableRead: (done) => this.linearizableRead(done),
      heartbeatsLate: () => {
        parts.metrics.heartbeatSendFailures++;
      },
      leaderFound: () => {
        parts.metrics.leaderChanges++;
        this.#reads.leaderChanged();
      },
    });
    this.#proposals = new Proposals({
      clock: parts.clock,
      ids: this.ids,
      loop: this.#loop,
      maxRequestBytes: parts.settings.maxRequestBytes,
      timeoutMs: this.requestTimeoutMs,
      applyLag: () => this.#committedIndex - this.#applier.index,
      overloaded: () => {
        parts.metrics.proposalsFailed++;
      },
      takesConfChanges: () => this.#takesConfChanges,
      timeoutReason: (startedAt) => this.#leadership.timeoutReason(startedAt),
    });
    this.#ownRequests = new OwnRequests(parts.memberId, this.#proposals);
    this.leases = new Leases({
      clock: parts.clock,
      lessor: parts.lessor,
      isLeader: () => this.isLeader,
      confirmLeadership: (done) => this.#leadership.confirm(done),
      waitApplied: (timeoutMs, done) => this.waitApplied(timeoutMs, done),
      clearRemainingTtl: (id, done) => this.#ownRequests.checkpoint([{ id, remainingTtl: 0 }], done),
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
      confirmLeadership: (done) => this.#leadership.confirmByQuorum(done),
      revoke: (id, done) => this.#ownRequests.revoke(id, done),
      checkpoint: (checkpoints) => this.#ownRequests.checkpoint(checkpoints, () => {}),
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
    this.#installer = new SnapshotInstaller({
      clock: parts.clock,
      logger: parts.logger,
      received: parts.received,
      defragmentation: parts.defragmentation,
      machine: parts.machine,
      mvcc: parts.mvcc,
      applier: this.#applier,
      counts: parts.metrics,
      makeLive: (database) => parts.makeLive(database),
      installed: (live, index) => this.#snapshotInstalled(live, index),
      failed: (error) => parts.failed(error),
    });
    this.#autoCompactor = createAutoCompactor(
      {
        clock: parts.clock,
        logger: parts.logger,
        isLeader: () => this.isLeader,
        currentRevision: () => this.mvcc.currentRevision(),
        compact: (revision, done) => this.#ownRequests.compact(revision, done),
      },
      parts.settings.autoCompaction,
    );
    this.#ticker = new Ticker(parts.clock, parts.settings.heartbeatMs, (idleMs) => this.#tick(idleMs));
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
    await this.#leadership.transferBeforeStop();
    this.#stopped = true;
    this.#ticker.stop();
    this.#leaseLoop.stop();
    this.#autoCompactor?.stop();
    this.#logKeeper.stop();
    this.#loop.stop();
    this.#applier.stop();
    this.#installer.stop();
    this.#reads.stop();
    this.#appliedWaits.stop();
    this.#background.stop();
    this.#proposals.stop();
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
    return this.#leadership.leader;
  }

  get isLeader(): boolean {
    return this.#leadership.isLeader;
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
    return this.headers.parts;
  }

  /** Fields of a ResponseHeader; revision 0 is left out. */
  headerFields(revision: number): ReturnType<AnswerHeaders["fields"]> {
    return this.headers.fields(revision);
  }

  /** Proposals that wait for their result. */
  get proposalsPending(): number {
    return this.#proposals.count;
  }

  raftStatus(): Status {
    return this.#parts.raft.status();
  }

  /** Brings the metrics up to date that mirror a state. */
  refreshMetrics(): void {
    mirrorState(this, this.#parts.metrics);
  }

  /** Called whenever the leader that this member knows changes; returns a function that ends it. */
  onLeaderChange(listener: () => void): () => void {
    return this.#leadership.onLeaderChange(listener);
  }

  /** Called when the first entry of a leader's term has been applied; returns a function that ends it. */
  onTermBegan(listener: () => void): () => void {
    return this.#leadership.onTermBegan(listener);
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
    this.#proposals.propose(field, request, done);
  }

  /** Proposes a configuration change and waits until it is in force, or for good: returns a function that gives up. */
  proposeConfChange(change: Omit<ConfChange, "id">, done: (outcome: ConfChangeOutcome) => void): () => void {
    return this.#proposals.proposeConfChange(change, done);
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
    this.#leadership.moveLeader(to, done);
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
    const giveUp = runSlices(this.clock, () => read.step(sliceUnits), done);
    return () => {
      giveUp();
      read.cancel();
    };
  }

  /** Raises the NOSPACE alarm for this member; `done` once that has been applied or has failed. */
  raiseNoSpace(done: () => void): void {
    this.#ownRequests.raiseNoSpace(done);
  }

  /** Raises the CORRUPT alarm for a member; 0n = nobody can tell for which. */
  raiseCorrupt(memberId: bigint, done: ProposalDone): void {
    this.#ownRequests.raiseCorrupt(memberId, done);
  }

  /** Watchers are behind: catches them up in steps between other work. */
  syncWatchersSoon(): void {
    this.#background.syncWatchers();
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

  /** A message from another member. */
  receive(message: Message): void {
    // Raft would take it for an answer of this member's own storage.
    if (isLocalTarget(message.from)) return;
    this.#loop.step(message);
  }

  /**
   * A snapshot message from another member with its database in `body`. Resolves when raft was told of it, whether it
   * wanted it or not; rejects as `ReceivedSnapshots.receive`.
   */
  async receiveSnapshot(message: Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const index = message.snapshot?.metadata.index ?? 0;
    if (index === 0) throw new SnapshotRefusedError("the message has no snapshot");
    await this.#installer.receive(body, index, () => this.#loop.offerSnapshot(message));
  }

  /**
   * Gives the database's free pages back to the disk while it serves. Resolves when that is done, or with the reason
   * why it was not, and then everything is as before.
   */
  defragment(): Promise<Refusal | undefined> {
    return this.#installer.isReplacing ? Promise.resolve(snapshotComes) : defragment(this.#live, this.#parts);
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

  #tick(idleMs: number): void {
    this.#leadership.ticked(idleMs);
    this.#loop.tick();
    this.#reads.tick();
    const now = this.clock.now();
    this.#appliedWaits.tick(now);
    this.#proposals.tick(now);
    this.watchHub.tick(now);
  }

  #settle(id: bigint, outcome: Outcome): void {
    const refusedForSpace = outcome.kind === "refused" && outcome.reason === "noSpace";
    if (refusedForSpace && !this.alarms.has(AlarmType.NOSPACE)) return this.#settleAfterAlarm(id, outcome);
    this.#proposals.settle(id, outcome);
    if (this.mvcc.compactionPending) this.#background.compact();
  }

  /** Apart from `#settle`, which would make the closure's context with each result. */
  #settleAfterAlarm(id: bigint, outcome: Outcome): void {
    this.raiseNoSpace(() => this.#proposals.settle(id, outcome));
  }

  #termBegan(): void {
    if (this.isLeader) {
      this.lessor.promote(this.clock.now(), this.electionTimeoutMs);
      this.#background.refreshLeases();
    }
    this.#reads.firstCommitInTerm();
    this.#leadership.termBegan();
  }

  #applyConfChange(change: ConfChange): ReturnType<RaftLoop["applyConfChange"]> {
    const confState = this.#loop.applyConfChange(change);
    this.#updateInLoopWrites();
    return confState;
  }

  /** A snapshot has replaced the state: returns the database of before. */
  #snapshotInstalled(live: Live, index: number): Live {
    const previous = this.#live;
    this.#live = live;
    this.#committedIndex = Math.max(this.#committedIndex, index);
    this.watchHub.restored();
    this.syncWatchersSoon();
    this.#updateInLoopWrites();
    this.#parts.transport?.membershipReplaced(this.membership.members());
    this.#logKeeper.installed(index);
    this.#reads.applied(index);
    this.#appliedWaits.applied(index);
    if (this.mvcc.compactionPending) this.#background.compact();
    this.images.abort();
    return previous;
  }

  /**
   * A new leader takes none before it has applied what came before its term: raft puts an empty entry in place of it,
   * and its client would wait in vain.
   */
  get #takesConfChanges(): boolean {
    const { softState, hardState } = this.#parts.raft.basicStatus();
    return softState.lead !== none && hardState.term === this.appliedTerm;
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
}

const storageVersionKey = bytesFromLatin1("storageVersion");

function startOf(log: MemoryStorage): { index: number; term: number } {
  const index = log.firstIndex() - 1;
  const term = log.term(index);
  return { index, term: typeof term === "number" ? term : 0 };
}
