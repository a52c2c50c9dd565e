/**
 * The node loop: the only caller of this member's `RawNode`. It gathers what arrived during a loop turn, lets raft
 * decide on all of it at once, and carries out what raft returns: messages to peers at once, log writes through the
 * WAL, committed entries to the applier.
 *
 * Raft runs with asynchronous storage writes: what must be durable before it is said (votes, append answers, this
 * member's own acknowledgement) travels as the `responses` of a write and is delivered when that write is synced, while
 * heartbeats and appends to followers go out meanwhile. One write is under way at a time; what comes in during it
 * becomes the next one, up to a limit. So a slow disk makes batches larger and never delays a tick; what happens when
 * it hangs is told in disk-stall.ts.
 *
 * Nothing here decides; order is what it guarantees:
 * 1. a batch's entries are in the WAL, synced, and in `log` before its responses are delivered;
 * 2. a change of leader is announced before any read confirmed in the same Ready;
 * 3. committed entries reach the applier in order, once.
 */

import {
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  isFatalRefusal,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  type NodeId,
  none,
  RaftState,
  type RawNode,
  type Ready,
  type Refusal,
  type Snapshot,
  type SnapshotMetadata,
  type SoftState,
} from "@etcd-ts/raft";
import { assert } from "../assert.js";
import type { Clock, Logger } from "../env.js";
import { inLoopBytesMax } from "../wal/wal.js";
import { type AppendWork, takeAppendWork, writesOf, writtenBytes } from "./append-work.js";
import { DiskStall } from "./disk-stall.js";
import { WritePlace } from "./write-place.js";

/** The log as raft reads it; the loop appends to it what the WAL has made durable. */
export interface DurableLog {
  append(entries: readonly Entry[]): void;
  setHardState(state: HardState): void;
  applySnapshot(snapshot: Snapshot): void;
}

/** The write-ahead log. */
export interface LogWriter {
  /**
   * Persists entries, then the hard state; resolves when what needs it is synced, to false when nothing did. Rejects
   * once, for good.
   */
  save(hardState: HardState | undefined, entries: readonly Entry[]): Promise<boolean>;
  /** Whether `saveNow` may be called. */
  readonly canSaveNow: boolean;
  /** The same within the loop turn, for at most `inLoopBytesMax`. */
  saveNow(hardState: HardState | undefined, entries: readonly Entry[]): boolean;
  saveReceivedSnapshot(mark: SnapshotMetadata): Promise<void>;
}

export interface RaftLoopEvents {
  /** Leader or role changed. Called before the reads and entries of the same Ready. */
  softStateChanged(state: SoftState): void;
  readConfirmed(context: Uint8Array, index: number): void;
  /** Entries to apply, after those of the call before; `applied` must be called once when all of them are. */
  committed(entries: readonly Entry[], applied: () => void): void;
  /** A snapshot received from the leader is persisted in the WAL and must replace the state machine's state. */
  snapshotPersisted(snapshot: Snapshot, installed: () => void): void;
  send(messages: readonly Message[]): void;
  /** Raft refused a proposal, or never saw it, since nobody leads and this member's disk hangs. */
  proposalDropped(key: number, reason: "by raft" | "no leader"): void;
  /** The member cannot go on: its log could not be written, or is not what the cluster relies on. */
  failed(error: Error): void;
  /** Before each turn's decisions: reads that wait for a round ask for it here; returns how many. */
  beforeTurn(): number;
  /** After them: what the turn made ready for clients leaves now. */
  afterTurn(): void;
  /**
   * The turn is about to be held up by the disk: what is ready for clients, reads above all, should not wait for it.
   */
  beforeBlocking(): void;
}

export interface RaftLoopOptions {
  readonly raft: RawNode;
  readonly log: DurableLog;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: RaftLoopEvents;
  readonly electionTimeoutMs: number;
  /** Encoded bytes of proposals in one message to raft. */
  readonly proposalBatchBytesMax: number;
}

/** A proposal that has not been handed to raft yet; without a leader it waits. */
interface PendingProposal {
  readonly data: Uint8Array;
  readonly key: number;
}

