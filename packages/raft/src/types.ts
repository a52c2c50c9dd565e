/**
 * The data that Raft exchanges with storage, network and application. All of it is plain data and equal on the wire to
 * package raftpb of etcd-io/raft: a codec for raftpb can encode these objects as they are.
 *
 * Ids are `bigint` (all 64 bits matter); indexes and terms are `number` (a decoder refuses those above 2^53 − 1).
 */

/** A node's id. 0 (`none`) is no node; the two highest values address the node's own storage threads. */
export type NodeId = bigint;

/** "No node": no leader, no vote. */
export const none: NodeId = 0n;

/** Addressee of `MsgStorageAppend`: whoever persists entries, hard state and snapshots of this node. */
export const localAppendThread: NodeId = 0xffff_ffff_ffff_ffffn;

/** Addressee of `MsgStorageApply`: whoever applies committed entries of this node. */
export const localApplyThread: NodeId = 0xffff_ffff_ffff_fffen;

/** "Unlimited" for every limit in bytes or entries. */
export const noLimit: number = Number.MAX_SAFE_INTEGER;

export const EntryType = { normal: 0, confChange: 1, confChangeV2: 2 } as const;
/** What `Entry.data` holds: the application's bytes, an encoded ConfChange or an encoded ConfChangeV2. */
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/**
 * A record of the replicated log. Immutable once handed to Raft: logs, messages and storages share it. `data` belongs
 * to whoever proposed or decoded it and must not change while any of them holds the entry; it may be a view of a larger
 * buffer. `undefined` and empty data mean the same to Raft and differ only on the wire.
 */
export interface Entry {
  readonly type: EntryType;
  readonly term: number;
  readonly index: number;
  readonly data: Uint8Array | undefined;
}

/** The configuration at a point of the log; `votersOutgoing` is empty unless a joint change is under way. */
export interface ConfState {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Voters of the old half of a joint configuration. */
  readonly votersOutgoing: readonly NodeId[];
  /** Voters of the old half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** Whether the leader leaves the joint configuration by itself once it is applied. */
  readonly autoLeave: boolean;
}

export interface SnapshotMetadata {
  readonly confState: ConfState;
  /** Index and term of the last entry the snapshot covers; index 0 is "no snapshot". */
  readonly index: number;
  readonly term: number;
}

/** The application's state at `metadata.index`. Raft never looks into `data`. */
export interface Snapshot {
  readonly data: Uint8Array | undefined;
  readonly metadata: SnapshotMetadata;
}

/** What must survive a crash besides the log. All zero is "empty". */
export interface HardState {
  readonly term: number;
  /** Who got this node's vote in `term`; `none` when nobody did. */
  readonly vote: NodeId;
  readonly commit: number;
}

export const RaftState = { follower: 0, candidate: 1, leader: 2, preCandidate: 3 } as const;
export type RaftState = (typeof RaftState)[keyof typeof RaftState];

/** State of interest to the application that need not survive a crash. */
export interface SoftState {
  readonly lead: NodeId;
  readonly raftState: RaftState;
}

/** A read that may be served as soon as the application has applied `index`. */
export interface ReadState {
  readonly index: number;
  /** The bytes given to `readIndex`. */
  readonly requestContext: Uint8Array;
}

export const MessageType = {
  hup: 0,
  beat: 1,
  prop: 2,
  app: 3,
  appResp: 4,
  vote: 5,
  voteResp: 6,
  snap: 7,
  heartbeat: 8,
  heartbeatResp: 9,
  unreachable: 10,
  snapStatus: 11,
  checkQuorum: 12,
  transferLeader: 13,
  timeoutNow: 14,
  readIndex: 15,
  readIndexResp: 16,
  preVote: 17,
  preVoteResp: 18,
  storageAppend: 19,
  storageAppendResp: 20,
  storageApply: 21,
  storageApplyResp: 22,
  forgetLeader: 23,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/**
 * A message between nodes, or between a node and its storage threads. Fields that a type does not use are zero, empty
 * or undefined.
 *
 * | type | fields used |
 * |---|---|
 * | app | term, logTerm and index of the entry before `entries`, entries, commit |
 * | appResp | index; when `reject`: index of the refused app, rejectHint, logTerm of the hint |
 * | vote, preVote | term, index and logTerm of the candidate's last entry, context |
 * | voteResp, preVoteResp | term, reject |
 * | heartbeat | commit, context |
 * | heartbeatResp | context |
 * | snap | snapshot |
 * | prop | entries |
 * | readIndex, readIndexResp | entries[0].data is the request context; index |
 * | transferLeader | from is the transferee |
 * | snapStatus | reject |
 * | storageAppend | entries, snapshot, term, vote and commit of a changed hard state, responses |
 * | storageApply | entries, responses |
 */
export interface Message {
  readonly type: MessageType;
  readonly to: NodeId;
  readonly from: NodeId;
  readonly term: number;
  readonly logTerm: number;
  readonly index: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  readonly snapshot: Snapshot | undefined;
  readonly reject: boolean;
  readonly rejectHint: number;
  readonly context: Uint8Array | undefined;
  readonly vote: NodeId;
  /** Only in messages to a storage thread: what to deliver once the work is done, in order. Never sent to peers. */
  readonly responses: readonly Message[];
}

/** An empty list that every message without entries shares. */
export const noEntries: readonly Entry[] = Object.freeze([]);
/** An empty list that every Ready without reads shares. */
export const noReadStates: readonly ReadState[] = Object.freeze([]);
/** An empty list that every message without responses shares. */
export const noMessages: readonly Message[] = Object.freeze([]);

/**
 * Builds a message from the fields that differ from "unused". Every message has the same shape, which keeps the
 * engine's property accesses monomorphic.
 */
export function createMessage(fields: Partial<Message> & Pick<Message, "type">): Message {
  return {
    type: fields.type,
    to: fields.to ?? none,
    from: fields.from ?? none,
    term: fields.term ?? 0,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? noEntries,
    commit: fields.commit ?? 0,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context,
    vote: fields.vote ?? none,
    responses: fields.responses ?? noMessages,
  };
}

/** An empty configuration. */
export const emptyConfState: ConfState = Object.freeze({
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
});

/** "No snapshot". */
export const emptySnapshot: Snapshot = Object.freeze({
  data: undefined,
  metadata: { confState: emptyConfState, index: 0, term: 0 },
});

/** "Nothing persisted yet". */
export const emptyHardState: HardState = Object.freeze({ term: 0, vote: none, commit: 0 });

/** Whether there is no snapshot at all. */
export function isEmptySnapshot(snapshot: Snapshot | undefined): boolean {
  return snapshot === undefined || snapshot.metadata.index === 0;
}

/** Whether two hard states say the same. */
export function equalHardStates(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.commit === b.commit && a.vote === b.vote;
}

/** Whether `state` says nothing at all. */
export function isEmptyHardState(state: HardState): boolean {
  return equalHardStates(state, emptyHardState);
}

/** Whether `id` addresses a storage thread of the node itself. */
export function isLocalTarget(id: NodeId): boolean {
  return id === localAppendThread || id === localApplyThread;
}
