import { RaftError } from "./errors.js";
import type { Logger } from "./logger.js";
import { silentLogger } from "./logger.js";
import type { Storage } from "./storage.js";
import { isLocalTarget, type NodeId, noLimit, none } from "./types.js";

/**
 * How linearizable reads are confirmed. `safe`: by a round of heartbeats to a quorum. `lease-based`: by the leader's
 * own clock; needs `checkQuorum` and clocks of bounded drift.
 */
export type ReadOnlyOption = "safe" | "lease-based";

/** How a node is set up. Limits are checked and defaults filled in by `new RawNode`, which throws `RaftError`. */
export interface Config {
  /** Own id; neither 0 nor a storage thread's. */
  readonly id: NodeId;
  /** Ticks without a leader before an election; greater than `heartbeatTick`, ten times it is usual. */
  readonly electionTick: number;
  /** Ticks between heartbeats of a leader; at least 1. */
  readonly heartbeatTick: number;
  readonly storage: Storage;
  /** A uniform integer in [0, bound). The only source of randomness: election timeouts are drawn from it. */
  readonly random: (bound: number) => number;
  /** Where log lines go; by default nowhere. */
  readonly logger?: Logger;
  /** Last index the application had applied before a restart; 0: what the storage's snapshot covers. */
  readonly applied?: number;
  /** Persist and apply through messages to the storage threads instead of `Ready` and `advance`. */
  readonly asyncStorageWrites?: boolean;
  /** Encoded bytes of entries in one message; a single larger entry still goes. 0: one entry a message. */
  readonly maxSizePerMessage: number;
  /** Encoded bytes of committed entries handed out and not yet applied; 0 or absent: `maxSizePerMessage`. */
  readonly maxCommittedSizePerReady?: number;
  /**
   * Payload bytes of entries proposed and not yet committed, above which proposals are dropped; 0 or absent: no limit.
   */
  readonly maxUncommittedEntriesSize?: number;
  /** Append messages in flight to one follower; at least 1. */
  readonly maxInflightMessages: number;
  /** Payload bytes in flight to one follower; 0 or absent: no limit, else at least `maxSizePerMessage`. */
  readonly maxInflightBytes?: number;
  /** A leader steps down when it has not heard from a quorum for an election timeout. */
  readonly checkQuorum?: boolean;
  /** Ask before raising the term (thesis §9.6). */
  readonly preVote?: boolean;
  /** Default `safe`. */
  readonly readOnlyOption?: ReadOnlyOption;
  /** A follower drops proposals instead of forwarding them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** Let configuration changes into the log that the current configuration seems to forbid. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that a configuration change removes or demotes steps down. */
  readonly stepDownOnRemoval?: boolean;
}

/** `Config` with every default filled in. */
export type CompleteConfig = Required<Config>;

/** Fills in defaults and checks limits. Throws `RaftError` `invalid-config`. */
export function completeConfig(config: Config): CompleteConfig {
  const complete: CompleteConfig = {
    id: config.id,
    electionTick: config.electionTick,
    heartbeatTick: config.heartbeatTick,
    storage: config.storage,
    random: config.random,
    logger: config.logger ?? silentLogger,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxSizePerMessage: config.maxSizePerMessage,
    maxCommittedSizePerReady: config.maxCommittedSizePerReady || config.maxSizePerMessage,
    maxUncommittedEntriesSize: config.maxUncommittedEntriesSize || noLimit,
    maxInflightMessages: config.maxInflightMessages,
    maxInflightBytes: config.maxInflightBytes || noLimit,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? "safe",
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
  };
  const fault = configFault(complete);
  if (fault !== undefined) throw new RaftError("invalid-config", fault);
  return complete;
}

function configFault(config: CompleteConfig): string | undefined {
  if (config.id === none) return "cannot use none as id";
  if (isLocalTarget(config.id)) return "cannot use local target as id";
  if (!(config.heartbeatTick > 0)) return "heartbeat tick must be greater than 0";
  if (!(config.electionTick > config.heartbeatTick)) return "election tick must be greater than heartbeat tick";
  if (config.storage === undefined) return "storage cannot be nil";
  if (!(config.maxInflightMessages > 0)) return "max inflight messages must be greater than 0";
  if (config.maxInflightBytes < config.maxSizePerMessage) return "max inflight bytes must be >= max message size";
  if (config.readOnlyOption === "lease-based" && !config.checkQuorum) {
    return "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased";
  }
  return undefined;
}
