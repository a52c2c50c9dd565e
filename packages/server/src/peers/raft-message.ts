/** raftpb messages as raft takes them. Old members send an empty snapshot with every message: it means none. */

import { decodeMessage, type Message as WireMessage } from "@etcd-ts/api/raftpb";
import { emptySnapshot, type Message } from "@etcd-ts/raft";

export function fromWire(message: WireMessage): Message {
  const { snapshot } = message;
  if (snapshot === undefined && message.responses.length === 0) return message as Message;
  const metadata = snapshot?.metadata;
  if (snapshot === undefined || metadata === undefined || metadata.index === 0) {
    return { ...message, snapshot: undefined, responses: [] };
  }
  const confState = metadata.confState ?? emptySnapshot.metadata.confState;
  return { ...message, snapshot: { data: snapshot.data, metadata: { ...metadata, confState } }, responses: [] };
}

/** Throws DecodeError. */
export function decodeRaftMessage(bytes: Uint8Array): Message {
  return fromWire(decodeMessage(bytes));
}