export class RaftLoop {
  readonly #raft: RawNode;
  readonly #log: DurableLog;
  readonly #writer: LogWriter;
  readonly #clock: Clock;
  readonly #events: RaftLoopEvents;
  readonly #batchBytesMax: number;
  #proposals: PendingProposal[] = [];
  #appendWork: Message[] = [];
  #writing = false;
  #turnPending = false;
  #stopped = false;
  #softState: SoftState = { lead: none, raftState: RaftState.follower };
  readonly #stall: DiskStall;
  readonly #place = new WritePlace();
  /** Of this turn. */
  #reads = 0;
  /** Set while this member is the only voter: then a write in the loop delays nobody but its own clients. */
  mayWriteInLoop = false;

  constructor(options: RaftLoopOptions) {
    this.#raft = options.raft;
    this.#log = options.log;
    this.#writer = options.writer;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#batchBytesMax = options.proposalBatchBytesMax;
    this.#stall = new DiskStall(options);
  }

  get softState(): SoftState {
    return this.#softState;
  }

  get isLeader(): boolean {
    return this.#softState.raftState === RaftState.leader;
  }

  get pendingProposals(): number {
    return this.#proposals.length;
  }

  /** The disk hangs and nobody leads: what is proposed now would only wait. */
  get isSuspended(): boolean {
    return this.#stall.isSuspended;
  }

