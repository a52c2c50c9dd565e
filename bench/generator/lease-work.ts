/** Lease loads: grants, and keepalives on streams of their own. */

import type { Work } from "./closed-loop.js";
import { type CallHandler, Connection } from "./connection.js";
import { Histogram } from "./histogram.js";
import { MessageReader, MessageWriter } from "./message.js";
import { Region } from "./region.js";

export const LeasePath = {
  grant: "/etcdserverpb.Lease/LeaseGrant",
  keepAlive: "/etcdserverpb.Lease/LeaseKeepAlive",
} as const;

const reader = new MessageReader();

/** Reads ID and TTL of a grant's or keepalive's answer; the id as its varint. */
function readLease(bytes: Uint8Array, start: number, end: number): { id: Uint8Array; ttl: number; error: boolean } {
  let id: Uint8Array = new Uint8Array(0);
  let ttl = 0;
  let error = false;
  reader.reset(bytes, start, end);
  while (reader.next()) {
    if (reader.field === 2) {
      id = reader.rawVarint();
    } else if (reader.field === 3) {
      ttl = reader.value;
    } else if (reader.field === 4) {
      error = true;
    }
  }
  return { id, ttl, error };
}

/** Grants leases whose ids the server chooses, and collects the ids as encoded varints. */
export class LeaseGrantWork implements Work {
  readonly #granted: Map<string, Uint8Array>;
  readonly #ttl: number;
  readonly #take: () => number;
  readonly #request: { path: string; message: Uint8Array; size: number };

  /** `granted` is shared by all callers; `take` gives −1 when enough were granted. */
  constructor(options: { granted: Map<string, Uint8Array>; ttl: number; take: () => number }) {
    this.#granted = options.granted;
    this.#ttl = options.ttl;
    this.#take = options.take;
    const message = new MessageWriter(16).uint(1, options.ttl).finish();
    this.#request = { path: LeasePath.grant, message, size: message.length };
  }

  prepare(): ReturnType<Work["prepare"]> {
    return this.#take() < 0 ? undefined : this.#request;
  }

  check({ bytes }: Region, start: number, end: number): void {
    const { id, ttl, error } = readLease(bytes, start, end);
    const name = Buffer.from(id).toString("latin1");
    if (error || id.length === 0 || ttl !== this.#ttl || this.#granted.has(name)) {
      throw new Error(`a lease was granted as ${Buffer.from(id).toString("hex")} with TTL ${ttl}`);
    }
    this.#granted.set(name, id);
  }
}

export interface KeepAliveOptions {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Streams per connection; each keeps one lease alive. */
  readonly streams: number;
  readonly seconds: number;
  /** Granted leases as encoded varints, at least one per stream. */
  readonly leases: readonly Uint8Array[];
  readonly ttl: number;
}

/** Sends keepalives on every stream, the next one when the last one was answered. */
export async function runKeepAlives(
  options: KeepAliveOptions,
): Promise<{ calls: number; seconds: number; latency: Histogram }> {
  const latency = new Histogram();
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const connections: Connection[] = [];
  try {
    for (let i = 0; i < options.connections; i++) {
      connections.push(await Connection.open(options.host, options.port, fail));
    }
    const startedMs = performance.now();
    const deadlineMs = startedMs + options.seconds * 1000;
    const keepers = connections.flatMap((connection, c) =>
      Array.from({ length: options.streams }, (_, s) => {
        const lease = options.leases[c * options.streams + s];
        if (lease === undefined) {
          throw new Error("there are fewer leases than streams");
        }
        return new Promise<void>((resolve) => {
          new Keeper(connection, {
            lease,
            ttl: options.ttl,
            deadlineMs,
            latency,
            onDone: resolve,
            onFailure: fail,
          }).next(startedMs);
        });
      }),
    );
    await Promise.race([Promise.all(keepers), failed]);
    return { calls: latency.count, seconds: (performance.now() - startedMs) / 1000, latency };
  } finally {
    for (const connection of connections) {
      connection.close();
    }
  }
}

interface KeeperOptions {
  readonly lease: Uint8Array;
  readonly ttl: number;
  readonly deadlineMs: number;
  readonly latency: Histogram;
  readonly onDone: () => void;
  readonly onFailure: (error: Error) => void;
}

class Keeper implements CallHandler {
  readonly #options: KeeperOptions;
  readonly #message: Uint8Array;
  readonly #connection: Connection;
  readonly #stream: ReturnType<Connection["stream"]>;
  /** The last answer that was right: most answers are the same. */
  #known: Region = new Region(0);
  #sentMs = 0;

  constructor(connection: Connection, options: KeeperOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#message = new MessageWriter(16).raw(1, options.lease).finish();
    this.#stream = connection.stream(LeasePath.keepAlive, this);
  }

  next(nowMs: number): void {
    this.#sentMs = nowMs;
    if (nowMs >= this.#options.deadlineMs) {
      this.#options.onDone();
    } else {
      this.#stream.write(this.#message, this.#message.length);
    }
  }

  onMessage(region: Region, start: number, end: number): void {
    const size = end - start;
    if (size !== this.#known.size || !this.#known.isSame(0, size, region, start)) {
      this.#check(region.bytes, start, end);
      this.#known = Region.copyOf(region.bytes, start, end);
    }
    const nowMs = this.#connection.turnMs;
    this.#options.latency.record(nowMs - this.#sentMs);
    this.next(nowMs);
  }

  #check(bytes: Uint8Array, start: number, end: number): void {
    const { id, ttl } = readLease(bytes, start, end);
    if (!Buffer.from(id).equals(this.#options.lease) || ttl !== this.#options.ttl) {
      throw new Error(`a keepalive was answered for ${Buffer.from(id).toString("hex")} with TTL ${ttl}`);
    }
  }

  onEnd(status: number, text: string): void {
    this.#options.onFailure(new Error(`a keepalive stream ended with status ${status}: ${text}`));
  }
}
