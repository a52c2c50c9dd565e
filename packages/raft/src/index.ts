/**
 * Raft consensus with the semantics of etcd-io/raft: a pure state machine. It does no I/O, has no clock and no
 * randomness of its own; what it wants done it returns as a `Ready`.
 */

export {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  entersJoint,
  isConfChangeV2,
  leavesJoint,
  toConfChangeV2,
} from "./conf-change.js";
export {
  confChangeEntry,
  decodeConfChange,
  decodeConfChangeV2,
  encodeConfChange,
  encodeConfChangeV2,
  entryConfChange,
} from "./conf-change-codec.js";
export type { Config, ReadOnlyOption } from "./config.js";
export {
  describeConfState,
  describeEntry,
  describeHardState,
  describeMessage,
  describeMessageType,
  describeReady,
  describeState,
} from "./describe.js";
export { isFatalRefusal, RaftError, type RaftErrorCode, type Refusal, type RefusalCode } from "./errors.js";
export { type Logger, silentLogger } from "./logger.js";
export { MemoryStorage } from "./memory-storage.js";
export { isLocalType, isResponseType } from "./messages.js";
export { type Peer, RawNode } from "./raw-node.js";
export type { Ready } from "./ready.js";
export { entriesSize, entrySize, payloadSize } from "./size.js";
export type { BasicStatus, ProgressState, ProgressStatus, Status } from "./status.js";
export { type Storage, type StorageRefusal, storageRefusalText } from "./storage.js";
export {
  type ConfState,
  createMessage,
  type Entry,
  EntryType,
  emptyConfState,
  emptyHardState,
  emptySnapshot,
  equalHardStates,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  isLocalTarget,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  type NodeId,
  noLimit,
  none,
  RaftState,
  type ReadState,
  type Snapshot,
  type SnapshotMetadata,
  type SoftState,
} from "./types.js";
export { messageFromWire, snapshotFromWire, type WireMessage, type WireSnapshot } from "./wire.js";
