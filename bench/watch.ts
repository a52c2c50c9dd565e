/**
 * Watching alone: how many events a second the hub matches, queues, frames and writes, in one process without sockets.
 * Every response is written into a buffer, as a connection's output buffer would take it.
 *
 * Usage: node build/bench/watch.js [--seconds N]
 */

import { parseArgs } from "node:util";
import { crc32c } from "@etcd-ts/api";
import { MemoryBackend, Mvcc, ResponseHeaders, WatchHub, type WatchStream } from "@etcd-ts/store";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "3" } } });
const seconds = Number(values.seconds);
const value = new Uint8Array(256).fill(120);
const output = new Uint8Array(1 << 20);
const headers = new ResponseHeaders({
  clusterId: 0xcdf818194e3a8c32n,
  memberId: 0x8e9e05c52164694dn,
  raftTerm: () => 2,
});

interface Shape {
  readonly name: string;
  readonly streams: number;
  readonly watchersEach: number;
  /** What watcher n watches. */
  readonly range: (n: number) => readonly [key: string, end: string | undefined];
  /** The key of put n. */
  readonly key: (n: number) => string;
  /** Puts between two moments at which the streams are read: above 1, events of a watcher are merged. */
  readonly putsPerTake: number;
}

const everyone = (): readonly [string, string] => ["/bench/", "/bench0"];
const one = (): string => "/bench/key";
const prefix = (n: number): string => `/registry/${String(n % 10_000).padStart(5, "0")}/`;

const shapes: readonly Shape[] = [
  { name: "1 stream x 1000 watchers", streams: 1, watchersEach: 1000, range: everyone, key: one, putsPerTake: 1 },
  { name: "1 x 1000, read every 10 puts", streams: 1, watchersEach: 1000, range: everyone, key: one, putsPerTake: 10 },
  { name: "100 streams x 10 watchers", streams: 100, watchersEach: 10, range: everyone, key: one, putsPerTake: 1 },
  { name: "1000 streams x 1 watcher", streams: 1000, watchersEach: 1, range: everyone, key: one, putsPerTake: 1 },
  {
    name: "10000 ranges, one of them hit",
    streams: 100,
    watchersEach: 100,
    range: (n) => [prefix(n), `${prefix(n).slice(0, -1)}0`],
    key: (n) => `${prefix(n * 7919)}pod`,
    putsPerTake: 1,
  },
];

for (const shape of shapes) run(shape);

function run(shape: Shape): void {
  const mvcc = new Mvcc({
    backend: new MemoryBackend(),
    leases: { leaseOf: () => 0n, attach: () => false, detach: () => {} },
    crc32c,
  });
  const hub = new WatchHub(mvcc);
  mvcc.setListener((revision, changes) => hub.published(revision, changes));
  const ready = new Set<WatchStream>();
  let watcher = 0;
  for (let n = 0; n < shape.streams; n++) {
    const stream = hub.openStream({ nowMs: 0, progressIntervalMs: 600_000, fragmentBytes: 2 << 20 });
    stream.onReady(() => ready.add(stream));
    for (let each = 0; each < shape.watchersEach; each++) {
      const [key, end] = shape.range(watcher++);
      hub.watch(stream, {
        id: BigInt(each),
        key,
        kind: "range",
        end,
        startRevision: 0,
        noPut: false,
        noDelete: false,
        prevKv: false,
        fragment: false,
        progressNotify: false,
      });
    }
  }

  let puts = 0;
  let responses = 0;
  let bytes = 0;
  let longestMs = 0;
  const take = (): void => {
    for (const stream of ready) {
      ready.delete(stream);
      let offset = 0;
      for (let response = stream.next(headers); response !== undefined; response = stream.next(headers)) {
        if (offset + response.sizeBytes > output.length) offset = 0;
        response.write(output, offset);
        offset += response.sizeBytes;
        bytes += response.sizeBytes;
        responses++;
      }
    }
  };
  const cycle = (): void => {
    const from = performance.now();
    for (let n = 0; n < shape.putsPerTake; n++) {
      const txn = mvcc.begin();
      txn.put(shape.key(puts++), value, 0n);
      mvcc.publish(txn);
    }
    take();
    longestMs = Math.max(longestMs, performance.now() - from);
  };

  const warmUp = performance.now() + 500;
  while (performance.now() < warmUp) cycle();
  const eventsBefore = hub.eventsTotal;
  [puts, responses, bytes, longestMs] = [0, 0, 0, 0];
  const cpuBefore = process.cpuUsage();
  const from = performance.now();
  while (performance.now() < from + 1000 * seconds) cycle();
  const cpu = process.cpuUsage(cpuBefore);
  const elapsed = (performance.now() - from) / 1000;
  const events = hub.eventsTotal - eventsBefore;
  if (hub.slowWatcherCount !== 0) throw new Error("a watcher fell behind");
  console.log(
    `${shape.name}: ${thousands(events / elapsed)} k events/s, ${thousands(responses / elapsed)} k responses/s, ` +
      `${thousands(puts / elapsed)} k puts/s, ${Math.round(bytes / elapsed / 1e6)} MB/s, ` +
      `${(((cpu.user + cpu.system) * 1000) / events).toFixed(0)} ns CPU an event, longest cycle ${longestMs.toFixed(1)} ms`,
  );
}

function thousands(rate: number): string {
  return (rate / 1000).toFixed(rate < 10_000 ? 1 : 0);
}
