/** What locks, elections and transactions refuse with. The texts are those of etcd's client. */

export type ConcurrencyReason =
  | "locked"
  | "sessionExpired"
  | "lockReleased"
  | "electionNotLeader"
  | "electionNoLeader"
  | "stmConflict";

/** Source: etcd client/v3/concurrency/mutex.go, election.go; the last is our own. */
const texts: Readonly<Record<ConcurrencyReason, string>> = {
  locked: "mutex: Locked by another session",
  sessionExpired: "mutex: session is expired",
  lockReleased: "mutex: lock has already been released",
  electionNotLeader: "election: not leader",
  electionNoLeader: "election: no leader",
  stmConflict: "stm: too many conflicts",
};

export class ConcurrencyError extends Error {
  override readonly name = "ConcurrencyError";
  readonly reason: ConcurrencyReason;

  constructor(reason: ConcurrencyReason) {
    super(texts[reason]);
    this.reason = reason;
  }
}

/** True for errors of any copy of this package. */
export function isConcurrencyError(error: unknown): error is ConcurrencyError {
  return error instanceof Error && error.name === "ConcurrencyError";
}
