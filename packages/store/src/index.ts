export { AlarmStore } from "./alarm/alarm-store.js";
export { type Applied, readApplied } from "./apply/applied.js";
export type {
  AlarmOutcome,
  AuthOutcome,
  CompactionOutcome,
  DoneOutcome,
  LeaseGrantOutcome,
  Outcome,
  RefusedOutcome,
} from "./apply/outcome.js";
export {
  type AlarmTable,
  type AuthEntry,
  type AuthPort,
  type AuthResult,
  type LeaseGrant,
  type LeaseTable,
  type MembershipTable,
  noAuth,
  type Restorable,
  type Sender,
} from "./apply/ports.js";
export { costOfKeyValue, costOfLeaseGrant, costOfPut, costOfTxn, Quota } from "./apply/quota.js";
export { type AppliedEntry, type ApplyOptions, StateMachine, type StateMachineOptions } from "./apply/state-machine.js";
export { type Backend, type BucketName, bucketNames, type RecordVisitor, type RowVisitor } from "./backend.js";
export type {
  GrantResult,
  LeaseCheckpoint,
  LessorOptions,
  RenewResult,
  Settled,
  TimeToLiveResult,
} from "./lease/lessor.js";
export { Lessor, minLeaseTtlSeconds } from "./lease/lessor.js";
export {
  addMemberChange,
  type ConfChange,
  type ConfChangeContext,
  ConfChangeType,
  promoteMemberChange,
  readContext,
  removeMemberChange,
  updateMemberChange,
} from "./membership/conf-change.js";
export {
  type ConfState,
  confStateOf,
  loadConfState,
  parseConfState,
  storeConfState,
  stringifyConfState,
} from "./membership/conf-state.js";
export { JsonSyntaxError, type JsonValue, parseExact, stringifyExact } from "./membership/exact-json.js";
export {
  formatInitialCluster,
  hasDuplicateUrls,
  type InitialCluster,
  type InitialClusterResult,
  type InitialMembersResult,
  initialMembers,
  parseInitialCluster,
} from "./membership/initial-cluster.js";
export { isStarted, type Member, memberFromJson, memberToJson, stringifyMember } from "./membership/member.js";
export { computeClusterId, computeMemberId, type MemberIdInput, type Sha1 } from "./membership/member-id.js";
export {
  type Downgrade,
  Membership,
  type MembershipEffect,
  type MembershipOptions,
  memberIdText,
} from "./membership/membership.js";
export {
  type Connections,
  isLearnerReady,
  refuseAdd,
  refusePromote,
  refuseRemove,
} from "./membership/strict-reconfig.js";
export { type MemberUrl, parseUrl, parseUrls, type UrlResult, type UrlsResult } from "./membership/urls.js";
export { MemoryBackend, type MemoryBackendOptions } from "./memory-backend.js";
export { Budget, compareKeys, runToEnd, sortTask, type Task } from "./mvcc/budget.js";
export type { Completion } from "./mvcc/compactor.js";
export type { Crc32c, KeyValueHash } from "./mvcc/hash.js";
export { Mvcc, type MvccOptions, type PublishedListener } from "./mvcc/mvcc.js";
export { type Pieces, Splices, sizePieces, writePieces } from "./mvcc/pieces.js";
export { type RangeResult, type RefusedRange, wantsWholeRecords } from "./mvcc/range.js";
export type { ReadView } from "./mvcc/read-view.js";
export {
  encodeDeleteRangeResponse,
  encodeHeaderResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type HeaderParts,
  sizeDeleteRangeResponse,
  sizeHeaderResponse,
  sizeInPieces,
  sizePutResponse,
  sizeRangeResponse,
  sizeTxnResponse,
} from "./mvcc/response.js";
export { RestoringIndex } from "./mvcc/restore.js";
export { decodeRevisionKey, encodeRevisionKey, type RevisionKey } from "./mvcc/revision-key.js";
export type { SlicedRead } from "./mvcc/sliced-read.js";
export type { DeleteResult, LeaseAttachments, WriteTxn } from "./mvcc/write-txn.js";
export { RecordRows } from "./record-rows.js";
export { SortedRows } from "./sorted-rows.js";
export {
  checkDeleteRange,
  checkPut,
  checkPutSizes,
  checkRange,
  checkRangeSizes,
  checkTxn,
} from "./txn/check-request.js";
export { isReadOnlyTxn, isSerializableTxn, type TxnPorts, txnTask } from "./txn/execute-txn.js";
export type { OpResult, PutResult, Refused, TxnResult } from "./txn/outcome.js";
export { startReadTxn } from "./txn/read-txn.js";
export { type HeaderFields, ResponseHeaders } from "./watch/response-headers.js";
export type { Change, WatchSource } from "./watch/source.js";
export { WatchHub, type WatchHubOptions } from "./watch/watch-hub.js";
export type { WatchResponse } from "./watch/watch-message.js";
export { WatchSession, type WatchSessionOptions } from "./watch/watch-session.js";
export type { WatchStream, WatchStreamOptions } from "./watch/watch-stream.js";
export type { Watcher, WatcherState, WatchSpec } from "./watch/watcher.js";
