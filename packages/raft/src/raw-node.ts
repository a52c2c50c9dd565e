import type { ConfChange, ConfChangeV2 } from "./conf-change.js";
import { confChangeEntry } from "./conf-change-codec.js";
import { type Config, completeConfig } from "./config.js";
import { localMessage, malformed, peerNotFound, RaftError, type Refusal } from "./errors.js";
import {
  isAfterAppend,
  isLocalType,
  isResponseType,
  isTermedType,
  storageAppendRespMessage,
  storageApplyRespMessage,
} from "./messages.js";
import { Raft } from "./raft.js";
import type { Ready } from "./ready.js";
import { entriesSize } from "./size.js";
import type { BasicStatus, Status } from "./status.js";
import { propose } from "./step-leader.js";
import {
  type ConfState,
  createMessage,
  type Entry,
  EntryType,
  emptyHardState,
  type HardState,
  isEmptyHardState,
  isLocalTarget,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  type NodeId,
  noLimit,
  none,
  noReadStates,
  RaftState,
  type SoftState,
} from "./types.js";

/** A member of a new group, for `bootstrap`. */
export interface Peer {
  readonly id: NodeId;
  /** Goes into the configuration change that adds it. */
  readonly context?: Uint8Array;
}

/** The state machine behind a node; for tests of this package only. */
export let raftOf: (node: RawNode) => Raft;

/**
 * One node of a Raft group. Not reentrant; every method is synchronous and none keeps an array it was given.
 *
 * Methods answer expected trouble with a `Refusal`. They throw `RaftError` when the application broke the contract of
 * `Ready` or the storage lost data; the node must not be used after that.
 *
 * Source: etcd-io/raft rawnode.go.
 */
export class RawNode {
  static {
    raftOf = (node) => node.#raft;
  }

  readonly #raft: Raft;
  readonly #asyncStorageWrites: boolean;
  #previousSoftState: SoftState;
  #previousHardState: HardState;
  /** What becomes true when the outstanding Ready is persisted and applied, in order. */
  #stepsOnAdvance: Message[] = [];
  #outstanding = false;

  /** Throws `RaftError` for an invalid configuration or a storage that contradicts itself. */
  constructor(config: Config) {
    this.#raft = new Raft(completeConfig(config));
    this.#asyncStorageWrites = this.#raft.config.asyncStorageWrites;
    this.#previousSoftState = this.#raft.softState;
    this.#previousHardState = this.#raft.hardState;
  }

  /**
   * Starts a new group: `peers` become the first entries of the log, all committed; every founding member does so with
   * the same peers. Only on an empty storage. The application need not wait for the entries to apply before it
   * campaigns, but must apply them like any others.
   */
  bootstrap(peers: readonly Peer[]): void {
    const raft = this.#raft;
    if (peers.length === 0) throw new RaftError("misuse", "must provide at least one peer to Bootstrap");
    if (raft.log.lastIndex() !== 0) throw new RaftError("misuse", "can't bootstrap a nonempty Storage");
    // An empty one, so that the first Ready has the hard state that goes with the entries.
    this.#previousHardState = emptyHardState;
    raft.becomeFollower(1, none);
    const changes = peers.map(({ id, context }): ConfChange => ({ id: 0n, type: 0, nodeId: id, context }));
    const entries = changes.map((change, i): Entry => ({ term: 1, index: i + 1, ...confChangeEntry(change) }));
    raft.log.append(entries);
    raft.log.committed = entries.length;
    for (const [i, change] of changes.entries()) raft.applyConfChange(change, i + 1);
  }

  /** Lets a tick of logical time pass. */
  tick(): void {
    this.#raft.tick();
  }

  /** Starts an election, unless this node is leader or cannot become it. */
  campaign(): void {
    this.#raft.step(createMessage({ type: MessageType.hup }));
  }

  /** Proposes one entry. The node keeps `data` until the entry is compacted; it must not change. */
  propose(data: Uint8Array): Refusal | undefined {
    return this.#propose([{ type: EntryType.normal, data }]);
  }

  /** Proposes several entries at once: they are accepted or refused together and travel together. */
  proposeMany(data: readonly Uint8Array[]): Refusal | undefined {
    return this.#propose(data.map((one) => ({ type: EntryType.normal, data: one })));
  }

  /**
   * Proposes a change of the configuration. If another one is not yet applied, or the change does not fit a joint
   * configuration, an empty entry takes its place in the log and this method still returns undefined.
   */
  proposeConfChange(change: ConfChange | ConfChangeV2): Refusal | undefined {
    return this.#propose([confChangeEntry(change)]);
  }

