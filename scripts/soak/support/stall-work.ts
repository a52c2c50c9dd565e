/** The work that could hold up a member's loop: each is one call, or a few, that touches every key there is. */

import { EtcdClient } from "@etcd-ts/client";
import { runClosedLoop, type Work } from "../../../bench/generator/closed-loop.js";
import { Connection } from "../../../bench/generator/connection.js";
import { LeasePath } from "../../../bench/generator/lease-work.js";
import { MessageReader, MessageWriter } from "../../../bench/generator/message.js";
import { callOnce } from "../../../bench/generator/one-call.js";
import type { Region } from "../../../bench/generator/region.js";
import { watchPath } from "../../../bench/generator/watch-load.js";
import type { Side } from "../../../bench/side.js";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");
const writer = (): MessageWriter => new MessageWriter(128);
/** Every key of the load. */
const lo = latin1("/bench/");
const hi = latin1("/bench0");
const leaseId = 7;

export interface StallWork {
  readonly name: string;
  /** What must be there before; not measured. */
  readonly prepare?: (side: Side, keys: number) => Promise<unknown>;
  readonly run: (side: Side, keys: number) => Promise<unknown>;
}

const fill = (side: Side, keys: number): Promise<unknown> => side.fill(keys);

function call(side: Side, path: string, message: MessageWriter): Promise<void> {
  return callOnce(side.target, { path: `/etcdserverpb.${path}`, message: message.finish() });
}

const everyKey = (): MessageWriter => writer().span(1, lo).span(2, hi);

export const stallWorks: readonly StallWork[] = [
  { name: "nothing", run: () => new Promise((resolve) => setTimeout(resolve, 2000)) },
  { name: "puts of new keys", run: fill },
  { name: "puts of old keys", run: fill },
  { name: "range, count only", run: (side) => call(side, "KV/Range", everyKey().uint(9, 1)) },
  { name: "range, keys only", run: (side) => call(side, "KV/Range", everyKey().uint(8, 1)) },
  { name: "range of all", run: (side) => call(side, "KV/Range", everyKey()) },
  {
    name: "range by value, limit 1",
    run: (side) => call(side, "KV/Range", everyKey().uint(3, 1).uint(5, 2).uint(6, 4)),
  },
  { name: "HashKV", run: (side) => call(side, "Maintenance/HashKV", writer()) },
  { name: "Hash", run: (side) => call(side, "Maintenance/Hash", writer()) },
  { name: "values of 10 MB", run: largeValues },
  // The first of them is compiled while it runs.
  { name: "txn of 10 000 operations", prepare: manyOperations, run: manyOperations },
  { name: "snapshot", run: (side) => drainSnapshot(side) },
  { name: "watch from revision 1", run: (side, keys) => watchAll(side, { from: 1, events: 2 * keys }) },
  { name: "txn that reads all and deletes all", run: readAndDelete },
  { name: "delete with prev_kv", prepare: fill, run: (side) => call(side, "KV/DeleteRange", everyKey().uint(3, 1)) },
  { name: "delete", prepare: fill, run: (side) => call(side, "KV/DeleteRange", everyKey()) },
  { name: "delete, watched", prepare: fill, run: deleteWatched },
  { name: "delete, watched by 1000 watchers", prepare: fill, run: deleteWatchedByMany },
  { name: "lease with keys", prepare: attachAll, run: timeToLive },
  { name: "lease revoke", run: revoke },
  { name: "compaction", run: compact },
  { name: "defragment", run: (side) => call(side, "Maintenance/Defragment", writer()) },
  { name: "lease grants", run: grantMany },
  { name: "list of leases", run: (side) => call(side, "Lease/LeaseLeases", writer()) },
];

/** Both in one transaction. */
function readAndDelete(side: Side): Promise<void> {
  const range = writer().span(1, everyKey().uint(8, 1).finish());
  const remove = writer().span(3, everyKey().finish());
  return call(side, "KV/Txn", writer().span(2, range.finish()).span(2, remove.finish()));
}

async function deleteWatched(side: Side, keys: number): Promise<void> {
  const watched = watchAll(side, { from: 0, events: keys });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await Promise.all([watched, call(side, "KV/DeleteRange", everyKey())]);
}

