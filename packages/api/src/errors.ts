/**
 * The one table of the errors a client can see: reason → gRPC code, etcd's exact text, and what to make of it.
 *
 * Server code names reasons; the texts leave the process only at the gRPC border, and only the client reads them back,
 * because the wire carries nothing else. docs/errors.md is held to this table by a test.
 *
 * Source: etcd 3.7, api/v3rpc/rpctypes/error.go. A reason is its identifier there without `ErrGRPC`. Codes are those
 * really sent: etcd's conversion sends two errors as Unknown, and clients have come to know them so.
 */

/** gRPC status codes that etcd uses. Source: grpc/grpc doc/statuscodes.md. */
const code = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type Reason =
  | "emptyKey"
  | "keyNotFound"
  | "valueProvided"
  | "leaseProvided"
  | "tooManyOps"
  | "duplicateKey"
  | "invalidClientAPIVersion"
  | "invalidSortOption"
  | "compacted"
  | "futureRev"
  | "noSpace"
  | "leaseNotFound"
  | "leaseExist"
  | "leaseTTLTooLarge"
  | "watchCanceled"
  | "memberExist"
  | "peerURLExist"
  | "memberNotEnoughStarted"
  | "memberBadURLs"
  | "memberNotFound"
  | "memberNotLearner"
  | "learnerNotReady"
  | "tooManyLearners"
  | "clusterIDMismatch"
  | "requestTooLarge"
  | "requestTooManyRequests"
  | "rootUserNotExist"
  | "rootRoleNotExist"
  | "userAlreadyExist"
  | "userEmpty"
  | "userNotFound"
  | "roleAlreadyExist"
  | "roleNotFound"
  | "roleEmpty"
  | "authFailed"
  | "permissionNotGiven"
  | "permissionDenied"
  | "roleNotGranted"
  | "permissionNotGranted"
  | "authNotEnabled"
  | "invalidAuthToken"
  | "invalidAuthMgmt"
  | "authOldRevision"
  | "noLeader"
  | "notLeader"
  | "leaderChanged"
  | "notCapable"
  | "stopped"
  | "timeout"
  | "timeoutDueToLeaderFail"
  | "timeoutDueToConnectionLost"
  | "timeoutWaitAppliedIndex"
  | "unhealthy"
  | "corrupt"
  | "notSupportedForLearner"
  | "badLeaderTransferee"
  | "wrongDowngradeVersionFormat"
  | "invalidDowngradeTargetVersion"
  | "clusterVersionUnavailable"
  | "downgradeInProcess"
  | "noInflightDowngrade"
  | "canceled"
  | "deadlineExceeded";

export interface ErrorSpec {
  /** gRPC status code as sent. */
  readonly code: number;
  /** Status message as sent. */
  readonly message: string;
  /** A request that changes nothing, or may be done twice, may be sent again: the cause is expected to pass. */
  readonly retryable: boolean;
  /** Name in etcd's Go client; undefined where that client has none. */
  readonly clientIdentifier: string | undefined;
}

