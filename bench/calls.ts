/**
 * What a call costs the server's event loop, without sockets: frames go straight into the connections of a member's own
 * services, and what comes out is only counted. `node --expose-gc build/bench/calls.js`
 *
 *   --only TEXT    only rows whose name contains the text; may be repeated
 *   --seconds N    how long each row runs (3)
 *   --keys N       how many keys there are (100 000)
 *   --directory D  where the data directory is made
 *
 * Prints, for each kind of call, the processor time of the loop's thread (the least and the median of batches, because
 * other programs make it more and never less) and, with `--expose-gc`, the bytes of heap it allocates.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { serverLimits } from "@etcd-ts/grpc";
import { ChunkPool, grpcServices, ServerConnection, TimerWheel } from "@etcd-ts/grpc/internal";
import { startEtcd } from "@etcd-ts/server";
import { countCalls, HealthService, type Member, MemberMetrics, memberServices } from "@etcd-ts/server/internal";
import { Budget, runToEnd } from "@etcd-ts/store";
import { Flag, FrameType, FrameWriter, preface, SettingsId, windowMax } from "./generator/frames.js";
import { HpackEncoder } from "./generator/hpack.js";
import { benchmarkKeys, type KeySpace } from "./generator/key-space.js";
import { KvPath, PutWork, RangeWork, Steps } from "./generator/kv-work.js";
import { LeasePath } from "./generator/lease-work.js";
import { MessageWriter } from "./generator/message.js";
import { Revisions } from "./generator/revisions.js";
import { watchPath } from "./generator/watch-load.js";
import { median } from "./table.js";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    seconds: { type: "string", default: "3" },
    keys: { type: "string", default: "100000" },
    directory: { type: "string", default: tmpdir() },
  },
});

const keyCount = Number(values.keys);
const connectionCount = 10;
const streamsPerConnection = 10;
const batchMs = 100;
/** So few that no collection comes in between. */
const allocatingRounds = 20;

/** A client of the server's core. */
class MemoryClient {
  /** Calls that have been answered, and messages. */
  ended = 0;
  messages = 0;
  readonly #server: ServerConnection;
  readonly #pool: ChunkPool;
  readonly #timers: TimerWheel;
  readonly #encoder = new HpackEncoder();
  readonly #blocks = new Map<string, { block: Uint8Array; generation: number }>();
  readonly #writer: FrameWriter;
  #nextId = 1;
  #receiving = false;
  #flushPlanned = false;
  #unreturned = 0;

