/** The work that could hold up a member's loop: each is one call, or a few, that touches every key there is. */

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
  { name: "watch from revision 1", run: (side, keys) => watchAll(side, { from: 1, events: 2 * keys }) },
  { name: "txn that reads all and deletes all", run: readAndDelete },
  { name: "delete with prev_kv", prepare: fill, run: (side) => call(side, "KV/DeleteRange", everyKey().uint(3, 1)) },
  { name: "delete", prepare: fill, run: (side) => call(side, "KV/DeleteRange", everyKey()) },
  { name: "delete, watched", prepare: fill, run: deleteWatched },
  { name: "lease revoke", prepare: attachAll, run: revoke },
  { name: "compaction", run: compact },
  { name: "lease grants", run: grantMany },
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
async function watchAll(side: Side, options: { readonly from: number; readonly events: number }): Promise<void> {
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
        const create = everyKey().uint(3, options.from).finish();
        const request = writer().span(1, create).finish();
        connection.stream(watchPath, { onMessage, onEnd }).write(request, request.length);
      };
      watch().catch(reject);
    });
  } finally {
    connection?.close();
  }
}