export const errorSpecs: Readonly<Record<Reason, ErrorSpec>> = {
  emptyKey: spec(code.invalidArgument, "key is not provided", "ErrEmptyKey"),
  keyNotFound: spec(code.invalidArgument, "key not found", "ErrKeyNotFound"),
  valueProvided: spec(code.invalidArgument, "value is provided", "ErrValueProvided"),
  leaseProvided: spec(code.invalidArgument, "lease is provided", "ErrLeaseProvided"),
  tooManyOps: spec(code.invalidArgument, "too many operations in txn request", "ErrTooManyOps"),
  duplicateKey: spec(code.invalidArgument, "duplicate key given in txn request", "ErrDuplicateKey"),
  invalidClientAPIVersion: spec(code.invalidArgument, "invalid client api version", undefined),
  invalidSortOption: spec(code.invalidArgument, "invalid sort option", "ErrInvalidSortOption"),
  compacted: spec(code.outOfRange, "mvcc: required revision has been compacted", "ErrCompacted"),
  futureRev: spec(code.outOfRange, "mvcc: required revision is a future revision", "ErrFutureRev"),
  noSpace: spec(code.resourceExhausted, "mvcc: database space exceeded", "ErrNoSpace"),
  leaseNotFound: spec(code.notFound, "requested lease not found", "ErrLeaseNotFound"),
  leaseExist: spec(code.failedPrecondition, "lease already exists", "ErrLeaseExist"),
  leaseTTLTooLarge: spec(code.outOfRange, "too large lease TTL", "ErrLeaseTTLTooLarge"),
  watchCanceled: spec(code.canceled, "watch canceled", undefined),
  memberExist: spec(code.failedPrecondition, "member ID already exist", "ErrMemberExist"),
  peerURLExist: spec(code.failedPrecondition, "Peer URLs already exists", "ErrPeerURLExist"),
  memberNotEnoughStarted: spec(
    code.unknown,
    "re-configuration failed due to not enough started members",
    "ErrMemberNotEnoughStarted",
  ),
  memberBadURLs: spec(code.invalidArgument, "given member URLs are invalid", "ErrMemberBadURLs"),
  memberNotFound: spec(code.notFound, "member not found", "ErrMemberNotFound"),
  memberNotLearner: spec(code.failedPrecondition, "can only promote a learner member", "ErrMemberNotLearner"),
  learnerNotReady: spec(
    code.failedPrecondition,
    "can only promote a learner member which is in sync with leader",
    "ErrMemberLearnerNotReady",
  ),
  tooManyLearners: spec(code.failedPrecondition, "too many learner members in cluster", "ErrTooManyLearners"),
  clusterIDMismatch: spec(code.failedPrecondition, "cluster ID mismatch", "ErrClusterIDMismatch"),
  requestTooLarge: spec(code.invalidArgument, "request is too large", "ErrRequestTooLarge"),
  requestTooManyRequests: spec(code.unknown, "too many requests", "ErrTooManyRequests"),
  rootUserNotExist: spec(code.failedPrecondition, "root user does not exist", "ErrRootUserNotExist"),
  rootRoleNotExist: spec(code.failedPrecondition, "root user does not have root role", "ErrRootRoleNotExist"),
  userAlreadyExist: spec(code.failedPrecondition, "user name already exists", "ErrUserAlreadyExist"),
  userEmpty: spec(code.invalidArgument, "user name is empty", "ErrUserEmpty"),
  userNotFound: spec(code.failedPrecondition, "user name not found", "ErrUserNotFound"),
  roleAlreadyExist: spec(code.failedPrecondition, "role name already exists", "ErrRoleAlreadyExist"),
  roleNotFound: spec(code.failedPrecondition, "role name not found", "ErrRoleNotFound"),
  roleEmpty: spec(code.invalidArgument, "role name is empty", "ErrRoleEmpty"),
  authFailed: spec(code.invalidArgument, "authentication failed, invalid user ID or password", "ErrAuthFailed"),
  permissionNotGiven: spec(code.invalidArgument, "permission not given", undefined),
  permissionDenied: spec(code.permissionDenied, "permission denied", "ErrPermissionDenied"),
  roleNotGranted: spec(code.failedPrecondition, "role is not granted to the user", "ErrRoleNotGranted"),
  permissionNotGranted: spec(
    code.failedPrecondition,
    "permission is not granted to the role",
    "ErrPermissionNotGranted",
  ),
  authNotEnabled: spec(code.failedPrecondition, "authentication is not enabled", "ErrAuthNotEnabled"),
  invalidAuthToken: spec(code.unauthenticated, "invalid auth token", "ErrInvalidAuthToken"),
  invalidAuthMgmt: spec(code.invalidArgument, "invalid auth management", "ErrInvalidAuthMgmt"),
  authOldRevision: spec(code.invalidArgument, "revision of auth store is old", "ErrAuthOldRevision"),
  noLeader: spec(code.unavailable, "no leader", "ErrNoLeader"),
  notLeader: spec(code.failedPrecondition, "not leader", "ErrNotLeader"),
  leaderChanged: spec(code.unavailable, "leader changed", "ErrLeaderChanged"),
  notCapable: spec(code.failedPrecondition, "not capable", "ErrNotCapable"),
  stopped: spec(code.unavailable, "server stopped", "ErrStopped"),
  timeout: spec(code.unavailable, "request timed out", "ErrTimeout"),
  timeoutDueToLeaderFail: spec(
    code.unavailable,
    "request timed out, possibly due to previous leader failure",
    "ErrTimeoutDueToLeaderFail",
  ),
  timeoutDueToConnectionLost: spec(
    code.unavailable,
    "request timed out, possibly due to connection lost",
    "ErrTimeoutDueToConnectionLost",
  ),
  timeoutWaitAppliedIndex: spec(
    code.unavailable,
    "request timed out, waiting for the applied index took too long",
    "ErrTimeoutWaitAppliedIndex",
  ),
  unhealthy: spec(code.unavailable, "unhealthy cluster", "ErrUnhealthy"),
  corrupt: spec(code.dataLoss, "corrupt cluster", "ErrCorrupt"),
  notSupportedForLearner: spec(code.failedPrecondition, "rpc not supported for learner", undefined),
  badLeaderTransferee: spec(code.failedPrecondition, "bad leader transferee", "ErrBadLeaderTransferee"),
  wrongDowngradeVersionFormat: spec(
    code.invalidArgument,
    "wrong downgrade target version format",
    "ErrWrongDowngradeVersionFormat",
  ),
  invalidDowngradeTargetVersion: spec(
    code.invalidArgument,
    "invalid downgrade target version",
    "ErrInvalidDowngradeTargetVersion",
  ),
  clusterVersionUnavailable: spec(
    code.failedPrecondition,
    "cluster version not found during downgrade",
    "ErrClusterVersionUnavailable",
  ),
  downgradeInProcess: spec(code.failedPrecondition, "cluster has a downgrade job in progress", "ErrDowngradeInProcess"),
  noInflightDowngrade: spec(code.failedPrecondition, "no inflight downgrade job", "ErrNoInflightDowngrade"),
  canceled: spec(code.canceled, "request canceled", undefined),
  deadlineExceeded: spec(code.deadlineExceeded, "context deadline exceeded", undefined),
};

