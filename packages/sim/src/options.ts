/** What a run does, all drawn from its seed. */

import { SimRandom } from "./random.js";

/** Kinds of faults; a run has a random subset of them. */
export const faultKinds = [
  "delay",
  "hold",
  "break",
  "isolate",
  "split",
  "one-way",
  "ring",
  "disk-slow",
  "disk-stall",
  "sync-error",
  "kill",
  "power-loss",
  "power-loss-all",
  "pause",
  "clock-rate",
  "wall-jump",
  "mute",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Those under which a leader that still takes itself for one has not been replaced. */
const sureFaults: ReadonlySet<FaultKind> = new Set([
  "sync-error",
  "kill",
  "power-loss",
  "power-loss-all",
  "pause",
  "clock-rate",
  "wall-jump",
]);

/** What operators do meanwhile. */
export const operationKinds = ["compact", "move-leader", "member-change", "lease-burst"] as const;
export type OperationKind = (typeof operationKinds)[number];

/** Those that leave the leader who it is. */
const sureOperations: ReadonlySet<OperationKind> = new Set(["compact", "lease-burst"]);

export interface SimOptions {
  readonly seed: number;
  /** Virtual seconds of the safety phase. */
  readonly seconds: number;
  readonly members: 1 | 3 | 5;
  readonly clients: number;
  /** Requests per client and virtual second, on average. */
  readonly requestsPerSecond: number;
  readonly keys: number;
  readonly faults: readonly FaultKind[];
  /** Virtual milliseconds between faults, on average. */
  readonly faultIntervalMs: number;
  readonly operations: readonly OperationKind[];
  readonly snapshotCount: number;
  /** More than can be proposed at once: the auditor looks at the log after a turn, and must find what it committed. */
  readonly snapshotCatchupEntries: number;
  readonly segmentSizeBytes: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly compactionBatchLimit: number;
  readonly maxWals: number;
  readonly preVote: boolean;
  readonly progressNotifyMs: number;
  /** Whether clients use leases. Without, what they saw is also searched for an order, key by key. */
  readonly leases: boolean;
  /**
   * Whether clients revoke more often, and then ask any member to keep the lease alive all the same. Only where a
   * leader is replaced when it is gone or paused: one that is cut off or slow renews it, as etcd's does, until it
   * knows.
   */
  readonly renewsRevoked: boolean;
  /** Ranges that a transaction on two keys reads beside: with some, it is not applied at once. */
  readonly txnReads: number;
  /** Bytes that values are filled up to; 0 = short ones. */
  readonly valueBytes: number;
  /** How often a fault of a member is one of the leader. */
  readonly leaderChance: number;
  /** Of raft: bytes of entries in one message, messages on the way to one follower. */
  readonly messageBytesMax: number;
  readonly inflightMessagesMax: number;
  /** How much is applied in one loop turn: with little, entries go on over several. */
  readonly applyUnitsPerTurn: number;
  /** Events that a watch stream holds before its watchers fall behind. */
  readonly watchEventsMax: number;
  /** Revisions in one step of catching up, and watchers in one round of it. */
  readonly watchSyncRevisions: number;
  readonly watchSyncWatchers: number;
  /** Bytes that a client's connection holds before the server waits. */
  readonly clientBufferBytes: number;
  /** Virtual milliseconds between operations, on average. */
  readonly operationIntervalMs: number;
  /**
   * Faults and operations that happen, by their names; undefined = all. For shrinking: the others stay as they were.
   */
  readonly only: readonly string[] | undefined;
}

/** Options that are not drawn from the seed. */
export type Overrides = Partial<Omit<SimOptions, "seed">>;

export const defaultSeconds = 20;

/** The options of a seed; `overrides` shrink or fix some of them, without shifting the others. */
export function drawOptions(seed: number, overrides: Overrides = {}): SimOptions {
  // Each from a stream of its own, so that an option that is added leaves the others of a seed as they were.
  const draw = (name: string): SimRandom => new SimRandom(seed, `option ${name}`);
  const pick = <T>(name: string, values: readonly T[]): T => draw(name).pick(values);
  const some = <T extends string>(values: readonly T[], chance: number): readonly T[] =>
    values.filter((value) => draw(value).chance(chance));
  /** That many of them, each as likely as the others. */
  const choose = <T extends string>(values: readonly T[], count: number): readonly T[] => {
    const ranked = values.map((value) => ({ value, rank: draw(value).fraction() })).sort((a, b) => a.rank - b.rank);
    const chosen = new Set(ranked.slice(0, count).map(({ value }) => value));
    return values.filter((value) => chosen.has(value));
  };
  const heartbeatMs = pick("heartbeat", [20, 100, 100, 200]);
  const onlySure = draw("onlySure").chance(0.15);
  // Few kinds, so that each comes often: many at once hide what one alone would show.
  const possibleFaults = onlySure ? faultKinds.filter((kind) => sureFaults.has(kind)) : faultKinds;
  const faults = choose(possibleFaults, pick("faultCount", [0, 1, 1, 2, 2, 4, 8]));
  const operations = some(operationKinds, 0.5).filter((kind) => !onlySure || sureOperations.has(kind));
  const leases = onlySure || draw("leases").chance(0.7);
  const isSure = faults.every((kind) => sureFaults.has(kind)) && operations.every((kind) => sureOperations.has(kind));
  const drawn: SimOptions = {
    seed,
    seconds: defaultSeconds,
    members: pick("members", [1, 3, 3, 3, 5] as const),
    clients: draw("clients").between(4, 16),
    requestsPerSecond: pick("requestsPerSecond", [2, 5, 10, 20]),
    keys: pick("keys", [3, 10, 40]),
    faults,
    faultIntervalMs: pick("faultInterval", [300, 1000, 3000]),
    operations,
    snapshotCount: pick("snapshotCount", [10, 50, 100, 1000, 10_000]),
    snapshotCatchupEntries: pick("snapshotCatchupEntries", [50, 100, 5000]),
    segmentSizeBytes: pick("segmentSize", [4096, 16_384, 65_536, 262_144]),
    heartbeatMs,
    electionMs: heartbeatMs * pick("electionTicks", [5, 10, 20]),
    backendBatchIntervalMs: pick("backendBatchInterval", [5, 100, 100, 1000]),
    backendBatchLimit: pick("backendBatchLimit", [1, 20, 10_000]),
    compactionBatchLimit: pick("compactionBatchLimit", [1, 10, 1000]),
    maxWals: pick("maxWals", [0, 1, 5]),
    preVote: draw("preVote").chance(0.8),
    progressNotifyMs: pick("progressNotify", [100, 600, 10_000]),
    leases,
    renewsRevoked: leases && isSure && draw("renewsRevoked").chance(0.9),
    txnReads: pick("txnReads", [0, 0, 0, 3]),
    valueBytes: pick("valueBytes", [0, 0, 0, 1000, 20_000]),
    leaderChance: pick("leaderChance", [0, 0.3, 0.8]),
    messageBytesMax: pick("messageBytes", [0, 2000, 1 << 20, 1 << 20]),
    inflightMessagesMax: pick("inflightMessages", [2, 512, 512]),
    applyUnitsPerTurn: pick("applyUnits", [4, 3000, 3000]),
    watchEventsMax: pick("watchEvents", [1, 8, 16_384, 16_384]),
    watchSyncRevisions: pick("watchSyncRevisions", [1, 10, 1000]),
    watchSyncWatchers: pick("watchSyncWatchers", [1, 512]),
    clientBufferBytes: pick("clientBuffer", [200, 2000, 64 * 1024]),
    operationIntervalMs: pick("operationInterval", [200, 700, 2000]),
    only: undefined,
  };
  return { ...drawn, ...overrides };
}

export function describeOptions(options: SimOptions): string {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") || "none" : String(value)}`)
    .join(" ");
}
