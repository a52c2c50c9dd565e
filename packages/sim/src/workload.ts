/** What the clients of a run do: requests one after the other per client, to members they choose, and watchers. */

import { kv, lease, watch } from "@etcd-ts/api";
import { Compare_CompareResult, Compare_CompareTarget, type ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { Caller, type CallMethod, type CallOutcome, seenKey } from "./client.js";
import type { Cluster, Node } from "./cluster.js";
import type { Answer, Fact, Request, SeenKey, WatchSpec } from "./history.js";
import type { KeyRange } from "./model.js";
import type { SimOptions } from "./options.js";
import { SimRandom } from "./random.js";
import { bytesOf } from "./text.js";

/**
 * Codes that say that nothing was done: see api's error table. INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION,
 * OUT_OF_RANGE.
 */
export const definiteCodes: ReadonlySet<number> = new Set([-1, 3, 5, 9, 11]);

export interface WorkloadPorts {
  observe(fact: Fact): void;
  /** Highest revision known to anybody. */
  revision(): number;
  compactRevision(): number;
  /** Where the events of a watcher go on. */
  watchNext(id: number): number;
  watchEnded(id: number): boolean;
  violation(reason: string): void;
}

/** Ids of calls and watches. */
let nextId = 1;

export class Workload {
  readonly #clients: Client[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #operator: Client;

  constructor(cluster: Cluster, random: SimRandom, options: SimOptions, ports: WorkloadPorts) {
    nextId = 1;
    this.#operator = new Client(-1, cluster, random.split("operator"), options, ports);
    for (let i = 0; i < options.clients; i++) {
      const own = random.split(`client${i}`);
      this.#clients.push(new Client(i, cluster, own, options, ports));
    }
    const watchers = Math.ceil(options.clients / 2);
    for (let i = 0; i < watchers; i++)
      this.#watchers.push(new Watcher(cluster, random.split(`watcher${i}`), options, ports));
  }

  get pendingCalls(): number {
    return this.#clients.filter((client) => client.busy).length;
  }

  start(): void {
    for (const client of this.#clients) client.start();
    for (const watcher of this.#watchers) watcher.start();
  }

  /** No new requests; watchers go on, whole-hearted. */
  calm(): void {
    for (const client of this.#clients) client.stop();
    for (const watcher of this.#watchers) watcher.calm();
  }

  stop(): void {
    for (const watcher of this.#watchers) watcher.stop();
  }

  /** One call of an operator, beside the clients' own. */
  call(node: Node, request: Request, done: (answer: Answer) => void): void {
    this.#operator.call(node, request, done);
  }

  /** Ids of the watches that are open now. */
  openWatches(): readonly number[] {
    return this.#watchers.map((watcher) => watcher.id).filter((id) => id !== undefined);
  }
}

class Client {
  readonly #number: number;
  readonly #cluster: Cluster;
  readonly #random: SimRandom;
  readonly #options: SimOptions;
  readonly #ports: WorkloadPorts;
  readonly #caller: Caller;
  #node: Node | undefined;
  #stopped = false;
  #count = 0;
  busy = false;
  readonly #leases: bigint[] = [];
  readonly #known = new Map<string, number>();
  /** Of what `renewsRevoked` adds, so that other requests stay as they are without it. */
  readonly #revokeRandom: SimRandom;
  /** A lease that it revoked just now, if it will ask for it. */
  #revoked: bigint | undefined;

  constructor(number: number, cluster: Cluster, random: SimRandom, options: SimOptions, ports: WorkloadPorts) {
    this.#number = number;
    this.#cluster = cluster;
    this.#random = random;
    this.#options = options;
    this.#ports = ports;
    this.#caller = new Caller(cluster.world, random, 0.3);
    this.#revokeRandom = new SimRandom(options.seed, `client${number} revokes`);
  }

  start(): void {
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
  }

  call(node: Node, request: Request, done: (answer: Answer) => void): void {
    const id = nextId++;
    const { world } = this.#cluster;
    this.busy = true;
    this.#ports.observe({ kind: "invoke", id, request, at: world.now });
    this.#send(node, request, (answer) => {
      this.busy = false;
      this.#ports.observe({ kind: "return", id, answer, at: world.now });
      done(answer);
    });
  }

  #wait(): void {
    const pauseMs = this.#random.exponential(1000 / this.#options.requestsPerSecond);
    this.#cluster.world.schedule(pauseMs, () => {
      if (this.#stopped) return;
      const node = this.#pickNode();
      if (node === undefined) return this.#wait();
      const request = this.#nextRequest();
      this.call(node, request, (answer) => {
        this.#learn(request, answer);
        this.#wait();
      });
    });
  }

  #pickNode(): Node | undefined {
    if (this.#revoked !== undefined) {
      const { serving } = this.#cluster;
      // What a member answers first when it wakes is what it knew before.
      const paused = serving.filter(({ running }) => running?.incarnation.paused === true);
      const asked = paused.length > 0 && this.#revokeRandom.chance(0.5) ? paused : serving;
      return asked.length === 0 ? undefined : this.#revokeRandom.pick(asked);
    }
    if (this.#node?.serving !== true || this.#random.chance(0.1)) {
      const { serving } = this.#cluster;
      this.#node = serving.length === 0 ? undefined : this.#random.pick(serving);
    }
    return this.#node;
  }

  #key(): string {
    return `k${this.#random.integer(this.#options.keys)}`;
  }

  #value(): string {
    return `c${this.#number}.${this.#count++}`.padEnd(this.#options.valueBytes, ".");
  }

  #range(): KeyRange {
    if (this.#random.chance(0.6)) return { key: this.#key(), rangeEnd: "" };
    return this.#random.chance(0.5) ? { key: "k", rangeEnd: "l" } : { key: this.#key(), rangeEnd: "\0" };
  }

  #nextRequest(): Request {
    const revoked = this.#revoked;
    if (revoked !== undefined) {
      this.#revoked = undefined;
      return { kind: "keep-alive", lease: revoked };
    }
    const random = this.#random;
    const dice = random.integer(100);
    if (dice < 25) return { kind: "put", key: this.#key(), value: this.#value(), lease: 0n };
    if (dice < 45) return { kind: "get", range: this.#range(), revision: 0, serializable: false };
    if (dice < 57) return { kind: "get", range: this.#range(), revision: 0, serializable: true };
    if (dice < 63) {
      const revision = Math.max(1, this.#ports.revision() - random.integer(60));
      return { kind: "get", range: this.#range(), revision, serializable: random.chance(0.5) };
    }
    if (dice < 71) return { kind: "delete", key: this.#key() };
    if (dice < 83) {
      const key = this.#key();
      return { kind: "cas", key, modRevision: this.#known.get(key) ?? 0, value: this.#value() };
    }
    if (dice < 87) {
      const from = this.#key();
      const to = `${from}x`;
      return { kind: "move", from, to, value: this.#value() };
    }
    if (!this.#options.leases) return { kind: "put", key: this.#key(), value: this.#value(), lease: 0n };
    const owned = this.#leases.length > 0 ? random.pick(this.#leases) : undefined;
    if (owned === undefined || dice < 89) {
      const id = BigInt(1 + this.#count++) * 100n + BigInt(this.#number + 1);
      return { kind: "grant", lease: id, ttl: random.between(1, 5) };
    }
    if (dice < 94) return { kind: "put", key: this.#key(), value: this.#value(), lease: owned };
    const revokes = this.#options.renewsRevoked && this.#revokeRandom.chance(0.5);
    if (dice < 99 && !revokes) return { kind: "keep-alive", lease: owned };
    return { kind: "revoke", lease: owned };
  }

  #learn(request: Request, answer: Answer): void {
    if (answer.kind !== "ok") {
      if (answer.kind === "refused" && "lease" in request) this.#forget(request.lease);
      if (this.#random.chance(0.3)) this.#node = undefined;
      return;
    }
    for (const key of answer.keys) this.#known.set(key.key, key.modRevision);
    if (request.kind === "grant") this.#leases.push(request.lease);
    if (request.kind === "revoke") {
      this.#forget(request.lease);
      if (this.#options.renewsRevoked) this.#revoked = request.lease;
    }
    if (request.kind === "put" || (request.kind === "cas" && answer.succeeded))
      this.#known.set(request.key, answer.revision);
    if (request.kind === "delete") this.#known.set(request.key, 0);
  }

  #forget(id: bigint): void {
    const at = this.#leases.indexOf(id);
    if (at >= 0) this.#leases.splice(at, 1);
  }

  #send(node: Node, request: Request, done: (answer: Answer) => void): void {
    const none: readonly SeenKey[] = [];
    const unary = <Init, Response extends { readonly header: ResponseHeader | undefined }>(
      method: CallMethod<Init, Response>,
      message: Init,
      read: (response: Response) => { keys?: readonly SeenKey[]; succeeded?: boolean; ttl?: number } = () => ({}),
    ): void => {
      this.#caller.unary(node, method, message, callTimeoutMs, (outcome: CallOutcome<Response>) => {
        if (outcome.kind === "lost") return done(outcome);
        if (outcome.kind === "refused") {
          const { code, message: text } = outcome;
          return done({ kind: "refused", code, message: text, isDefinite: definiteCodes.has(code) });
        }
        const { keys = none, succeeded = true, ttl = 0 } = read(outcome.response);
        done({ kind: "ok", revision: outcome.response.header?.revision ?? 0, keys, succeeded, ttl });
      });
    };
    switch (request.kind) {
      case "put":
        return unary(kv.put, { key: bytesOf(request.key), value: bytesOf(request.value), lease: request.lease });
      case "get": {
        const { range, revision, serializable } = request;
        const message = { key: bytesOf(range.key), rangeEnd: bytesOf(range.rangeEnd), revision, serializable };
        return unary(kv.range, message, (response) => ({ keys: response.kvs.map(seenKey) }));
      }
      case "delete":
        return unary(kv.deleteRange, { key: bytesOf(request.key) }, ({ deleted }) => ({ succeeded: deleted > 0 }));
      case "cas": {
        const key = bytesOf(request.key);
        const message = {
          compare: [
            {
              key,
              target: Compare_CompareTarget.MOD,
              result: Compare_CompareResult.EQUAL,
              targetUnion: { kind: "modRevision", value: request.modRevision },
            },
          ],
          success: [{ request: { kind: "requestPut", value: { key, value: bytesOf(request.value) } } }],
          failure: [{ request: { kind: "requestRange", value: { key } } }],
        } as const;
        return unary(kv.txn, message, ({ succeeded, responses }) => {
          const first = responses[0]?.response;
          return { succeeded, keys: first?.kind === "responseRange" ? first.value.kvs.map(seenKey) : none };
        });
      }
      case "move": {
        const message = {
          success: [
            { request: { kind: "requestPut", value: { key: bytesOf(request.to), value: bytesOf(request.value) } } },
            { request: { kind: "requestDeleteRange", value: { key: bytesOf(request.from) } } },
            ...Array.from({ length: this.#options.txnReads }, () => readAll),
          ],
        } as const;
        return unary(kv.txn, message);
      }
      case "grant":
        return unary(lease.leaseGrant, { id: request.lease, ttl: request.ttl }, ({ ttl }) => ({ ttl }));
      case "keep-alive":
        return this.#keepAlive(node, request.lease, done);
      case "revoke":
        return unary(lease.leaseRevoke, { id: request.lease });
      case "compact":
        return unary(kv.compact, { revision: request.revision });
    }
  }

  #keepAlive(node: Node, id: bigint, done: (answer: Answer) => void): void {
    let settled = false;
    const settle = (answer: Answer): void => {
      if (settled) return;
      settled = true;
      stream?.cancel();
      timer.cancel();
      done(answer);
    };
    const timer = this.#cluster.world.schedule(callTimeoutMs, () => settle({ kind: "lost" }));
    const stream = this.#caller.stream(node, lease.leaseKeepAlive, {
      onMessage: ({ header, ttl }) =>
        settle({ kind: "ok", revision: header?.revision ?? 0, keys: [], ttl, succeeded: ttl > 0 }),
      onEnd: () => settle({ kind: "lost" }),
    });
    if (stream === undefined) return settle({ kind: "lost" });
    stream.send({ id });
  }
}

const readAll = { request: { kind: "requestRange", value: { key: bytesOf("k"), rangeEnd: bytesOf("l") } } } as const;

/** Longer than the server's own limit, so that the server must answer unless it is gone. */
const callTimeoutMs = 60_000;

/** Watches a range over one member after the other, without a gap; now and then reads slowly or asks for progress. */
class Watcher {
  readonly #cluster: Cluster;
  readonly #random: SimRandom;
  readonly #ports: WorkloadPorts;
  readonly #caller: Caller;
  readonly #range: KeyRange;
  #handle: ReturnType<typeof this.open> | undefined;
  #generation = 0;
  #calm = false;
  #stopped = false;
  /** Of the watch that is open. */
  id: number | undefined;
  #next: number;

  constructor(cluster: Cluster, random: SimRandom, options: SimOptions, ports: WorkloadPorts) {
    this.#cluster = cluster;
    this.#random = random;
    this.#ports = ports;
    this.#caller = new Caller(cluster.world, random, 0.3);
    const key = `k${random.integer(options.keys)}`;
    this.#range = random.pick([
      { key: "k", rangeEnd: "l" },
      { key, rangeEnd: "" },
      { key, rangeEnd: "\0" },
    ]);
    this.#next = random.pick([0, 1]);
  }

  start(): void {
    this.#cluster.world.schedule(this.#random.exponential(500), () => this.#reopen());
  }

  calm(): void {
    this.#calm = true;
    this.#handle?.resume();
  }

  stop(): void {
    this.#stopped = true;
    this.#handle?.cancel();
  }

  #reopen(): void {
    if (this.#stopped) return;
    this.#generation++;
    this.#handle?.cancel();
    this.#handle = undefined;
    this.id = undefined;
    const { serving } = this.#cluster;
    this.#handle = serving.length === 0 ? undefined : this.open(this.#random.pick(serving));
    if (this.#handle === undefined) {
      this.#cluster.world.schedule(100, () => this.#reopen());
      return;
    }
    this.#disturb(this.#generation);
  }

  open(node: Node): ReturnType<Caller["stream"]> {
    // Mostly goes on where it was; now and then looks into the past or the future.
    const jump = this.#random.chance(0.15) && !this.#calm ? this.#random.integer(200) - 100 : undefined;
    const startRevision = jump === undefined ? this.#next : Math.max(1, this.#ports.revision() + jump);
    const spec: WatchSpec = { range: this.#range, startRevision, prevKv: this.#random.chance(0.3) };
    const id = nextId++;
    const generation = this.#generation;
    const observe = (fact: Extract<Fact, { kind: "watched" }>["fact"]): void => {
      if (generation !== this.#generation) return;
      this.#ports.observe({ kind: "watched", id, fact });
      this.#next = Math.max(1, this.#ports.watchNext(id));
      if (fact.kind !== "canceled") return;
      if (fact.compactRevision > 0) this.#next = fact.compactRevision;
      this.#cluster.world.schedule(50, () => {
        if (generation === this.#generation) this.#reopen();
      });
    };
    const handle = this.#caller.stream(node, watch.watch, {
      onMessage: (response) => {
        const revision = response.header?.revision ?? 0;
        if (response.created) observe({ kind: "created", revision });
        if (response.canceled) {
          const { compactRevision, cancelReason: reason } = response;
          observe({ kind: "canceled", revision, compactRevision, reason });
        } else if (response.events.length > 0) {
          const events = response.events.map((event) => ({
            isDelete: event.type === 1,
            kv: seenKey(event.kv ?? emptyKey),
            previous: event.prevKv === undefined ? undefined : seenKey(event.prevKv),
          }));
          observe({ kind: "events", revision, events });
        } else if (!response.created) observe({ kind: "progress", revision });
      },
      onEnd: () => {
        if (generation === this.#generation) this.#reopen();
      },
    });
    if (handle === undefined) return undefined;
    this.id = id;
    this.#ports.observe({ kind: "watch", id, spec });
    const range = { key: bytesOf(spec.range.key), rangeEnd: bytesOf(spec.range.rangeEnd) };
    const value = { ...range, startRevision, prevKv: spec.prevKv, progressNotify: this.#random.chance(0.5) };
    handle.send({ requestUnion: { kind: "createRequest", value } });
    // Before it has caught up: a notification must not overtake what is due.
    if (this.#random.chance(0.3)) handle.send({ requestUnion: { kind: "progressRequest", value: {} } });
    return handle;
  }

  #disturb(generation: number): void {
    this.#cluster.world.schedule(this.#random.exponential(1000), () => {
      if (generation !== this.#generation || this.#stopped) return;
      const dice = this.#calm ? 0 : this.#random.integer(10);
      if (dice < 5) this.#handle?.send({ requestUnion: { kind: "progressRequest", value: {} } });
      else if (dice < 8) {
        this.#handle?.pause();
        this.#cluster.world.schedule(this.#random.exponential(1500), () => {
          if (generation === this.#generation) this.#handle?.resume();
        });
      } else if (dice < 9) return this.#reopen();
      this.#disturb(generation);
    });
  }
}

const emptyKey = {
  key: new Uint8Array(0),
  value: new Uint8Array(0),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0n,
};