  tick(): void {
    if (this.#stopped) return;
    if (this.#stall.beforeTick()) this.#raft.tick();
    this.poke();
  }

  campaign(): void {
    this.#raft.campaign();
    this.poke();
  }

  step(message: Message): void {
    if (this.#stopped || (this.isSuspended && isRequest(message))) return;
    const refusal = this.#raft.step(message);
    if (refusal !== undefined && isFatalRefusal(refusal)) this.#fail(new Error(refusal.message));
    this.poke();
  }

  /**
   * Hands raft a snapshot of the leader whose database is here; true when raft takes it, and will have it installed.
   */
  offerSnapshot(message: Message): boolean {
    assert(!this.#raft.hasPendingSnapshot, "one snapshot at a time");
    this.step(message);
    return this.#raft.hasPendingSnapshot;
  }

  readIndex(context: Uint8Array): void {
    this.#raft.readIndex(context);
    this.poke();
  }

  /**
   * Hands an entry's data to raft as soon as a leader is known; `proposalDropped` is called with the key when raft
   * refuses it. The data must not change afterwards. The caller bounds how many it has under way, and withdraws what it
   * gives up.
   */
  propose(data: Uint8Array, key: number): void {
    this.#proposals.push({ data, key });
    this.poke();
  }

  /** Takes a proposal back that raft has not seen; false when raft has it. */
  withdraw(key: number): boolean {
    const at = this.#proposals.findIndex((proposal) => proposal.key === key);
    if (at >= 0) this.#proposals.splice(at, 1);
    return at >= 0;
  }

  proposeConfChange(change: ConfChange): Refusal | undefined {
    const refusal = this.#raft.proposeConfChange(change);
    this.poke();
    return refusal;
  }

  applyConfChange(change: ConfChange): ConfState {
    const state = this.#raft.applyConfChange(change);
    this.poke();
    return state;
  }

  transferLeader(to: NodeId): void {
    this.#raft.transferLeader(to);
    this.poke();
  }

  reportUnreachable(id: NodeId): void {
    this.#raft.reportUnreachable(id);
    this.poke();
  }

  reportSnapshot(id: NodeId, outcome: "finish" | "failure"): void {
    this.#raft.reportSnapshot(id, outcome);
    this.poke();
  }

  /** Makes sure that a turn runs after the events of this loop turn. */
  poke(): void {
    if (this.#turnPending || this.#stopped) return;
    this.#turnPending = true;
    this.#clock.defer(() => this.#turn());
  }

  /** No turn runs after this; a write under way ends without effect. */
  stop(): void {
    this.#stopped = true;
  }

  #turn(): void {
    this.#turnPending = false;
    if (this.#stopped) return;
    try {
      this.#reads = this.#events.beforeTurn();
      this.#flushProposals();
      do {
        while (this.#raft.hasReady()) this.#handle(this.#raft.ready());
      } while (this.#writeInLoop());
      this.#startWrite();
      this.#events.afterTurn();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #flushProposals(): void {
    if (this.isSuspended) {
      for (const { key } of this.#proposals.splice(0)) this.#events.proposalDropped(key, "no leader");
    }
    if (this.#proposals.length === 0 || !this.#takesProposals) return;
    while (this.#proposals.length > 0) {
      let count = 0;
      let bytes = 0;
      for (const proposal of this.#proposals) {
        if (count > 0 && bytes + proposal.data.length > this.#batchBytesMax) break;
        bytes += proposal.data.length;
        count++;
      }
      const batch = this.#proposals.splice(0, count);
      const refusal = this.#raft.proposeMany(batch.map((proposal) => proposal.data));
      if (refusal !== undefined) for (const { key } of batch) this.#events.proposalDropped(key, "by raft");
    }
  }

  /** By raft's own word: the last Ready may speak of a leader that a tick or a message of this turn has ended. */
  get #takesProposals(): boolean {
    return this.#raft.basicStatus().softState.lead !== none && !this.#stall.isHandingOver;
  }

  #handle(ready: Ready): void {
    if (ready.softState !== undefined) {
      this.#softState = ready.softState;
      this.#events.softStateChanged(ready.softState);
      if (this.#proposals.length > 0) this.poke();
    }
    for (const read of ready.readStates) this.#events.readConfirmed(read.requestContext, read.index);
    const toPeers: Message[] = [];
    for (const message of ready.messages) {
      if (message.to === localAppendThread) this.#appendWork.push(message);
      else if (message.to === localApplyThread) this.#apply(message);
      else toPeers.push(message);
    }
    if (toPeers.length > 0) this.#send(toPeers);
  }

  /** A suspended leader says nothing, so that the others look for another one. */
  #send(messages: readonly Message[]): void {
    if (!this.isLeader || !this.isSuspended) this.#events.send(messages);
  }

  #apply(message: Message): void {
    this.#events.committed(message.entries, () => this.#deliver(message.responses));
  }

  #deliver(responses: readonly Message[]): void {
    if (this.#stopped) return;
    const toPeers: Message[] = [];
    const self = this.#raft.basicStatus().id;
    for (const response of responses) {
      if (response.to === self) this.step(response);
      else toPeers.push(response);
    }
    if (toPeers.length > 0) this.#events.send(toPeers);
    this.poke();
  }

  /** Writes what waits within this turn, if that is allowed; true when something was written. */
  #writeInLoop(): boolean {
    if (!this.mayWriteInLoop || this.#writing || this.#appendWork.length === 0) return false;
    if (!this.#writer.canSaveNow || !this.#isLoopTheBetterPlace()) return false;
    const work = takeAppendWork(this.#appendWork);
    this.#events.beforeBlocking();
    const startedAt = this.#clock.now();
    const synced = this.#writer.saveNow(work.hardState, work.entries);
    if (synced) this.#place.tookInLoop(this.#clock.now() - startedAt);
    this.#finishWrite(work);
    return true;
  }

  #isLoopTheBetterPlace(): boolean {
    let bytes = 0;
    let count = 0;
    for (const message of this.#appendWork) {
      if (message.snapshot !== undefined) return false;
      count += message.entries.length;
      for (const entry of message.entries) bytes += writtenBytes(entry);
    }
    if (bytes > inLoopBytesMax) return false;
    return this.#place.isLoop({ entries: count, reads: this.#reads });
  }

  #startWrite(): void {
    if (this.#writing || this.#appendWork.length === 0) return;
    this.#writing = true;
    this.#stall.writeBegan();
    const work = takeAppendWork(this.#appendWork);
    this.#write(work).then(
      () => {
        this.#writing = false;
        if (this.#stopped) return;
        this.#finishWrite(work);
        this.poke();
      },
      (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  async #write(work: AppendWork): Promise<void> {
    if (work.snapshot !== undefined) await this.#writer.saveReceivedSnapshot(work.snapshot.metadata);
    for (const { hardState, entries } of writesOf(work)) {
      this.#stall.writeBegan();
      const startedAt = this.#clock.now();
      const synced = await this.#writer.save(hardState, entries);
      if (synced) this.#place.tookOnThread(this.#clock.now() - startedAt);
    }
    this.#stall.writeEnded();
    const snapshot = work.snapshot;
    if (snapshot === undefined || this.#stopped) return;
    this.#log.applySnapshot(snapshot);
    await new Promise<void>((installed) => this.#events.snapshotPersisted(snapshot, installed));
  }

  #finishWrite(work: AppendWork): void {
    if (work.hardState !== undefined) this.#log.setHardState(work.hardState);
    if (work.entries.length > 0) this.#log.append(work.entries);
    for (const message of work.messages) this.#deliver(message.responses);
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.stop();
    this.#events.failed(error);
  }
}

/** What members ask of a leader. */
function isRequest({ type }: Message): boolean {
  return type === MessageType.prop || type === MessageType.readIndex;
}
