/**
 * What can go wrong, in two kinds. A *refusal* is the expected answer to input that cannot be accepted: a value, not an
 * exception. A `RaftError` is thrown when the caller broke the contract or the storage lost what it promised to keep:
 * the node must stop.
 */

/** Why an input was not accepted. */
export type RefusalCode =
  /** No leader, leadership transfer under way, not in the configuration, or too much uncommitted. Retry later. */
  | "proposal-dropped"
  /** A message that only a node may send to itself came from elsewhere. */
  | "local-message"
  /** An answer from a node outside the configuration. */
  | "peer-not-found"
  /** The message breaks the protocol: no correct node sends it. */
  | "malformed"
  /** The leader relies on entries that this node has acknowledged and no longer has: the node must stop. */
  | "log-lost";

/** An input was not accepted; nothing has changed but, at most, the term. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

/** Source: etcd-io/raft `ErrProposalDropped`. */
export const proposalDropped: Refusal = Object.freeze({ code: "proposal-dropped", message: "raft proposal dropped" });
/** Source: etcd-io/raft `ErrStepLocalMsg`. */
export const localMessage: Refusal = Object.freeze({
  code: "local-message",
  message: "raft: cannot step raft local message",
});
/** Source: etcd-io/raft `ErrStepPeerNotFound`. */
export const peerNotFound: Refusal = Object.freeze({
  code: "peer-not-found",
  message: "raft: cannot step as peer not found",
});

/** A refusal with code `malformed`. */
export function malformed(message: string): Refusal {
  return { code: "malformed", message: `malformed message: ${message}` };
}

/** Whether this node's own data is damaged, so that it must stop rather than go on with the next message. */
export function isFatalRefusal(refusal: Refusal): boolean {
  return refusal.code === "log-lost";
}

/**
 * `invalid-config`: see `Config`. `invalid-conf-change`: a change that the configuration does not allow was applied.
 * `invalid-storage`: the storage contradicts itself or lost data. `misuse`: a method was called when the contract
 * forbids it. `bug`: an invariant of this package does not hold.
 */
export type RaftErrorCode = "invalid-config" | "invalid-conf-change" | "invalid-storage" | "misuse" | "bug";

/** The node cannot go on: the caller broke the contract, or its storage lost what it promised to keep. */
export class RaftError extends Error {
  override readonly name = "RaftError";
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Stops on a bug of this package; never used on input. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new RaftError("bug", why);
}