/** Puts some of the largest values, and reads all of them at once. */
async function largeValues(side: Side): Promise<void> {
  const value = new Uint8Array(10_000_000);
  const count = 8;
  for (let i = 0; i < count; i++) {
    const message = new MessageWriter(value.length + 64).span(1, latin1(`/large/${i}`)).span(2, value);
    await call(side, "KV/Put", message);
  }
  const all = (): MessageWriter => writer().span(1, latin1("/large/")).span(2, latin1("/large0"));
  await call(side, "KV/Range", all());
  await call(side, "KV/DeleteRange", all());
}

/** As many puts in one transaction as the member takes. */
async function manyOperations(side: Side): Promise<void> {
  const txn = new MessageWriter(2 ** 21);
  for (let i = 0; i < 10_000; i++) {
    const put = new MessageWriter(256).span(1, latin1(`/txn/${i}`)).span(2, new Uint8Array(100));
    txn.span(2, new MessageWriter(256).span(2, put.finish()).finish());
  }
  await call(side, "KV/Txn", txn);
  await call(side, "KV/DeleteRange", writer().span(1, latin1("/txn/")).span(2, latin1("/txn0")));
}

/** Reads the image of the database to its end. */
async function drainSnapshot(side: Side): Promise<void> {
  const client = new EtcdClient({ endpoints: [`${side.target.host}:${side.target.port}`] });
  try {
    for await (const piece of client.maintenance.snapshot()) void piece;
  } finally {
    client.close();
  }
}

/** Each of the watchers gets a thousandth of the events. */
async function deleteWatchedByMany(side: Side, keys: number): Promise<void> {
  const watchers = 1000;
  const name = (index: number): Uint8Array => {
    const key = new Uint8Array(side.keys.keySize);
    side.keys.writeKey(key, 0, index);
    return key;
  };
  const ranges = Array.from({ length: watchers }, (_, i) => {
    const from = name(Math.floor((i * keys) / watchers));
    const to = i + 1 < watchers ? name(Math.floor(((i + 1) * keys) / watchers)) : hi;
    return writer().span(1, from).span(2, to);
  });
  const watched = watchRanges(side, { ranges, from: 0, events: keys });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await Promise.all([watched, call(side, "KV/DeleteRange", everyKey())]);
}

/** With its keys. */
function timeToLive(side: Side): Promise<void> {
  return call(side, "Lease/LeaseTimeToLive", writer().uint(1, leaseId).uint(2, 1));
}

/** Puts all keys with one lease. */
async function attachAll(side: Side, keys: number): Promise<void> {
  await call(side, "Lease/LeaseGrant", writer().uint(1, 3600).uint(2, leaseId));
  await side.fill(keys, { lease: leaseId });
}

function revoke(side: Side): Promise<void> {
  return call(side, "Lease/LeaseRevoke", writer().uint(1, leaseId));
}

/** Of everything, waiting for the end of the work. */
async function compact(side: Side): Promise<void> {
  await side.fill(1);
  await call(side, "KV/Compact", writer().uint(1, side.revisions.newest).uint(2, 1));
}

async function grantMany(side: Side, keys: number): Promise<void> {
  let left = keys;
  const message = writer().uint(1, 3600).finish();
  const request = { path: LeasePath.grant, message, size: message.length };
  const work = (): Work => ({ prepare: () => (left-- > 0 ? request : undefined), check: () => undefined });
  await runClosedLoop({ ...side.target, connections: 10, streams: 10, work });
}

const response = new MessageReader();

/** Watches every key until `events` have come. */
function watchAll(side: Side, options: { readonly from: number; readonly events: number }): Promise<void> {
  return watchRanges(side, { ...options, ranges: [everyKey()] });
}

interface Watched {
  /** Each for a watcher of the one stream. */
  readonly ranges: readonly MessageWriter[];
  readonly from: number;
  readonly events: number;
}

async function watchRanges(side: Side, options: Watched): Promise<void> {
  const { host, port } = side.target;
  let connection: Connection | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      let events = 0;
      const onMessage = ({ bytes }: Region, start: number, end: number): void => {
        response.reset(bytes, start, end);
        while (response.next()) if (response.field === 11) events++;
        if (events >= options.events) resolve();
      };
      const onEnd = (status: number, text: string): void => reject(new Error(`the watch ended: ${status} ${text}`));
      const watch = async (): Promise<void> => {
        connection = await Connection.open(host, port, reject);
        const stream = connection.stream(watchPath, { onMessage, onEnd });
        for (const range of options.ranges) {
          const request = writer().span(1, range.uint(3, options.from).finish()).finish();
          stream.write(request, request.length);
        }
      };
      watch().catch(reject);
    });
  } finally {
    connection?.close();
  }
}
