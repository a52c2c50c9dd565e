/**
 * The store alone: inserts, overwrites, gets and ranges through the state machine's parts, memory per key, and the
 * longest time one step of the long operations holds the loop.
 *
 * Usage: node --expose-gc build/bench/mvcc.js [--keys N]
 */

import { parseArgs } from "node:util";
import { crc32c, messageBytes } from "@etcd-ts/api";
import { createRangeRequest, encodeInternalRaftRequest, sizeInternalRaftRequest } from "@etcd-ts/api/etcdserverpb";
import { AlarmStore, Lessor, Membership, MemoryBackend, Mvcc, noAuth, Quota, StateMachine } from "@etcd-ts/store";

const { values } = parseArgs({ options: { keys: { type: "string", default: "1000000" } } });
const keyCount = Number(values.keys);
const valueBytes = 256;

const backend = new MemoryBackend();
const leases = new Lessor(backend, { ttlSecondsMin: 2 });
const mvcc = new Mvcc({ backend, leases, crc32c });
const machine = new StateMachine({
  backend,
  mvcc,
  leases,
  alarms: new AlarmStore(backend),
  membership: new Membership(backend),
  auth: noAuth,
  quota: new Quota(-1),
});
let index = 0;

/** Numbers 0 … n−1 in a scattered, repeatable order. */
function scattered(at: number): number {
  return (at * 611_953) % keyCount;
}

function keyAt(number: number): Uint8Array {
  return new TextEncoder().encode(`/registry/pods/default/pod-${String(number).padStart(9, "0")}`);
}

const value = new Uint8Array(valueBytes).fill(120);

function putEntry(number: number): Uint8Array {
  const request = { header: { id: 1n }, put: { key: keyAt(number), value } };
  return messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, request);
}

/** Applies an entry and returns how long its longest step took, in milliseconds. */
function apply(data: Uint8Array, budget: number): { steps: number; longestMs: number } {
  let steps = 1;
  let from = performance.now();
  let outcome = machine.apply(
    { index: ++index, term: 1, data },
    { shouldApply: true, wantsResult: () => true, nowMs: 0 },
    budget,
  );
  let longestMs = performance.now() - from;
  while (outcome === undefined) {
    from = performance.now();
    outcome = machine.resume(budget);
    longestMs = Math.max(longestMs, performance.now() - from);
    steps++;
  }
  return { steps, longestMs };
}

/** CPU time of this process, collector threads included: what other processes do does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function measure(name: string, count: number, run: () => void): void {
  const from = performance.now();
  run();
  const ms = performance.now() - from;
  console.log(
    `${name.padEnd(34)} ${(count / ms).toFixed(0).padStart(6)} k/s  ${((ms / count) * 1e6).toFixed(0).padStart(6)} ns`,
  );
}

function entries(count: number, number: (at: number) => number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => putEntry(number(at)));
}

function heapMegabytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

const before = heapMegabytes();
const batch = 50_000;
let insertMs = 0;
let longestPutMs = 0;
for (let lo = 0; lo < keyCount; lo += batch) {
  const data = entries(Math.min(batch, keyCount - lo), (at) => scattered(lo + at));
  const from = cpuMs();
  for (const entry of data) longestPutMs = Math.max(longestPutMs, apply(entry, 1000).longestMs);
  insertMs += cpuMs() - from;
}
console.log(
  `${"insert, scattered".padEnd(34)} ${(keyCount / insertMs).toFixed(0).padStart(6)} k/s  ${((insertMs / keyCount) * 1e6).toFixed(0).padStart(6)} ns   longest ${longestPutMs.toFixed(1)} ms`,
);
const after = heapMegabytes();
const storedBytes = keyCount * (valueBytes + 36 + 24);
console.log(
  `memory ${(((after - before) * 2 ** 20) / keyCount).toFixed(0)} B a key, of it ${(storedBytes / keyCount).toFixed(0)} B the backend's rows and 64 MiB the ring`,
);

const overwrites = entries(200_000, (at) => scattered(at * 7));
measure("overwrite", overwrites.length, () => {
  for (const entry of overwrites) apply(entry, 1000);
});

const gets = Array.from({ length: 200_000 }, (_, at) => createRangeRequest({ key: keyAt(scattered(at * 3)) }));
measure("get, from ring and backend", gets.length, () => {
  for (const request of gets) mvcc.range(request);
});

const end = new TextEncoder().encode("/registry/pods/default/pod-~");
const ranges = Array.from({ length: 10_000 }, (_, at) =>
  createRangeRequest({ key: keyAt(scattered(at)), rangeEnd: end, limit: 100 }),
);
measure("range of 100 with count of the rest", ranges.length, () => {
  for (const request of ranges) mvcc.range(request);
});
const keysOnly = ranges.map((request) => ({ ...request, keysOnly: true }));
measure("the same, keys only", keysOnly.length, () => {
  for (const request of keysOnly) mvcc.range(request);
});
const thousand = ranges.slice(0, 1000).map((request) => ({ ...request, limit: 1000 }));
measure("range of 1000", thousand.length, () => {
  for (const request of thousand) mvcc.range(request);
});

const restored = new Mvcc({ backend, leases, crc32c });
measure("boot: restore, a row", keyCount + overwrites.length, () => restored.restore());

function slices(name: string, step: () => boolean): void {
  let longestMs = 0;
  let steps = 0;
  const from = performance.now();
  for (let more = true; more; steps++) {
    const at = performance.now();
    more = step();
    longestMs = Math.max(longestMs, performance.now() - at);
  }
  console.log(
    `${name.padEnd(34)} ${(performance.now() - from).toFixed(0).padStart(6)} ms in ${steps} steps, longest ${longestMs.toFixed(1)} ms`,
  );
}

const hash = mvcc.startHash(0);
slices("hash of everything", () => hash.step(2000) === undefined);
const all = mvcc.startRange(createRangeRequest({ key: keyAt(0), rangeEnd: end }));
slices("range of everything", () => all.step(2000) === undefined);

const deleteAll = { header: { id: 1n }, deleteRange: { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) } };
const deleteData = messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, deleteAll);
const from = performance.now();
const { steps, longestMs } = apply(deleteData, 2000);
console.log(
  `${"delete of everything".padEnd(34)} ${(performance.now() - from).toFixed(0).padStart(6)} ms in ${steps} steps, longest ${longestMs.toFixed(1)} ms`,
);

const compaction = { header: { id: 1n }, compaction: { revision: mvcc.currentRevision() } };
const compactionData = messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, compaction);
apply(compactionData, 1000);
slices("compaction of everything", () => machine.compactionStep(1000));
