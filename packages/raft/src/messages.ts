/**
 * Classes of message types, and constructors for the messages of the hot path. All messages are built as literals whose
 * fields stand in the order of raftpb, as decoders build them too: the engine then sees one shape only.
 */

import {
  type Entry,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  type NodeId,
  noEntries,
  noMessages,
  none,
  type Snapshot,
} from "./types.js";

const localTypes = typeSet(
  MessageType.hup,
  MessageType.beat,
  MessageType.unreachable,
  MessageType.snapStatus,
  MessageType.checkQuorum,
  MessageType.storageAppend,
  MessageType.storageAppendResp,
  MessageType.storageApply,
  MessageType.storageApplyResp,
);

const responseTypes = typeSet(
  MessageType.appResp,
  MessageType.voteResp,
  MessageType.heartbeatResp,
  MessageType.unreachable,
  MessageType.readIndexResp,
  MessageType.preVoteResp,
  MessageType.storageAppendResp,
  MessageType.storageApplyResp,
);

/** The types whose effect depends on the sender's term, so that none but a positive one makes sense. */
const termedTypes = typeSet(
  MessageType.app,
  MessageType.appResp,
  MessageType.vote,
  MessageType.voteResp,
  MessageType.snap,
  MessageType.heartbeat,
  MessageType.heartbeatResp,
  MessageType.timeoutNow,
  MessageType.preVote,
  MessageType.preVoteResp,
);

function typeSet(...types: readonly MessageType[]): readonly boolean[] {
  return Object.values(MessageType)
    .sort((a, b) => a - b)
    .map((type) => types.includes(type));
}

/** Whether only the node itself or its storage threads may send this type. */
export function isLocalType(type: MessageType): boolean {
  return localTypes[type] === true;
}

/** Whether this type answers something, so that it must come from a node that was asked. */
export function isResponseType(type: MessageType): boolean {
  return responseTypes[type] === true;
}

/** Whether this type must carry its sender's term. */
export function isTermedType(type: MessageType): boolean {
  return termedTypes[type] === true;
}

/** Whether the message may leave only after what the node has decided so far is durable. */
export function isAfterAppend(type: MessageType): boolean {
  return type === MessageType.appResp || type === MessageType.voteResp || type === MessageType.preVoteResp;
}

/** Where a message goes and from whom, at the sender's term. */
interface Envelope {
  readonly from: NodeId;
  readonly term: number;
}

/** Entries after (prevIndex, prevTerm), and how far the leader has committed. */
export function appMessage(
  { from, term }: Envelope,
  to: NodeId,
  prevIndex: number,
  prevTerm: number,
  entries: readonly Entry[],
  commit: number,
): Message {
  return {
    type: MessageType.app,
    to,
    from,
    term,
    logTerm: prevTerm,
    index: prevIndex,
    entries,
    commit,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: none,
    responses: noMessages,
  };
}

/** "Everything up to `index` is durable here." */
export function appRespMessage({ from, term }: Envelope, to: NodeId, index: number): Message {
  return {
    type: MessageType.appResp,
    to,
    from,
    term,
    logTerm: 0,
    index,
    entries: noEntries,
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: none,
    responses: noMessages,
  };
}

/** "Everything up to (`index`, `logTerm`), and the snapshot, is durable": what the node tells itself. */
export function storageAppendRespMessage(
  to: NodeId,
  term: number,
  index: number,
  logTerm: number,
  snapshot: Snapshot | undefined,
): Message {
  return {
    type: MessageType.storageAppendResp,
    to,
    from: localAppendThread,
    term,
    logTerm,
    index,
    entries: noEntries,
    commit: 0,
    snapshot,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: none,
    responses: noMessages,
  };
}

/** "These entries are applied": what the node tells itself. */
export function storageApplyRespMessage(to: NodeId, entries: readonly Entry[]): Message {
  return {
    type: MessageType.storageApplyResp,
    to,
    from: localApplyThread,
    term: 0,
    logTerm: 0,
    index: 0,
    entries,
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: none,
    responses: noMessages,
  };
}
