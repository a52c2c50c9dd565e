import type { ConfChange, ConfChangeV2 } from "./conf-change.js";
import type { Config } from "./config.js";
import type { Refusal } from "./errors.js";
import type { Ready } from "./ready.js";
import type { BasicStatus, Status } from "./status.js";
import type { ConfState, Message, NodeId } from "./types.js";

/** A member of a new cluster, for `bootstrap`. */
export interface Peer {
  readonly id: NodeId;
  /** Goes into the configuration change that adds it. */
  readonly context?: Uint8Array;
}

/** One node of a Raft group. Not reentrant; every method is synchronous. */
export declare class RawNode {
  constructor(config: Config);
  /** Starts a new group: `peers` become the first entries of the log, all committed. Only on an empty storage. */
  bootstrap(peers: readonly Peer[]): void;
  /** Lets a tick of logical time pass. */
  tick(): void;
  /** Starts an election. */
  campaign(): void;
  /** Proposes one entry. */
  propose(data: Uint8Array): Refusal | undefined;
  /** Proposes several entries at once: they are accepted or refused together and travel together. */
  proposeMany(data: readonly Uint8Array[]): Refusal | undefined;
  proposeConfChange(change: ConfChange | ConfChangeV2): Refusal | undefined;
  /** Puts a committed change into force. To be called for every committed configuration entry, in order. */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState;
  /** Takes a message from another node or from a storage thread. */
  step(message: Message): Refusal | undefined;
  /** Asks for a read index; answered by a `ReadState` with the same context. May be lost: retry with a new context. */
  readIndex(context: Uint8Array): void;
  hasReady(): boolean;
  ready(): Ready;
  /** Reports that the last `Ready` was persisted and applied. Only with synchronous storage writes. */
  advance(): void;
  /** Reports that the last message to `id` may not have arrived. */
  reportUnreachable(id: NodeId): void;
  /** Reports how sending a snapshot to `id` ended. */
  reportSnapshot(id: NodeId, outcome: "finish" | "failure"): void;
  /** Asks the leader to hand over to `transferee`. */
  transferLeader(transferee: NodeId): void;
  /** Makes a follower forget its leader, so that it grants pre-votes at once. */
  forgetLeader(): void;
  basicStatus(): BasicStatus;
  status(): Status;
}
