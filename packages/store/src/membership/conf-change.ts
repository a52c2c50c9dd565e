/**
 * A configuration change as an entry carries it (`raftpb.ConfChange`), and the context in it that raft does not read.
 * Source: server/etcdserver/api/membership/cluster.go (ConfigChangeContext).
 */

import { decodeUtf8, encodeUtf8 } from "@etcd-ts/api";
import { isObject, JsonSyntaxError, type JsonValue, parseExact, stringifyExact } from "./exact-json.js";
import { type Member, memberFromJson, memberToJson } from "./member.js";

/** Numbers of `raftpb.ConfChangeType`. */
export const ConfChangeType = { addNode: 0, removeNode: 1, updateNode: 2, addLearnerNode: 3 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

export interface ConfChange {
  readonly type: ConfChangeType;
  readonly nodeId: bigint;
  /** Of adds and updates; empty in a remove. */
  readonly context: Uint8Array;
}

export interface ConfChangeContext {
  readonly member: Member;
  /** The change makes this learner a voter. */
  readonly isPromote: boolean;
}

/** The change that adds a voter or a learner. */
export function addMemberChange(member: Member): ConfChange {
  const type = member.isLearner ? ConfChangeType.addLearnerNode : ConfChangeType.addNode;
  return { type, nodeId: member.id, context: encodeUtf8(stringifyExact(memberToJson(member))) };
}

export function removeMemberChange(id: bigint): ConfChange {
  return { type: ConfChangeType.removeNode, nodeId: id, context: new Uint8Array(0) };
}

/** The change of a member's peer URLs; nothing else of it changes. */
export function updateMemberChange(id: bigint, peerUrls: readonly string[]): ConfChange {
  return {
    type: ConfChangeType.updateNode,
    nodeId: id,
    context: encodeUtf8(stringifyExact({ id, peerURLs: peerUrls })),
  };
}

/** The change that makes a learner a voter. */
export function promoteMemberChange(id: bigint): ConfChange {
  return {
    type: ConfChangeType.addNode,
    nodeId: id,
    context: encodeUtf8(stringifyExact({ id, peerURLs: null, isPromote: true })),
  };
}

/** The context of an add, a promotion or an update; undefined when it is not one, or names another member. */
export function readContext(change: ConfChange): ConfChangeContext | undefined {
  const text = decodeUtf8(change.context, 0, change.context.length);
  const value = text === undefined ? undefined : parseOrUndefined(text);
  if (!isObject(value)) return undefined;
  const member = memberFromJson(value);
  const { isPromote = false } = value;
  if (member === undefined || typeof isPromote !== "boolean") return undefined;
  return member.id === change.nodeId && member.id !== 0n ? { member, isPromote } : undefined;
}

function parseOrUndefined(text: string): JsonValue | undefined {
  try {
    return parseExact(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}