  #propose(proposed: readonly Pick<Entry, "type" | "data">[]): Refusal | undefined {
    const raft = this.#raft;
    if (raft.state === RaftState.leader) return propose(raft, proposed);
    if (proposed.length === 0) return malformed("MsgProp without entries");
    const entries = proposed.map(({ type, data }): Entry => ({ type, term: 0, index: 0, data }));
    return raft.step(createMessage({ type: MessageType.prop, from: raft.id, entries }));
  }

  /**
   * Puts a committed change into force and returns the configuration. To be called for every committed configuration
   * entry, in order; the application may pass a change with `nodeId` 0 for one that it rejects. `index` is its entry's:
   * given it, a change that a snapshot from the leader has overtaken meanwhile is ignored. Throws `RaftError`
   * `invalid-conf-change` when the current configuration does not allow the change, which is then as it was.
   */
  applyConfChange(change: ConfChange | ConfChangeV2, index: number = noLimit): ConfState {
    return this.#raft.applyConfChange(change, index);
  }

  /**
   * Takes a message from another node or, with asynchronous storage writes, from this node or a storage thread.
   * Whatever another node may send is taken or refused; but with asynchronous storage writes the transport must not
   * pass on what claims to be from this node or its storage threads.
   */
  step(message: Message): Refusal | undefined {
    const { type, from } = message;
    const raft = this.#raft;
    if (isLocalTarget(from)) {
      const answers = type === MessageType.storageAppendResp || type === MessageType.storageApplyResp;
      return this.#asyncStorageWrites && answers ? raft.step(message) : localMessage;
    }
    if (isLocalType(type)) return localMessage;
    if (isResponseType(type) && raft.tracker.get(from) === undefined) return peerNotFound;
    const fault = this.#faultOf(message);
    return fault === undefined ? raft.step(message) : malformed(fault);
  }

  /** Why no correct node sends this message; undefined if one may. */
  #faultOf(message: Message): string | undefined {
    const { type, from, term, entries } = message;
    if (isTermedType(type)) {
      if (term === 0) return "no term";
      if (from === none) return "no sender";
      if (message.to !== this.#raft.id) return "not addressed to this node";
      if (from === this.#raft.id && !(this.#asyncStorageWrites && isAfterAppend(type))) return "sent by this node";
      return undefined;
    }
    switch (type) {
      case MessageType.prop:
        if (term !== 0) return "MsgProp with a term";
        return entries.length === 0 ? "MsgProp without entries" : undefined;
      case MessageType.readIndex:
        if (term !== 0) return "MsgReadIndex with a term";
        return entries.length === 1 && entries[0]?.data !== undefined ? undefined : "MsgReadIndex without one context";
      case MessageType.readIndexResp:
      case MessageType.transferLeader:
      case MessageType.forgetLeader:
        return undefined;
      default:
        return `unknown type ${type}`;
    }
  }

  /**
   * Asks for a read index: a `ReadState` with the same context answers when this node may serve a linearizable read.
   * The answer may be lost with a leader or a message; retry with a new context.
   */
  readIndex(context: Uint8Array): void {
    const entry: Entry = { type: EntryType.normal, term: 0, index: 0, data: context };
    this.#raft.step(createMessage({ type: MessageType.readIndex, entries: [entry] }));
  }

  /** Whether a snapshot from the leader was taken and is not yet persisted and applied. */
  get hasPendingSnapshot(): boolean {
    return this.#raft.log.hasPendingSnapshot();
  }

  /** Whether `ready` would return anything. */
  hasReady(): boolean {
    const raft = this.#raft;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.log.unstable.hasNextEntries() ||
      raft.log.hasNextCommitted(!this.#asyncStorageWrites) ||
      raft.readStates.length > 0 ||
      raft.log.unstable.nextSnapshot() !== undefined ||
      this.#softStateChanged() ||
      (this.#hardStateChanged() && !isEmptyHardState(raft.hardState))
    );
  }

  #softStateChanged(): boolean {
    const { lead, state } = this.#raft;
    return lead !== this.#previousSoftState.lead || state !== this.#previousSoftState.raftState;
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.#raft;
    const previous = this.#previousHardState;
    return log.committed !== previous.commit || term !== previous.term || vote !== previous.vote;
  }

  /** Everything there is to do now. With synchronous storage writes `advance` must follow before the next one. */
  ready(): Ready {
    const raft = this.#raft;
    if (this.#outstanding) throw new RaftError("misuse", "two accepted Ready structs without call to Advance");
    const previous = this.#previousHardState;
    const hardState = this.#hardStateChanged() ? raft.hardState : undefined;
    const entries = raft.log.unstable.nextEntries();
    const { readStates, messages } = raft;
    const ready: Ready = {
      softState: this.#softStateChanged() ? raft.softState : undefined,
      hardState,
      readStates: readStates.length > 0 ? readStates : noReadStates,
      entries,
      snapshot: raft.log.unstable.nextSnapshot(),
      committedEntries: raft.log.nextCommitted(!this.#asyncStorageWrites),
      messages,
      mustSync:
        entries.length > 0 ||
        (hardState !== undefined && (hardState.term !== previous.term || hardState.vote !== previous.vote)),
    };
    if (this.#asyncStorageWrites) this.#addStorageMessages(ready, messages);
    else this.#addMessagesAfterAppend(ready, messages);
    this.#accept(ready);
    return ready;
  }

  /** Remembers that `ready` was handed out. */
  #accept(ready: Ready): void {
    const raft = this.#raft;
    if (ready.softState !== undefined) this.#previousSoftState = ready.softState;
    if (ready.hardState !== undefined && !isEmptyHardState(ready.hardState)) this.#previousHardState = ready.hardState;
    // What was handed out is the application's now.
    if (raft.readStates.length > 0) raft.readStates = [];
    raft.messages = [];
    raft.messagesAfterAppend = [];
    raft.log.unstable.acceptInProgress();
    const last = ready.committedEntries.at(-1);
    if (last !== undefined) {
      raft.log.acceptApplying(last.index, entriesSize(ready.committedEntries), !this.#asyncStorageWrites);
    }
  }

  /** Messages to others go out with the Ready, which promises that they are sent after the write; own ones wait. */
  #addMessagesAfterAppend(ready: Ready, messages: Message[]): void {
    const raft = this.#raft;
    this.#outstanding = true;
    for (const message of raft.messagesAfterAppend) {
      if (message.to === raft.id) this.#stepsOnAdvance.push(message);
      else messages.push(message);
    }
    if (this.#needsAppendResp(ready)) this.#stepsOnAdvance.push(this.#appendResp(ready));
    if (ready.committedEntries.length > 0) this.#stepsOnAdvance.push(this.#applyResp(ready));
  }

  #addStorageMessages(ready: Ready, messages: Message[]): void {
    const raft = this.#raft;
    const { entries, hardState, snapshot, committedEntries } = ready;
    const hasHardState = hardState !== undefined && !isEmptyHardState(hardState);
    if (entries.length > 0 || hasHardState || snapshot !== undefined || raft.messagesAfterAppend.length > 0) {
      const responses = raft.messagesAfterAppend;
      if (this.#needsAppendResp(ready)) responses.push(this.#appendResp(ready));
      messages.push(
        createMessage({
          type: MessageType.storageAppend,
          to: localAppendThread,
          from: raft.id,
          entries,
          ...(hasHardState ? hardState : undefined),
          snapshot,
          responses,
        }),
      );
    }
    if (committedEntries.length > 0) {
      messages.push(
        createMessage({
          type: MessageType.storageApply,
          to: localApplyThread,
          from: raft.id,
          entries: committedEntries,
          responses: [this.#applyResp(ready)],
        }),
      );
    }
  }

  /** Entries of an earlier Ready count too: its own answer is ignored if the term has changed meanwhile. */
  #needsAppendResp(ready: Ready): boolean {
    return this.#raft.log.unstable.entries.length > 0 || ready.snapshot !== undefined;
  }

  /**
   * "Everything that is unstable now is durable." It carries the term, since after a change of term the entries may
   * have been replaced by others of the same index and term that are not durable: a new leader's log decides.
   */
  #appendResp(ready: Ready): Message {
    const { id, term, log } = this.#raft;
    const hasEntries = log.unstable.entries.length > 0;
    const index = hasEntries ? log.lastIndex() : 0;
    return storageAppendRespMessage(id, term, index, hasEntries ? log.lastTerm() : 0, ready.snapshot);
  }

  #applyResp(ready: Ready): Message {
    return storageApplyRespMessage(this.#raft.id, ready.committedEntries);
  }

  /** Reports that the last `Ready` was persisted and applied. Only with synchronous storage writes. */
  advance(): void {
    if (this.#asyncStorageWrites)
      throw new RaftError("misuse", "Advance must not be called when using AsyncStorageWrites");
    this.#outstanding = false;
    const steps = this.#stepsOnAdvance;
    if (steps.length === 0) return;
    this.#stepsOnAdvance = [];
    for (const message of steps) this.#raft.step(message);
  }

  /** Reports that the last message to `id` may not have arrived. */
  reportUnreachable(id: NodeId): void {
    this.#raft.step(createMessage({ type: MessageType.unreachable, from: id }));
  }

  /** Reports how sending a snapshot to `id` ended. Without such a report nothing is sent to `id` until it answers. */
  reportSnapshot(id: NodeId, outcome: "finish" | "failure"): void {
    this.#raft.step(createMessage({ type: MessageType.snapStatus, from: id, reject: outcome === "failure" }));
  }

  /** Asks the leader, whoever that is, to hand over to `transferee`. */
  transferLeader(transferee: NodeId): void {
    this.#raft.step(createMessage({ type: MessageType.transferLeader, from: transferee }));
  }

  /** Makes a follower forget its leader, so that it grants votes at once instead of after an election timeout. */
  forgetLeader(): void {
    this.#raft.step(createMessage({ type: MessageType.forgetLeader }));
  }

  /** Overrides the election timeout drawn last, in ticks; for tests and simulators. */
  setElectionTimeout(ticks: number): void {
    this.#raft.randomizedElectionTimeout = ticks;
  }

  basicStatus(): BasicStatus {
    const raft = this.#raft;
    return {
      id: raft.id,
      hardState: raft.hardState,
      softState: raft.softState,
      applied: raft.log.applied,
      leadTransferee: raft.leadTransferee,
    };
  }

  status(): Status {
    const raft = this.#raft;
    const leads = raft.state === RaftState.leader;
    return {
      ...this.basicStatus(),
      confState: raft.tracker.config,
      progress: leads ? raft.tracker.progress.map((progress) => progress.status()) : [],
    };
  }
}