  constructor(shared: { services: ReturnType<typeof grpcServices>; pool: ChunkPool; timers: TimerWheel }) {
    this.#pool = shared.pool;
    this.#timers = shared.timers;
    this.#server = new ServerConnection(
      {
        ...shared,
        http: undefined,
        limits: serverLimits,
        gunzip: undefined,
        peer: { address: "127.0.0.1:1", tls: false, commonName: undefined },
      },
      {
        onOutput: () => this.#planFlush(),
        onOver: (why) => {
          throw new Error(`the connection ended: ${why}`);
        },
      },
    );
    this.#writer = new FrameWriter((bytes) => {
      this.#receiving = true;
      // A plain view, as the driver of a socket makes it: a Buffer's `slice` would share what is written here again.
      const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#server.connection.receive(view, this.#timers.nowMs);
      this.#receiving = false;
      return true;
    });
    this.#server.connection.start();
    this.#writer.text(preface);
    this.#writer.frame(FrameType.settings, 0, 0, 12);
    this.#writer.uint16(SettingsId.enablePush);
    this.#writer.uint32(0);
    this.#writer.uint16(SettingsId.initialWindowSize);
    this.#writer.uint32(windowMax);
    this.#writer.windowUpdate(0, 2 ** 30);
    this.flush();
  }

  /** Opens a call; with a message it is a whole unary one. Nothing reaches the server before `flush`. */
  open(path: string, message?: Uint8Array, size?: number): number {
    const id = this.#nextId;
    this.#nextId += 2;
    const block = this.#block(path);
    this.#writer.frame(FrameType.headers, Flag.endHeaders, id, block.length);
    this.#writer.bytes(block);
    if (message !== undefined) this.#message(id, message, size ?? message.length, Flag.endStream);
    return id;
  }

  /** A further message of an open call. */
  write(id: number, message: Uint8Array): void {
    this.#message(id, message, message.length, 0);
  }

  #message(id: number, message: Uint8Array, size: number, flags: number): void {
    this.#writer.frame(FrameType.data, flags, id, size + 5);
    this.#writer.uint8(0);
    this.#writer.uint32(size);
    this.#writer.bytes(message, 0, size);
  }

  /** The server gets what was written, and its answers are counted. */
  flush(): void {
    this.#writer.flush();
    this.#take();
  }

  #block(path: string): Uint8Array {
    const { generation } = this.#encoder;
    const known = this.#blocks.get(path);
    if (known?.generation === generation) return known.block;
    const block = this.#encoder.encode([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "127.0.0.1:2379"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ]);
    // A block that inserts fields is right once; the next one of this path refers to them.
    if (this.#encoder.generation === generation) this.#blocks.set(path, { block, generation });
    return block;
  }

  /** As the driver of a socket: behind the promise jobs of the turn. */
  #planFlush(): void {
    if (this.#receiving || this.#flushPlanned) return;
    this.#flushPlanned = true;
    queueMicrotask(() => process.nextTick(() => this.#take()));
  }

  #take(): void {
    this.#flushPlanned = false;
    for (const { bytes, lengthBytes } of this.#server.connection.flush()) {
      this.#count(bytes, lengthBytes);
      this.#pool.release(bytes);
      this.#server.connection.sent(lengthBytes);
    }
    if (this.#unreturned > 2 ** 28) {
      this.#writer.windowUpdate(0, this.#unreturned);
      this.#unreturned = 0;
      this.flush();
    }
  }

  /** Frames never straddle chunks here. */
  #count(bytes: Uint8Array, length: number): void {
    let at = 0;
    while (at < length) {
      const size = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      const type = bytes[at + 3];
      const flags = bytes[at + 4] as number;
      if (type === FrameType.data) {
        this.messages++;
        this.#unreturned += size;
      } else if (type === FrameType.headers && (flags & Flag.endStream) !== 0) {
        this.ended++;
        // An answer in trailers only is a failure: a good one has headers first.
        if (bytes[at + 9] === 0x88) throw new Error("a call failed");
      } else if (type === FrameType.resetStream || type === FrameType.goAway) {
        throw new Error(`the server sent a frame of type ${type} with code ${bytes[at + size + 8]}`);
      }
      at += size + 9;
    }
  }
}

