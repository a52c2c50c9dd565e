import { Changer, type ConfChangeFault, restoreConfig } from "./changer.js";
import { type ConfChange, type ConfChangeV2, entersJoint, leavesJoint, toConfChangeV2 } from "./conf-change.js";
import type { CompleteConfig } from "./config.js";
import { describeConfig, describeId, describeMessageType } from "./describe.js";
import { assert, malformed, RaftError, type Refusal } from "./errors.js";
import { RaftLog } from "./log.js";
import type { Logger } from "./logger.js";
import { appMessage, appRespMessage, isAfterAppend } from "./messages.js";
import type { Progress } from "./progress.js";
import { ReadOnly } from "./read-only.js";
import { entriesSize, payloadsSize } from "./size.js";
import { stepCandidate } from "./step-candidate.js";
import { stepFollower } from "./step-follower.js";
import { stepLeader } from "./step-leader.js";
import { storageRefusalText } from "./storage.js";
import { ProgressTracker, type Tracking } from "./tracker.js";
import {
  type ConfState,
  createMessage,
  type Entry,
  EntryType,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  type Message,
  MessageType,
  type NodeId,
  none,
  RaftState,
  type ReadState,
  type Snapshot,
  type SoftState,
} from "./types.js";

/** What an election is held for. `transfer` skips the pre-vote and the lease of the voters. */
export type CampaignKind = "pre-election" | "election" | "transfer";

/** The context of vote requests that a leader itself has asked for. Source: etcd-io/raft `campaignTransfer`. */
const transferContext = Uint8Array.from("CampaignTransfer", (letter) => letter.charCodeAt(0));

/** Bytes of entries read at once when looking for configuration changes. */
const scanPageSize = 1 << 20;

/**
 * The Raft state machine of one node: what it knows, and what it does in every role (the roles' own steps are in
 * `step-*.ts`). It changes only by `step` and `tick`; what it wants sent, persisted or applied it leaves in `messages`,
 * `messagesAfterAppend`, `log` and `readStates`, for `RawNode` to collect.
 *
 * Source: etcd-io/raft raft.go; Ongaro's thesis, "Consensus: Bridging Theory and Practice".
 */
export class Raft {
  readonly id: NodeId;
  /** The own id as log lines show it. */
  readonly name: string;
  readonly config: CompleteConfig;
  readonly logger: Logger;
  readonly log: RaftLog;
  tracker: ProgressTracker;

  term = 0;
  vote: NodeId = none;
  state: RaftState = RaftState.follower;
  lead: NodeId = none;
  /** Only a leader has one: to whom it hands over. */
  leadTransferee: NodeId = none;

  /** To be sent at once. */
  messages: Message[] = [];
  /** To be sent when all that is unstable now is durable; may be addressed to the node itself. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  readOnly: ReadOnly = new ReadOnly();
  /** Reads that came before the leader committed an entry of its term. Survives a loss of leadership. */
  readsBeforeFirstCommit: Message[] = [];

  /** A configuration change may be in the log between `applied` and this index: no other may be proposed. */
  pendingConfIndex = 0;
  /** Payload bytes proposed in this term and not yet committed and applied. */
  #uncommittedSize = 0;

  /** Ticks since the leader was heard of or, on a leader, since the last quorum check. */
  electionElapsed = 0;
  /** Ticks since the last heartbeat was sent. */
  #heartbeatElapsed = 0;
  /** Drawn anew at every change of role, so that nodes do not campaign in step. Source: paper §5.2. */
  randomizedElectionTimeout = 0;

  constructor(config: CompleteConfig) {
    this.id = config.id;
    this.name = describeId(config.id);
    this.config = config;
    this.logger = config.logger;
    this.log = new RaftLog(config.storage, {
      logger: config.logger,
      maxApplyingSize: config.maxCommittedSizePerReady,
    });
    this.tracker = this.#newTracker();
    const { hardState, confState } = config.storage.initialState();
    const fault = restoreConfig(this.tracker, this.log.lastIndex(), confState);
    if (fault !== undefined) throw new RaftError("invalid-storage", `unable to restore config: ${fault.fault}`);
    this.#switchedConfig();
    if (!isEmptyHardState(hardState)) this.#loadState(hardState);
    if (config.applied > 0) this.log.appliedTo(config.applied, 0);
    this.becomeFollower(this.term, none);
    const peers = this.tracker.voterIds().map(describeId).join(",");
    this.logger.info(
      `newRaft ${this.name} [peers: [${peers}], term: ${this.term}, commit: ${this.log.committed}, ` +
        `applied: ${this.log.applied}, lastindex: ${this.log.lastIndex()}, lastterm: ${this.log.lastTerm()}]`,
    );
  }

