/**
 * Stable texts of Raft's data, used by log lines and by the golden scripts. They are the formats of etcd-io/raft
 * (`DescribeMessage`, `DescribeReady` and so on), so that its transcripts can be compared line by line.
 */

import { type ConfChange, type ConfChangeSingle, type ConfChangeV2, toConfChangeV2 } from "./conf-change.js";
import { decodeConfChange, decodeConfChangeV2 } from "./conf-change-codec.js";
import type { Ready } from "./ready.js";
import {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  isEmptySnapshot,
  localAppendThread,
  localApplyThread,
  type Message,
  type MessageType,
  type NodeId,
  none,
  type RaftState,
  type ReadState,
  type Snapshot,
  type SoftState,
} from "./types.js";

const messageTypeNames = [
  "MsgHup",
  "MsgBeat",
  "MsgProp",
  "MsgApp",
  "MsgAppResp",
  "MsgVote",
  "MsgVoteResp",
  "MsgSnap",
  "MsgHeartbeat",
  "MsgHeartbeatResp",
  "MsgUnreachable",
  "MsgSnapStatus",
  "MsgCheckQuorum",
  "MsgTransferLeader",
  "MsgTimeoutNow",
  "MsgReadIndex",
  "MsgReadIndexResp",
  "MsgPreVote",
  "MsgPreVoteResp",
  "MsgStorageAppend",
  "MsgStorageAppendResp",
  "MsgStorageApply",
  "MsgStorageApplyResp",
  "MsgForgetLeader",
] as const;
const stateNames = ["StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate"] as const;
const entryTypeNames = ["EntryNormal", "EntryConfChange", "EntryConfChangeV2"] as const;
const changeTypeNames = [
  "ConfChangeAddNode",
  "ConfChangeRemoveNode",
  "ConfChangeUpdateNode",
  "ConfChangeAddLearnerNode",
] as const;
const transitionNames = [
  "ConfChangeTransitionAuto",
  "ConfChangeTransitionJointImplicit",
  "ConfChangeTransitionJointExplicit",
] as const;

/** E.g. `MsgApp`; the number of an unknown type. */
export function describeMessageType(type: MessageType): string {
  return messageTypeNames[type] ?? String(type);
}

/** The type that `describeMessageType` calls `name`. */
export function messageTypeOf(name: string): MessageType | undefined {
  const index = (messageTypeNames as readonly string[]).indexOf(name);
  return index < 0 ? undefined : (index as MessageType);
}

/** E.g. `StateLeader`. */
export function describeState(state: RaftState): string {
  return stateNames[state];
}

/** Lower-case hexadecimal, as log lines show ids. */
export function describeId(id: NodeId): string {
  return id.toString(16);
}

/** As `describeId`, with names for the ids that are no node's. */
export function describeTarget(id: NodeId): string {
  if (id === none) return "None";
  if (id === localAppendThread) return "AppendThread";
  if (id === localApplyThread) return "ApplyThread";
  return describeId(id);
}

/** E.g. `Lead:1 State:StateLeader`. */
export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${describeState(state.raftState)}`;
}

/** E.g. `Term:1 Vote:1 Commit:2`. */
export function describeHardState(state: HardState): string {
  const vote = state.vote === none ? "" : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

/** E.g. `Voters:[1 2] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false`. */
export function describeConfState(state: ConfState): string {
  const list = (ids: readonly NodeId[]) => `[${ids.join(" ")}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

/** E.g. `voters=(1 2)&&(1 3) learners=(4) learners_next=(2) autoleave`. */
export function describeConfig(state: ConfState): string {
  const list = (ids: readonly NodeId[]) => `(${ids.map(describeId).join(" ")})`;
  let text = `voters=${list(state.voters)}`;
  if (state.votersOutgoing.length > 0) text += `&&${list(state.votersOutgoing)}`;
  if (state.learners.length > 0) text += ` learners=${list(state.learners)}`;
  if (state.learnersNext.length > 0) text += ` learners_next=${list(state.learnersNext)}`;
  return state.autoLeave ? `${text} autoleave` : text;
}

/** E.g. `Index:4 Term:1 ConfState:Voters:[1] …`. */
export function describeSnapshot(snapshot: Snapshot): string {
  const { index, term, confState } = snapshot.metadata;
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

/** E.g. `v1 l2 r3 u4`. */
export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  const letters = ["v", "r", "u", "l"];
  return changes.map((change) => `${letters[change.type] ?? "?"}${change.nodeId}`).join(" ");
}

/** E.g. `transition:ConfChangeTransitionAuto changes:{type:ConfChangeAddNode node_id:1}`. */
export function describeConfChange(change: ConfChange | ConfChangeV2): string {
  const { transition, changes, context } = toConfChangeV2(change);
  const parts: string[] = [];
  parts.push(`transition:${transitionNames[transition] ?? transition}`);
  for (const { type, nodeId } of changes) {
    parts.push(`changes:{type:${changeTypeNames[type] ?? type} node_id:${nodeId}}`);
  }
  if (context !== undefined && context.length > 0) parts.push(`context:${quote(context)}`);
  return parts.join(" ");
}

/** E.g. `1/5 EntryNormal "x"`. */
export function describeEntry(entry: Entry): string {
  const head = `${entry.term}/${entry.index} ${entryTypeNames[entry.type] ?? entry.type}`;
  if (entry.type === EntryType.normal) return `${head} ${quote(entry.data ?? new Uint8Array(0))}`;
  const change = entry.type === EntryType.confChange ? decodeConfChange(entry.data) : decodeConfChangeV2(entry.data);
  if (change === undefined) return `${head} undecodable`;
  const changes = describeChanges(toConfChangeV2(change).changes);
  return changes === "" ? head : `${head} ${changes}`;
}

/** A line for each entry, each ended by a newline. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join("");
}

/**
 * E.g. `1->2 MsgApp Term:1 Log:1/3 Commit:3 Entries:[1/4 EntryNormal "x"]`; `indent` goes before continuation lines.
 */
export function describeMessage(message: Message, indent = ""): string {
  let text =
    `${describeTarget(message.from)}->${describeTarget(message.to)} ${describeMessageType(message.type)} ` +
    `Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== none) text += ` Vote:${message.vote}`;
  const [first] = message.entries;
  if (message.entries.length === 1 && first !== undefined) {
    text += ` Entries:[${describeEntry(first)}]`;
  } else if (message.entries.length > 1) {
    const lines = message.entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`);
    text += ` Entries:[${lines.join("")}\n${indent}]`;
  }
  if (message.snapshot !== undefined && !isEmptySnapshot(message.snapshot)) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(message.snapshot)}`;
  }
  if (message.responses.length > 0) {
    const lines = message.responses.map((response) => `\n${indent}  ${describeMessage(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

function describeReadState(state: ReadState): string {
  return `{${state.index} [${state.requestContext.join(" ")}]}`;
}

/** Several lines, the last one ended by a newline unless the Ready is empty. */
export function describeReady(ready: Ready): string {
  let text = "";
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0) text += `ReadStates [${ready.readStates.map(describeReadState).join(" ")}]\n`;
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries)}`;
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) text += `CommittedEntries:\n${describeEntries(ready.committedEntries)}`;
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${describeMessage(message)}\n`).join("")}`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

const escapes: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/** Bytes as a quoted string; all but printable ASCII is escaped byte by byte. */
export function quote(bytes: Uint8Array): string {
  let text = '"';
  for (const byte of bytes) {
    const escaped = escapes[byte];
    if (escaped !== undefined) text += escaped;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `${text}"`;
}