interface Row {
  readonly name: string;
  /** Makes one round of calls, waits for their answers and returns how many operations that was. */
  readonly round: () => Promise<number>;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** All callers of all connections make a call at once. */
function unaryRow(clients: readonly MemoryClient[], name: string, prepare: (caller: number) => UnaryCall): Row {
  const total = (): number => clients.reduce((sum, { ended }) => sum + ended, 0);
  const round = async (): Promise<number> => {
    const before = total();
    let caller = 0;
    for (const client of clients) {
      for (let stream = 0; stream < streamsPerConnection; stream++) {
        const { path, message, size } = prepare(caller++);
        client.open(path, message, size);
      }
      client.flush();
    }
    while (total() < before + caller) await turn();
    return caller;
  };
  return { name, round };
}

interface UnaryCall {
  readonly path: string;
  readonly message: Uint8Array;
  readonly size: number;
}

function prepared(work: { prepare(): UnaryCall | undefined }): UnaryCall {
  const call = work.prepare();
  if (call === undefined) throw new Error("the work has an end");
  return call;
}

function watchRow(makeClient: () => MemoryClient, member: Member, options: { streams: number; watchers: number }): Row {
  const { streams, watchers } = options;
  const name = `watch events, ${streams} x ${watchers}`;
  const keys = benchmarkKeys(1, 32);
  const put = new PutWork({ keys, revisions: new Revisions(), steps: new Steps() });
  const key = new Uint8Array(keys.keySize);
  keys.writeKey(key, 0, 0);
  const create = new MessageWriter(keys.keySize + 16).span(1, key).finish();
  const request = new MessageWriter(create.length + 16).span(1, create).finish();
  let writer: MemoryClient | undefined;
  const open = (): MemoryClient => {
    for (let stream = 0; stream < streams; stream++) {
      const client = makeClient();
      const id = client.open(watchPath);
      for (let i = 0; i < watchers; i++) client.write(id, request);
      client.flush();
    }
    return makeClient();
  };
  const putsPerRound = 16;
  const round = async (): Promise<number> => {
    writer ??= open();
    const events = member.watchHub.eventsTotal;
    const { ended } = writer;
    for (let i = 0; i < putsPerRound; i++) {
      const { path, message, size } = prepared(put);
      writer.open(path, message, size);
    }
    writer.flush();
    while (writer.ended < ended + putsPerRound || member.watchHub.pendingEvents() > 0) await turn();
    return member.watchHub.eventsTotal - events;
  };
  return { name, round };
}

/** If the key exists, put, else get. Revisions are not known here, as answers are not read. */
function swapCall(keys: KeySpace, index: number): UnaryCall {
  const key = new Uint8Array(keys.keySize);
  const value = new Uint8Array(keys.valueSize);
  keys.writeKey(key, 0, index);
  keys.writeValue(value, 0, index, 0);
  const part = (): MessageWriter => new MessageWriter(value.length + 2 * key.length + 64);
  // Target VERSION, the default, GREATER than 0, the default.
  const compare = part().uint(1, 1).span(3, key).finish();
  const put = part().span(2, part().span(1, key).span(2, value).finish()).finish();
  const get = part().span(1, part().span(1, key).finish()).finish();
  const message = part().span(1, compare).span(2, put).span(3, get).finish();
  return { path: KvPath.txn, message, size: message.length };
}

/** As many keepalive streams as there are callers; a message on each at once. */
function keepAliveRow(clients: readonly MemoryClient[], member: Member): Row {
  const calls: { client: MemoryClient; id: number; request: Uint8Array }[] = [];
  const open = async (): Promise<void> => {
    const grant = new MessageWriter(16).uint(1, 600).finish();
    for (const client of clients) {
      for (let i = 0; i < streamsPerConnection; i++) client.open(LeasePath.grant, grant);
      client.flush();
    }
    while (member.lessor.count < clients.length * streamsPerConnection) await turn();
    const leases = runToEnd(member.lessor.listTask(new Budget(Number.POSITIVE_INFINITY)));
    for (const client of clients) {
      for (let i = 0; i < streamsPerConnection; i++) {
        const lease = leases.pop() ?? 0n;
        const request = new MessageWriter(16).raw(1, varint(lease)).finish();
        calls.push({ client, id: client.open(LeasePath.keepAlive), request });
      }
    }
  };
  const total = (): number => clients.reduce((sum, { messages }) => sum + messages, 0);
  const round = async (): Promise<number> => {
    if (calls.length === 0) await open();
    const expected = total() + calls.length;
    for (const { client, id, request } of calls) client.write(id, request);
    for (const client of clients) client.flush();
    while (total() < expected) await turn();
    return calls.length;
  };
  return { name: "lease keepalive", round };
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** Nanoseconds this thread has run. */
function threadTimeNs(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")[0]);
}

interface Cost {
  readonly leastUs: number;
  readonly medianUs: number;
  readonly heapBytes: number | undefined;
}

async function measure(row: Row): Promise<Cost> {
  const batches: number[] = [];
  const endMs = performance.now() + Number(values.seconds) * 1000;
  let warmed = false;
  while (performance.now() < endMs) {
    const batchEndMs = performance.now() + batchMs;
    const startNs = threadTimeNs();
    let count = 0;
    do count += await row.round();
    while (performance.now() < batchEndMs);
    const us = (threadTimeNs() - startNs) / 1000 / count;
    // The first third warms the code up.
    if (warmed) batches.push(us);
    else warmed = performance.now() > endMs - (Number(values.seconds) * 2000) / 3;
  }
  return { leastUs: Math.min(...batches), medianUs: median(batches), heapBytes: await heapBytesOf(row) };
}

async function heapBytesOf(row: Row): Promise<number | undefined> {
  const { gc } = globalThis;
  if (gc === undefined) return undefined;
  gc();
  const before = process.memoryUsage().heapUsed;
  let count = 0;
  for (let i = 0; i < allocatingRounds; i++) count += await row.round();
  return (process.memoryUsage().heapUsed - before) / count;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(values.directory, "bench-calls-"));
  const etcd = await startEtcd({
    "data-dir": join(directory, "data"),
    "listen-client-urls": "http://127.0.0.1:0",
    "advertise-client-urls": "http://127.0.0.1:0",
    "listen-peer-urls": "http://127.0.0.1:0",
    "log-level": "error",
    "snapshot-count": "100000000",
  });
  const { member } = etcd;
  const metrics = new MemberMetrics({ extensive: false });
  const handlers = memberServices(member, new HealthService(), {
    maxTxnOps: 128,
    maxRequestBytes: 1_572_864,
    strictReconfigCheck: true,
    progressNotifyMs: 0,
  });
  const services = grpcServices(countCalls(handlers, metrics, () => performance.now()));
  const timers = new TimerWheel(performance.now());
  const pool = new ChunkPool((size) => Buffer.allocUnsafeSlow(size));
  const makeClient = (): MemoryClient => new MemoryClient({ services, pool, timers });
  const clients = Array.from({ length: connectionCount }, makeClient);

  const keys = benchmarkKeys(keyCount);
  const load = { keys, revisions: new Revisions(), steps: new Steps() };
  const put = new PutWork(load);
  const get = new RangeWork(load);
  const serializable = new RangeWork(load, { serializable: true });
  const range = new RangeWork(load, { rangeSize: 1000 });
  const swaps = Array.from({ length: 100 }, (_, i) => swapCall(keys, i));
  const grantMessage = new MessageWriter(16).uint(1, 600).finish();
  const grant = { path: LeasePath.grant, message: grantMessage, size: grantMessage.length };
  const fill = unaryRow(clients, "fill", () => prepared(put));
  for (let filled = 0; filled < keyCount; ) filled += await fill.round();

  const rows: Row[] = [
    unaryRow(clients, "get, linearizable", () => prepared(get)),
    unaryRow(clients, "get, serializable", () => prepared(serializable)),
    unaryRow(clients, "put", () => prepared(put)),
    unaryRow(clients, "mixed 80 % get, 20 % put", (caller) => prepared(caller % 5 === 0 ? put : get)),
    unaryRow(clients, "txn: compare, put or get", (caller) => swaps[caller % swaps.length] as UnaryCall),
    unaryRow(clients, "lease grant", () => grant),
    unaryRow(clients.slice(0, 1), "range of 1 000 keys", () => prepared(range)),
    keepAliveRow(clients, member),
    watchRow(makeClient, member, { streams: 1, watchers: 1000 }),
    watchRow(makeClient, member, { streams: 100, watchers: 10 }),
  ];
  console.log(`${"".padEnd(28)}${"least µs".padStart(10)}${"median µs".padStart(11)}${"heap bytes".padStart(12)}`);
  for (const row of rows) {
    if (values.only.length > 0 && !values.only.some((text) => row.name.includes(text))) continue;
    const { leastUs, medianUs, heapBytes } = await measure(row);
    const heap = heapBytes === undefined ? "" : heapBytes.toFixed(0);
    console.log(
      `${row.name.padEnd(28)}${leastUs.toFixed(2).padStart(10)}${medianUs.toFixed(2).padStart(11)}${heap.padStart(12)}`,
    );
  }
  await etcd.close();
  rmSync(directory, { recursive: true });
}

await main();
