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
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What operators do meanwhile. */
export const operationKinds = ["compact", "move-leader", "member-change"] as const;
export type OperationKind = (typeof operationKinds)[number];

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
  /** Bytes that values are filled up to; 0 = short ones. */
  readonly valueBytes: number;
}

export interface Overrides {
  readonly seconds?: number;
  readonly members?: 1 | 3 | 5;
  readonly clients?: number;
  readonly requestsPerSecond?: number;
  readonly faults?: readonly FaultKind[];
  readonly operations?: readonly OperationKind[];
  readonly leases?: boolean;
}

export const defaultSeconds = 20;

/** The options of a seed; `overrides` shrink or fix some of them, without shifting the others. */
export function drawOptions(seed: number, overrides: Overrides = {}): SimOptions {
  const random = new SimRandom(seed, "options");
  const faultChance = random.pick([0, 0.15, 0.3, 0.6]);
  const heartbeatMs = random.pick([20, 100, 100, 200]);
  const drawn: SimOptions = {
    seed,
    seconds: defaultSeconds,
    members: random.pick([1, 3, 3, 3, 5] as const),
    clients: random.between(4, 16),
    requestsPerSecond: random.pick([2, 5, 10, 20]),
    keys: random.pick([3, 10, 40]),
    faults: faultKinds.filter(() => random.chance(faultChance)),
    faultIntervalMs: random.pick([300, 1000, 3000]),
    operations: operationKinds.filter(() => random.chance(0.5)),
    snapshotCount: random.pick([10, 50, 100, 1000, 10_000]),
    snapshotCatchupEntries: random.pick([50, 100, 5000]),
    segmentSizeBytes: random.pick([4096, 16_384, 65_536, 262_144]),
    heartbeatMs,
    electionMs: heartbeatMs * random.pick([5, 10, 20]),
    backendBatchIntervalMs: random.pick([5, 100, 100, 1000]),
    backendBatchLimit: random.pick([1, 20, 10_000]),
    compactionBatchLimit: random.pick([1, 10, 1000]),
    maxWals: random.pick([0, 1, 5]),
    preVote: random.chance(0.8),
    progressNotifyMs: random.pick([100, 600, 10_000]),
    leases: random.chance(0.7),
    valueBytes: random.pick([0, 0, 0, 1000, 20_000]),
  };
  return { ...drawn, ...overrides };
}

export function describeOptions(options: SimOptions): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") || "none" : String(value)}`)
    .join(" ");
}
