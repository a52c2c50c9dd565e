/** The loads of the benchmark table, with their targets: ours over the peer's, for one member on this machine. */

import { type LoopResult, runClosedLoop, type Work } from "./generator/closed-loop.js";
import { benchmarkKeys } from "./generator/key-space.js";
import { CompareAndSwapWork, MixedWork, PutWork, RangeWork } from "./generator/kv-work.js";
import { LeaseGrantWork, runKeepAlives } from "./generator/lease-work.js";
import { runWatches } from "./generator/watch-load.js";
import type { Side } from "./side.js";

/** What is compared: the rate, where more is better, or the median latency, where less is. */
export type Compared = "rate" | "p50";

export interface Row {
  readonly name: string;
  readonly compared: Compared;
  /** The ratio asked for: at least this for a rate, at most this for a latency. */
  readonly target: number;
  /** One caller waits for the network most of the time: how fast the generator could be says nothing. */
  readonly isLatencyBound?: true;
  readonly run: (side: Side, seconds: number) => Promise<LoopResult>;
}

/** Rows that share a pair of servers, started fresh and prepared once. */
export interface Group {
  readonly name: string;
  /** 1 when absent. Loads go to the leader. */
  readonly members?: 3;
  readonly prepare: (side: Side) => Promise<unknown>;
  readonly rows: readonly Row[];
}

const keyCount = 100_000;
const rangeSize = 1000;
const leaseTtl = 600;
/** Small, so that events are measured and not the copying of bytes. */
const watchedValueSize = 32;
const keptLeases = 100;

function unary(connections: number, streams: number, work: (side: Side, caller: number) => Work): Row["run"] {
  return (side, seconds) =>
    runClosedLoop({ ...side.target, connections, streams, seconds, work: (caller) => work(side, caller) });
}

const put = (side: Side): Work => new PutWork(side.load);
const get = (side: Side): Work => new RangeWork(side.load);

const puts: Group = {
  name: "puts",
  prepare: (side) => side.fill(keyCount),
  rows: [
    { name: "put 256 B, 100 k keys, 10×10", compared: "rate", target: 4, run: unary(10, 10, put) },
    { name: "put 256 B, 100 k keys, 100×10", compared: "rate", target: 4, run: unary(100, 10, put) },
    { name: "put 256 B, 1×1, p50", compared: "p50", target: 0.7, isLatencyBound: true, run: unary(1, 1, put) },
  ],
};

const reads: Group = {
  name: "reads",
  prepare: (side) => side.fill(keyCount),
  rows: [
    { name: "get, linearizable, 10×10", compared: "rate", target: 8, run: unary(10, 10, get) },
    { name: "get, linearizable, 1×1", compared: "rate", target: 2, isLatencyBound: true, run: unary(1, 1, get) },
    {
      name: "get, serializable, 10×10",
      compared: "rate",
      target: 10,
      run: unary(10, 10, (side) => new RangeWork(side.load, { serializable: true })),
    },
    {
      name: "range of 1 000 keys, 10×1",
      compared: "rate",
      target: 2.5,
      run: unary(10, 1, (side) => new RangeWork(side.load, { rangeSize })),
    },
    {
      name: "mixed 80 % get, 20 % put, 10×10",
      compared: "rate",
      target: 8,
      run: unary(10, 10, (side, caller) => new MixedWork({ put: put(side), get: get(side), readsPerWrite: 4, caller })),
    },
  ],
};

const clusters: Group = {
  name: "clusters",
  members: 3,
  prepare: (side) => side.fill(keyCount),
  rows: [
    { name: "3 members: put 256 B, 100 k keys, 10×10", compared: "rate", target: 3, run: unary(10, 10, put) },
    { name: "3 members: get, linearizable, 10×10", compared: "rate", target: 3, run: unary(10, 10, get) },
  ],
};

const transactions: Group = {
  name: "transactions",
  prepare: (side) => side.fill(keyCount),
  rows: [
    {
      name: "compare-and-swap txn, 10×10",
      compared: "rate",
      target: 6,
      run: unary(10, 10, (side, caller) => {
        const count = keyCount / 100;
        return new CompareAndSwapWork(side.load, { first: caller * count, count });
      }),
    },
  ],
};

const watches: Group = {
  name: "watches",
  prepare: async () => {},
  rows: [watchRow({ streams: 1, watchers: 1000, target: 4 }), watchRow({ streams: 100, watchers: 10, target: 6 })],
};

function watchRow(options: { streams: number; watchers: number; target: number }): Row {
  const { streams, watchers, target } = options;
  return {
    name: `watch events, ${streams} streams × ${watchers}`,
    compared: "rate",
    target,
    run: (side, seconds) =>
      runWatches({ ...side.target, streams, watchers, seconds, keys: benchmarkKeys(1, watchedValueSize) }),
  };
}

const leases: Group = {
  name: "leases",
  prepare: (side) => {
    let left = keptLeases;
    return grant(side, { take: () => --left });
  },
  rows: [
    {
      name: "lease grant, 10×10",
      compared: "rate",
      target: 4,
      run: (side, seconds) => grant(side, { take: () => 0, seconds }),
    },
    {
      name: "lease keepalive, 10×10",
      compared: "rate",
      target: 4,
      run: (side, seconds) => {
        const kept = [...side.leases.values()].slice(0, keptLeases);
        return runKeepAlives({ ...side.target, connections: 10, streams: 10, seconds, leases: kept, ttl: leaseTtl });
      },
    },
  ],
};

function grant(side: Side, options: { take: () => number; seconds?: number }): Promise<LoopResult> {
  const work = () => new LeaseGrantWork({ granted: side.leases, ttl: leaseTtl, take: options.take });
  const seconds = options.seconds === undefined ? {} : { seconds: options.seconds };
  return runClosedLoop({ ...side.target, connections: 10, streams: 10, ...seconds, work });
}

export const groups: readonly Group[] = [puts, reads, transactions, watches, leases, clusters];