function spec(status: number, text: string, clientIdentifier: string | undefined): ErrorSpec {
  return { code: status, message: `etcdserver: ${text}`, retryable: status === code.unavailable, clientIdentifier };
}

/** All reasons, in the order of the table. */
export const reasons: readonly Reason[] = Object.keys(errorSpecs) as Reason[];

const reasonsByMessage: ReadonlyMap<string, Reason> = new Map(
  reasons.map((reason) => [errorSpecs[reason].message, reason]),
);

/**
 * The reason a status message stands for; undefined when it is none of etcd's. The code does not count: it has changed
 * between releases for the same text, and etcd's own client goes by the text.
 */
export function reasonOfMessage(message: string): Reason | undefined {
  return reasonsByMessage.get(message);
}

/**
 * The status as thrown to users of a client or turned into an answer by a server. `reason` is undefined for statuses
 * that are not etcd's own, e.g. of the transport.
 */
export class EtcdError extends Error {
  override readonly name = "EtcdError";
  readonly code: number;
  readonly reason: Reason | undefined;

  constructor(status: { readonly code: number; readonly message: string }, cause?: unknown) {
    super(status.message, cause === undefined ? undefined : { cause });
    this.code = status.code;
    this.reason = reasonOfMessage(status.message);
  }
}

/** The error of a reason. */
export function etcdError(reason: Reason, cause?: unknown): EtcdError {
  return new EtcdError(errorSpecs[reason], cause);
}

/** True for errors of any copy of this package. */
export function isEtcdError(error: unknown): error is EtcdError {
  return error instanceof Error && error.name === "EtcdError" && "code" in error && "reason" in error;
}

/** True when the request may be sent again, provided that doing it twice does no harm. */
export function isRetryable({ code: status, message }: { readonly code: number; readonly message: string }): boolean {
  const reason = reasonOfMessage(message);
  return status === code.unavailable && (reason === undefined || errorSpecs[reason].retryable);
}