  #newTracker(): ProgressTracker {
    return new ProgressTracker(this.config.maxInflightMessages, this.config.maxInflightBytes);
  }

  get softState(): SoftState {
    return { lead: this.lead, raftState: this.state };
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  #loadState(state: HardState): void {
    const { committed } = this.log;
    if (state.commit < committed || state.commit > this.log.lastIndex()) {
      throw new RaftError(
        "invalid-storage",
        `${this.name} state.commit ${state.commit} is out of range [${committed}, ${this.log.lastIndex()}]`,
      );
    }
    this.log.committed = state.commit;
    this.term = state.term;
    this.vote = state.vote;
  }

  // ---- Sending ----------------------------------------------------------------------------------------------------

  /** Sends a message of the own term, from the node itself. */
  send(fields: Partial<Message> & Pick<Message, "type" | "to">): void {
    this.post(createMessage({ from: this.id, term: this.term, ...fields }));
  }

  /** Passes a message on to the leader; proposals and reads travel without a term. */
  forwardToLeader(message: Message): void {
    const term = message.type === MessageType.transferLeader ? this.term : 0;
    this.post({ ...message, from: message.from === none ? this.id : message.from, to: this.lead, term });
  }

  /** Queues a complete message. */
  post(message: Message): void {
    if (isAfterAppend(message.type)) {
      this.messagesAfterAppend.push(message);
      return;
    }
    assert(message.to !== this.id, "a message that need not wait for the disk is addressed to the node itself");
    this.messages.push(message);
  }

  /** Sends entries, or a snapshot, or just the commit index. */
  sendAppend(to: Progress): void {
    this.maybeSendAppend(to, { evenIfEmpty: true });
  }

  /** Sends what the flow control lets through, and returns whether there was something to send. */
  maybeSendAppend(to: Progress, { evenIfEmpty }: { readonly evenIfEmpty: boolean }): boolean {
    if (to.paused) return false;
    const prevIndex = to.next - 1;
    const prevTerm = this.log.term(prevIndex);
    if (typeof prevTerm !== "number") return this.#maybeSendSnapshot(to);
    // With a full window only empty appends go, so that a follower that lost all of them still answers with a
    // rejection.
    const mayCarry = to.state !== "replicate" || !to.inflights.full;
    const entries = mayCarry ? this.log.entriesFrom(to.next, this.config.maxSizePerMessage) : [];
    if (!evenIfEmpty && (entries === "compacted" || entries.length === 0)) return false;
    if (entries === "compacted") return this.#maybeSendSnapshot(to);
    const { committed } = this.log;
    this.messages.push(appMessage({ from: this.id, term: this.term }, to.id, prevIndex, prevTerm, entries, committed));
    to.sentEntries(entries.length, payloadsSize(entries));
    to.sentCommit(committed);
    return true;
  }

  #maybeSendSnapshot(to: Progress): boolean {
    const peer = describeId(to.id);
    if (!to.recentActive) {
      this.logger.debug(`ignore sending snapshot to ${peer} since it is not recently active`);
      return false;
    }
    const snapshot = this.log.snapshot();
    if (snapshot === "snapshot-temporarily-unavailable") {
      this.logger.debug(`${this.name} failed to send snapshot to ${peer} because snapshot is temporarily unavailable`);
      return false;
    }
    if (typeof snapshot === "string") throw new RaftError("invalid-storage", storageRefusalText[snapshot]);
    if (isEmptySnapshot(snapshot)) throw new RaftError("invalid-storage", "need non-empty snapshot");
    const { index, term } = snapshot.metadata;
    this.logger.debug(
      `${this.name} [firstindex: ${this.log.firstIndex()}, commit: ${this.log.committed}] ` +
        `sent snapshot[index: ${index}, term: ${term}] to ${peer} [${to.describe()}]`,
    );
    to.becomeSnapshot(index);
    this.logger.debug(`${this.name} paused sending replication messages to ${peer} [${to.describe()}]`);
    this.send({ type: MessageType.snap, to: to.id, snapshot });
    return true;
  }

  broadcastAppend(): void {
    for (const progress of this.tracker.progress) {
      if (progress.id !== this.id) this.sendAppend(progress);
    }
  }

  broadcastHeartbeat(): void {
    const context = this.readOnly.heartbeatContext();
    for (const progress of this.tracker.progress) {
      if (progress.id === this.id) continue;
      // A follower must not learn of a commit index that its log may not have reached.
      const commit = Math.min(progress.match, this.log.committed);
      this.send({ type: MessageType.heartbeat, to: progress.id, commit, context });
      progress.sentCommit(commit);
    }
  }

  sendTimeoutNow(to: NodeId): void {
    this.send({ type: MessageType.timeoutNow, to });
  }

  // ---- Roles ------------------------------------------------------------------------------------------------------

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = none;
    }
    this.lead = none;
    this.electionElapsed = 0;
    this.#heartbeatElapsed = 0;
    this.#drawElectionTimeout();
    this.abortLeaderTransfer();
    this.tracker.resetVotes();
    const last = this.log.lastIndex();
    for (const progress of this.tracker.progress) progress.reset(progress.id === this.id ? last : 0, last + 1);
    this.pendingConfIndex = 0;
    this.#uncommittedSize = 0;
    this.readOnly = new ReadOnly();
  }

  #drawElectionTimeout(): void {
    const { electionTick, random } = this.config;
    this.randomizedElectionTimeout = electionTick + random(electionTick);
  }

  abortLeaderTransfer(): void {
    this.leadTransferee = none;
  }

  becomeFollower(term: number, lead: NodeId): void {
    this.#reset(term);
    this.lead = lead;
    this.state = RaftState.follower;
    this.logger.info(`${this.name} became follower at term ${this.term}`);
  }

  #becomeCandidate(): void {
    assert(this.state !== RaftState.leader, "invalid transition [leader -> candidate]");
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = RaftState.candidate;
    this.logger.info(`${this.name} became candidate at term ${this.term}`);
  }

  /** Neither term nor vote changes: a pre-candidate only asks what would happen. Source: thesis §9.6. */
  #becomePreCandidate(): void {
    assert(this.state !== RaftState.leader, "invalid transition [leader -> pre-candidate]");
    this.tracker.resetVotes();
    this.lead = none;
    this.state = RaftState.preCandidate;
    this.logger.info(`${this.name} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    assert(this.state !== RaftState.follower, "invalid transition [follower -> leader]");
    this.#reset(this.term);
    this.lead = this.id;
    this.state = RaftState.leader;
    const own = this.tracker.get(this.id);
    assert(own !== undefined, "a leader is in its configuration");
    own.becomeReplicate();
    own.recentActive = true;
    // A change may be among the entries taken over; looking for it could be expensive, and waiting does no harm.
    this.pendingConfIndex = this.log.lastIndex();
    // Its commit tells that everything before it is committed (paper §5.4.2). It is empty: never refused for its size.
    const appended = this.appendEntries([{ type: EntryType.normal, data: undefined }]);
    assert(appended, "the empty entry was refused");
    this.logger.info(`${this.name} became leader at term ${this.term}`);
  }

  // ---- Time -------------------------------------------------------------------------------------------------------

  tick(): void {
    if (this.state === RaftState.leader) this.#tickLeader();
    else this.#tickElection();
  }

  #tickElection(): void {
    this.electionElapsed++;
    if (!this.promotable() || this.electionElapsed < this.randomizedElectionTimeout) return;
    this.electionElapsed = 0;
    this.step(createMessage({ type: MessageType.hup, from: this.id }));
  }

  #tickLeader(): void {
    this.#heartbeatElapsed++;
    this.electionElapsed++;
    if (this.electionElapsed >= this.config.electionTick) {
      this.electionElapsed = 0;
      if (this.config.checkQuorum) this.step(createMessage({ type: MessageType.checkQuorum, from: this.id }));
      if (this.state !== RaftState.leader) return;
      // A transferee that has not taken over by now is given up, so that proposals are accepted again.
      this.abortLeaderTransfer();
    }
    if (this.#heartbeatElapsed >= this.config.heartbeatTick) {
      this.#heartbeatElapsed = 0;
      this.step(createMessage({ type: MessageType.beat, from: this.id }));
    }
  }

  // ---- Elections --------------------------------------------------------------------------------------------------

  /** Whether the node may become leader: it is a voter, and not about to replace its log by a snapshot. */
  promotable(): boolean {
    const own = this.tracker.get(this.id);
    return own !== undefined && !own.isLearner && !this.log.hasPendingSnapshot();
  }

  hup(kind: CampaignKind): void {
    if (this.state === RaftState.leader) {
      this.logger.debug(`${this.name} ignoring MsgHup because already leader`);
    } else if (!this.promotable()) {
      this.logger.warning(`${this.name} is unpromotable and can not campaign`);
    } else if (this.#hasUnappliedConfChange()) {
      this.logger.warning(
        `${this.name} cannot campaign at term ${this.term} since there are still pending configuration changes to apply`,
      );
    } else {
      this.logger.info(`${this.name} is starting a new election at term ${this.term}`);
      this.campaign(kind);
    }
  }

  #hasUnappliedConfChange(): boolean {
    const end = this.log.committed + 1;
    for (let lo = this.log.applied + 1; lo < end; ) {
      const page = this.log.slice(lo, end, scanPageSize);
      if (page === "compacted") throw new RaftError("invalid-storage", "unapplied entries were compacted");
      if (page.some((entry) => entry.type !== EntryType.normal)) return true;
      lo += page.length;
    }
    return false;
  }

  campaign(kind: CampaignKind): void {
    if (kind === "pre-election") this.#becomePreCandidate();
    else this.#becomeCandidate();
    const preVote = kind === "pre-election";
    const type = preVote ? MessageType.preVote : MessageType.vote;
    const term = preVote ? this.term + 1 : this.term;
    const index = this.log.lastIndex();
    const logTerm = this.log.lastTerm();
    const context = kind === "transfer" ? transferContext : undefined;
    for (const id of this.tracker.voterIds()) {
      if (id === this.id) {
        // The own vote counts when it is durable, like any other's.
        this.send({ type: preVote ? MessageType.preVoteResp : MessageType.voteResp, to: id, term });
        continue;
      }
      this.logger.info(
        `${this.name} [logterm: ${logTerm}, index: ${index}] sent ${describeMessageType(type)} request ` +
          `to ${describeId(id)} at term ${this.term}`,
      );
      this.send({ type, to: id, term, index, logTerm, context });
    }
  }

  // ---- Steps ------------------------------------------------------------------------------------------------------

  /**
   * Takes any message, local ones included. A refused message may have changed the term and the leader, nothing else.
   */
  step(message: Message): Refusal | undefined {
    if (message.term > this.term) {
      if (!this.#meetHigherTerm(message)) return undefined;
    } else if (message.term < this.term && message.term !== 0) {
      this.#meetLowerTerm(message);
      return undefined;
    }
    switch (message.type) {
      case MessageType.hup:
        this.hup(this.config.preVote ? "pre-election" : "election");
        return undefined;
      case MessageType.storageAppendResp:
        if (message.index !== 0) this.log.unstable.stableTo(message.index, message.logTerm);
        if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
        return undefined;
      case MessageType.storageApplyResp:
        this.#appliedEntries(message.entries);
        return undefined;
      case MessageType.vote:
      case MessageType.preVote:
        this.#handleVoteRequest(message);
        return undefined;
      default:
        break;
    }
    switch (this.state) {
      case RaftState.leader:
        return stepLeader(this, message);
      case RaftState.follower:
        return stepFollower(this, message);
      default:
        return stepCandidate(this, message);
    }
  }

  /** Returns whether the message is to be handled further. */
  #meetHigherTerm(message: Message): boolean {
    const { type, from, term } = message;
    const isVote = type === MessageType.vote || type === MessageType.preVote;
    if (isVote && this.#inLease() && !isTransfer(message.context)) {
      // A node that hears from a leader does not help to depose it (thesis §4.2.3).
      const remaining = this.config.electionTick - this.electionElapsed;
      this.logger.info(`${this.#voteText("ignored", message)}: lease is not expired (remaining ticks: ${remaining})`);
      return false;
    }
    if (type === MessageType.preVote) return true;
    // Granted pre-votes carry the term that was asked for; it is taken on only when enough of them have come.
    if (type === MessageType.preVoteResp && !message.reject) return true;
    this.logger.info(
      `${this.name} [term: ${this.term}] received a ${describeMessageType(type)} message with higher term ` +
        `from ${describeId(from)} [term: ${term}]`,
    );
    const fromLeader = type === MessageType.app || type === MessageType.heartbeat || type === MessageType.snap;
    this.becomeFollower(term, fromLeader ? from : none);
    return true;
  }

  #inLease(): boolean {
    return this.config.checkQuorum && this.lead !== none && this.electionElapsed < this.config.electionTick;
  }

  #meetLowerTerm(message: Message): void {
    const { type, from, term } = message;
    const fromLeader = type === MessageType.heartbeat || type === MessageType.app;
    if ((this.config.checkQuorum || this.config.preVote) && fromLeader) {
      // Tells a leader of an older term that it was deposed. It could not find out otherwise: our votes would be
      // ignored by those who hear from it, and with pre-vote our term does not spread.
      this.send({ type: MessageType.appResp, to: from });
    } else if (type === MessageType.preVote) {
      this.logger.info(this.#voteText("rejected", message));
      this.send({ type: MessageType.preVoteResp, to: from, reject: true });
    } else if (type === MessageType.storageAppendResp) {
      // Another leader may have replaced the entries meanwhile; a snapshot is of committed entries only.
      if (message.index !== 0) {
        this.logger.info(
          `${this.name} [term: ${this.term}] ignored entry appends from a ${describeMessageType(type)} message ` +
            `with lower term [term: ${term}]`,
        );
      }
      if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
    } else {
      this.logger.info(
        `${this.name} [term: ${this.term}] ignored a ${describeMessageType(type)} message with lower term ` +
          `from ${describeId(from)} [term: ${term}]`,
      );
    }
  }

  #handleVoteRequest(message: Message): void {
    const { from, type } = message;
    const preVote = type === MessageType.preVote;
    const canVote =
      this.vote === from || (this.vote === none && this.lead === none) || (preVote && message.term > this.term);
    const respType = preVote ? MessageType.preVoteResp : MessageType.voteResp;
    if (canVote && this.log.isUpToDate(message.index, message.logTerm)) {
      this.logger.info(this.#voteText("cast", message));
      // A pre-vote is granted at the term asked for: at our own it would be ignored by a candidate that is ahead of us.
      this.send({ type: respType, to: from, term: message.term });
      if (!preVote) {
        this.electionElapsed = 0;
        this.vote = from;
      }
    } else {
      this.logger.info(this.#voteText("rejected", message));
      this.send({ type: respType, to: from, reject: true });
    }
  }

  #voteText(verdict: "cast" | "rejected" | "ignored", { type, from, logTerm, index }: Message): string {
    const name = describeMessageType(type);
    return (
      `${this.name} [logterm: ${this.log.lastTerm()}, index: ${this.log.lastIndex()}, vote: ${describeId(this.vote)}] ` +
      `${verdict} ${name} ${verdict === "cast" ? "for" : "from"} ${describeId(from)} ` +
      `[logterm: ${logTerm}, index: ${index}] at term ${this.term}`
    );
  }

  // ---- Following a leader -----------------------------------------------------------------------------------------

  handleAppend(message: Message): Refusal | undefined {
    const { from, index, logTerm, entries } = message;
    const fault = faultOfEntries(message);
    if (fault !== undefined) return malformed(fault);
    const envelope = { from: this.id, term: this.term };
    if (index < this.log.committed) {
      this.post(appRespMessage(envelope, from, this.log.committed));
      return undefined;
    }
    if (!this.log.matchTerm(index, logTerm)) {
      this.#rejectAppend(message);
      return undefined;
    }
    const last = index + entries.length;
    const conflict = this.log.findConflict(entries);
    if (conflict < entries.length) {
      // Never at or below the commit index, since the entry before is not below it.
      this.log.append(conflict === 0 ? entries : entries.slice(conflict));
    }
    this.log.commitTo(Math.min(message.commit, last));
    this.post(appRespMessage(envelope, from, last));
    return undefined;
  }

  /** Tells the leader how far back to look, so that a whole term is skipped in one round (paper §5.3). */
  #rejectAppend({ from, index, logTerm }: Message): void {
    this.logger.debug(
      `${this.name} [logterm: ${this.log.termOrZero(index)}, index: ${index}] rejected MsgApp ` +
        `[logterm: ${logTerm}, index: ${index}] from ${describeId(from)}`,
    );
    const hint = this.log.findConflictByTerm(Math.min(index, this.log.lastIndex()), logTerm);
    this.send({
      type: MessageType.appResp,
      to: from,
      index,
      reject: true,
      rejectHint: hint.index,
      logTerm: hint.term,
    });
  }

  handleHeartbeat({ from, commit, context }: Message): Refusal | undefined {
    if (commit > this.log.lastIndex()) {
      return { code: "log-lost", message: this.log.outOfRangeText(commit) };
    }
    this.log.commitTo(commit);
    this.send({ type: MessageType.heartbeatResp, to: from, context });
    return undefined;
  }

  handleSnapshot({ from, term, snapshot }: Message): Refusal | undefined {
    if (snapshot === undefined) return malformed("MsgSnap without a snapshot");
    const { metadata } = snapshot;
    if (metadata.term > term) return malformed("snapshot of a term above the leader's");
    const restored = this.#restore(snapshot);
    if (typeof restored === "object") return malformed(`unable to restore config: ${restored.fault}`);
    this.logger.info(
      `${this.name} [commit: ${this.log.committed}] ${restored ? "restored" : "ignored"} snapshot ` +
        `[index: ${metadata.index}, term: ${metadata.term}]`,
    );
    const index = restored ? this.log.lastIndex() : this.log.committed;
    this.send({ type: MessageType.appResp, to: from, index });
    return undefined;
  }

  /** Replaces log and configuration by a snapshot's, and returns whether that was needed. */
  #restore(snapshot: Snapshot): boolean | ConfChangeFault {
    const { index, term, confState } = snapshot.metadata;
    if (index <= this.log.committed) return false;
    assert(this.state === RaftState.follower, "only a follower restores a snapshot");
    const { voters, votersOutgoing, learners } = confState;
    if (![voters, votersOutgoing, learners].some((ids) => ids.includes(this.id))) {
      this.logger.warning(
        `${this.name} attempted to restore snapshot but it is not in the ConfState ${describeConfig(confState)}; ` +
          "should never happen",
      );
      return false;
    }
    if (this.log.matchTerm(index, term)) {
      this.logger.info(`${this.#endText()} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
      this.log.commitTo(index);
      return false;
    }
    const tracker = this.#newTracker();
    const fault = restoreConfig(tracker, index, confState);
    if (fault !== undefined) return fault;
    this.log.restore(snapshot);
    this.tracker = tracker;
    this.#switchedConfig();
    this.logger.info(`${this.#endText()} restored snapshot [index: ${index}, term: ${term}]`);
    return true;
  }

  #endText(): string {
    const { log } = this;
    return `${this.name} [commit: ${log.committed}, lastindex: ${log.lastIndex()}, lastterm: ${log.lastTerm()}]`;
  }

  // ---- The log ----------------------------------------------------------------------------------------------------

  /** Appends entries at the end with the own term; returns false if too much is uncommitted. */
  appendEntries(proposed: readonly Pick<Entry, "type" | "data">[]): boolean {
    const last = this.log.lastIndex();
    const entries = proposed.map(({ type, data }, i): Entry => ({ type, term: this.term, index: last + 1 + i, data }));
    if (!this.#increaseUncommittedSize(payloadsSize(entries))) {
      this.logger.warning(
        `${this.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return false;
    }
    const index = this.log.append(entries);
    // The leader counts itself only when the entries are durable here too.
    this.post(appRespMessage({ from: this.id, term: this.term }, this.id, index));
    return true;
  }

  #increaseUncommittedSize(size: number): boolean {
    const sum = this.#uncommittedSize + size;
    // A single proposal of any size is accepted, lest one above the limit never be; so are empty ones.
    if (this.#uncommittedSize > 0 && size > 0 && sum > this.config.maxUncommittedEntriesSize) return false;
    this.#uncommittedSize = sum;
    return true;
  }

  /** Commits what a quorum has, if it is of the own term (paper §5.4.2); returns whether that is news. */
  maybeCommit(): boolean {
    const index = this.tracker.committedIndex();
    if (index <= this.log.committed || !this.log.matchTerm(index, this.term)) return false;
    this.log.commitTo(index);
    return true;
  }

  committedInOwnTerm(): boolean {
    // An unpersisted or unknown term counts as none.
    return this.log.termOrZero(this.log.committed) === this.term;
  }

  #appliedEntries(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#appliedTo(last.index, entriesSize(entries));
    this.#uncommittedSize = Math.max(0, this.#uncommittedSize - payloadsSize(entries));
  }

  #appliedSnapshot({ metadata }: Snapshot): void {
    this.log.unstable.stableSnapshotTo(metadata.index);
    this.#appliedTo(metadata.index, 0);
  }

  #appliedTo(index: number, size: number): void {
    const applied = Math.max(index, this.log.applied);
    this.log.appliedTo(applied, size);
    if (this.tracker.config.autoLeave && applied >= this.pendingConfIndex && this.state === RaftState.leader) {
      this.#leaveJoint();
    }
  }

  /** Proposes to leave the joint configuration: an empty change, which no size limit refuses. */
  #leaveJoint(): void {
    const entry: Entry = { type: EntryType.confChangeV2, term: 0, index: 0, data: undefined };
    const refusal = this.step(createMessage({ type: MessageType.prop, from: this.id, entries: [entry] }));
    const config = describeConfig(this.tracker.config);
    if (refusal === undefined) {
      this.logger.info(`initiating automatic transition out of joint configuration ${config}`);
    } else {
      this.logger.debug(`not initiating automatic transition out of joint configuration ${config}: ${refusal.message}`);
    }
  }

  // ---- Membership -------------------------------------------------------------------------------------------------

  /** See `RawNode.applyConfChange`. */
  applyConfChange(change: ConfChange | ConfChangeV2, index: number): ConfState {
    // A snapshot brings its own configuration, of a later index.
    const restored = this.log.unstable.snapshot?.metadata.index ?? 0;
    if (index <= Math.max(restored, this.log.applied)) return this.tracker.config;
    const v2 = toConfChangeV2(change);
    const changer = new Changer(this.tracker, this.log.lastIndex());
    const { joint, autoLeave } = entersJoint(v2);
    let next: Tracking | ConfChangeFault;
    if (leavesJoint(v2)) next = changer.leaveJoint();
    else if (joint) next = changer.enterJoint(autoLeave, v2.changes);
    else next = changer.simple(v2.changes);
    if ("fault" in next) throw new RaftError("invalid-conf-change", next.fault);
    this.tracker.switchTo(next);
    this.#switchedConfig();
    return this.tracker.config;
  }

  /** Acts on a new configuration. */
  #switchedConfig(): void {
    const { config } = this.tracker;
    this.logger.info(`${this.name} switched to configuration ${describeConfig(config)}`);
    if (this.state !== RaftState.leader) return;
    const own = this.tracker.get(this.id);
    if (own === undefined || own.isLearner) {
      // Without stepping down it goes on as leader, not counting itself, until a follower takes over (thesis §4.2.2).
      if (this.config.stepDownOnRemoval) this.becomeFollower(this.term, none);
      return;
    }
    if (config.voters.length === 0) return;
    if (this.maybeCommit()) {
      // A smaller quorum may have committed entries; a new node is probed by the same message.
      this.broadcastAppend();
    } else {
      for (const progress of this.tracker.progress) {
        if (progress.id !== this.id) this.maybeSendAppend(progress, { evenIfEmpty: false });
      }
    }
    if (this.leadTransferee !== none && !this.tracker.isVoter(this.leadTransferee)) this.abortLeaderTransfer();
  }

  // ---- Reads ------------------------------------------------------------------------------------------------------

  /** Answers a read with `index`: as a `ReadState` if it was asked here, else by a message. */
  answerRead({ from, entries }: Message, index: number): void {
    if (from === none || from === this.id) {
      this.readStates.push({ index, requestContext: entries[0]?.data ?? new Uint8Array(0) });
    } else {
      this.send({ type: MessageType.readIndexResp, to: from, index, entries });
    }
  }
}

function isTransfer(context: Uint8Array | undefined): boolean {
  return (
    context !== undefined &&
    context.length === transferContext.length &&
    context.every((byte, i) => byte === transferContext[i])
  );
}

/** Why no correct leader sends these entries; undefined if one may. */
function faultOfEntries({ index, logTerm, term, entries }: Message): string | undefined {
  if (logTerm > term) return "MsgApp after an entry of a term above the leader's";
  let previous = logTerm;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    if (entry.index !== index + 1 + i) return `MsgApp with entry ${entry.index} where ${index + 1 + i} was due`;
    if (entry.term < previous || entry.term > term) return `MsgApp with entry ${entry.index} of term ${entry.term}`;
    previous = entry.term;
  }
  return undefined;
}
