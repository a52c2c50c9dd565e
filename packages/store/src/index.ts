export { AlarmStore } from "./alarm/alarm-store.js";
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
export { parseUrls, type UrlsResult } from "./membership/urls.js";
export { type HeaderFields, ResponseHeaders } from "./watch/response-headers.js";
export type { Change, WatchSource } from "./watch/source.js";
export { WatchHub, type WatchHubOptions } from "./watch/watch-hub.js";
export type { WatchResponse } from "./watch/watch-message.js";
export { WatchSession, type WatchSessionOptions } from "./watch/watch-session.js";
export type { WatchStream, WatchStreamOptions } from "./watch/watch-stream.js";
export type { Watcher, WatcherState, WatchSpec } from "./watch/watcher.js";
