/**
 * What a codec of package raftpb yields: Raft's own data, but for the parts of a snapshot that may be missing on the
 * wire. (What Raft sends can be encoded as it is.)
 */

import {
  type ConfState,
  emptyConfState,
  emptySnapshot,
  type Message,
  noMessages,
  type Snapshot,
  type SnapshotMetadata,
} from "./types.js";

export interface WireSnapshotMetadata extends Omit<SnapshotMetadata, "confState"> {
  readonly confState: ConfState | undefined;
}

export interface WireSnapshot extends Omit<Snapshot, "metadata"> {
  readonly metadata: WireSnapshotMetadata | undefined;
}

export interface WireMessage extends Omit<Message, "snapshot" | "responses"> {
  readonly snapshot: WireSnapshot | undefined;
  readonly responses: readonly WireMessage[];
}

/** A snapshot with all its parts; missing ones are empty. Shares the data. */
export function snapshotFromWire({ data, metadata }: WireSnapshot): Snapshot {
  if (metadata === undefined) return data === undefined ? emptySnapshot : { ...emptySnapshot, data };
  const { confState = emptyConfState, index, term } = metadata;
  return { data, metadata: { confState, index, term } };
}

/**
 * A message as `step` takes it. Shares entries and data. Responses are dropped: no other node has any business with
 * this node's storage threads.
 */
export function messageFromWire(message: WireMessage): Message {
  const { snapshot } = message;
  // All but a few messages have no snapshot and are taken as they are.
  if (snapshot === undefined && message.responses.length === 0) return message as Message;
  return {
    ...message,
    snapshot: snapshot === undefined ? undefined : snapshotFromWire(snapshot),
    responses: noMessages,
  };
}
