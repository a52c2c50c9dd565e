/**
 * Random programs of requests, legal and not. A program is plain data and knows nothing of the servers; revisions in it
 * are relative to the store's revision when it starts.
 *
 * Left out, because the answer is not determined or kills the Go server: leases with ids or lifetimes the server
 * chooses, deletes of the whole key space inside transactions beside puts, unknown alarm actions.
 */

import type { Random } from "./random.js";

/** A revision `offset` away from the one at the start of the program. */
export interface RelativeRevision {
  readonly relative: number;
}

export type Fields = { readonly [name: string]: unknown };

export type Operation =
  | { readonly kind: "call"; readonly path: string; readonly request: Fields }
  /** A request with its encoding changed by `damage`. */
  | { readonly kind: "raw"; readonly path: string; readonly request: Fields; readonly damage: Damage }
  | { readonly kind: "keepAlive"; readonly id: number }
  /** Grants a lease of the shortest lifetime and revokes it before that has passed. */
  | { readonly kind: "briefLease"; readonly ttl: number }
  | { readonly kind: "watch"; readonly stream: number; readonly request: Fields }
  | { readonly kind: "cancel"; readonly stream: number; readonly watchId: number };

/** Changes that leave the meaning as it is, and such as do not. */
export type Damage =
  | { readonly kind: "unknown field" }
  | { readonly kind: "repeated" }
  | { readonly kind: "long varint" }
  | { readonly kind: "truncated"; readonly at: number }
  | { readonly kind: "flipped"; readonly at: number; readonly bit: number };

export interface Program {
  readonly operations: readonly Operation[];
}

export interface ProgramOptions {
  /** Adds users and roles; authentication itself stays off. */
  readonly auth: boolean;
}

export const namespace = "p/";
/** The leases programs may use; all are revoked before a program starts. */
export const leaseIds: readonly number[] = [7001, 7002, 7003, 9999, -1];
export const briefLeaseId = 7004;

const operationsMax = 24;
const watchStreams = 2;
const kv = "/etcdserverpb.KV/";
const lease = "/etcdserverpb.Lease/";
const maintenance = "/etcdserverpb.Maintenance/";

export function randomProgram(random: Random, options: ProgramOptions): Program {
  const withWatches = random.chance(4);
  const count = 4 + random.below(operationsMax - 4);
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) {
    operations.push(randomOperation(random, { ...options, withWatches }));
  }
  return { operations };
}

function randomOperation(random: Random, options: ProgramOptions & { withWatches: boolean }): Operation {
  const operation = random.weighted<() => Operation>([
    [30, () => call(`${kv}Put`, putRequest(random))],
    [24, () => call(`${kv}Range`, rangeRequest(random))],
    [2, () => call(`${kv}RangeStream`, rangeRequest(random))],
    [12, () => call(`${kv}DeleteRange`, deleteRequest(random))],
    [24, () => call(`${kv}Txn`, txnRequest(random, 0))],
    [4, () => call(`${kv}Compact`, { revision: revision(random), physical: random.chance(2) })],
    [12, () => leaseOperation(random)],
    [3, () => maintenanceOperation(random)],
    [4, () => rawOperation(random)],
    [options.withWatches ? 30 : 0, () => watchOperation(random)],
    [options.auth ? 8 : 0, () => authOperation(random)],
  ]);
  return operation();
}

function call(path: string, request: Fields): Operation {
  return { kind: "call", path, request };
}

function key(random: Random): Buffer {
  if (random.chance(60)) {
    return Buffer.alloc(0);
  }
  const tail = random.weighted([
    [20, () => random.pick(["a", "b", "c", "d"])],
    [10, () => random.pick(["a", "b", "c"]) + random.pick(["a", "b", "\0", "\xff"])],
    [1, () => ""],
    [1, () => "\0"],
    [1, () => "\xff\xff"],
    [1, () => "long".repeat(600)],
  ])();
  return Buffer.from(namespace + tail, "latin1");
}

/** Key and range_end: one key, an interval (also an empty or reversed one), a prefix, or all from a key on. */
function keyRange(random: Random): { key: Buffer; range_end?: Buffer } {
  const first = key(random);
  return random.weighted<() => { key: Buffer; range_end?: Buffer }>([
    [10, () => ({ key: first })],
    [6, () => ({ key: first, range_end: key(random) })],
    [4, () => ({ key: Buffer.from(namespace), range_end: Buffer.from("p0") })],
    [1, () => ({ key: first, range_end: Buffer.from([0]) })],
    [1, () => ({ key: Buffer.from([0]), range_end: Buffer.from([0]) })],
  ])();
}

function value(random: Random): Buffer {
  const size = random.weighted([
    [20, 1 + random.below(8)],
    [2, 0],
    [2, 300],
    [1, 40_000],
  ]);
  return Buffer.alloc(size, random.pick(["1", "2", "xy", "\0", "\xfe"]), "latin1");
}

function revision(random: Random): RelativeRevision | number {
  return random.weighted<RelativeRevision | number>([
    [20, { relative: random.below(12) }],
    [8, { relative: -random.below(8) }],
    [3, { relative: -random.below(300) }],
    [2, { relative: 1000 }],
    [1, 0],
    [1, 1],
    [1, -1],
    [1, Number.MAX_SAFE_INTEGER],
  ]);
}

function leaseId(random: Random): number {
  return random.chance(7) ? random.pick([9999, -1]) : random.pick([7001, 7002, 7003]);
}

function putRequest(random: Random): Fields {
  const ignoreValue = random.chance(12);
  const ignoreLease = random.chance(12);
  return {
    key: key(random),
    ...(ignoreValue && !random.chance(6) ? {} : { value: value(random) }),
    ...(random.chance(4) && (!ignoreLease || random.chance(6)) ? { lease: leaseId(random) } : {}),
    ...(random.chance(3) ? { prev_kv: true } : {}),
    ...(ignoreValue ? { ignore_value: true } : {}),
    ...(ignoreLease ? { ignore_lease: true } : {}),
  };
}

function rangeRequest(random: Random): Fields {
  return {
    ...keyRange(random),
    ...(random.chance(3) ? { limit: random.pick([1, 2, 3, 100, -1]) } : {}),
    ...(random.chance(3) ? { revision: revision(random) } : {}),
    ...(random.chance(4) ? sorting(random) : {}),
    ...(random.chance(4) ? { serializable: true } : {}),
    ...(random.chance(6) ? { keys_only: true } : {}),
    ...(random.chance(6) ? { count_only: true } : {}),
    ...(random.chance(8) ? { min_mod_revision: revision(random) } : {}),
    ...(random.chance(8) ? { max_mod_revision: revision(random) } : {}),
    ...(random.chance(8) ? { min_create_revision: revision(random) } : {}),
    ...(random.chance(8) ? { max_create_revision: revision(random) } : {}),
  };
}

/** Unknown orders and targets too. Equal elements have no order, but few keys are compared below twelve elements. */
function sorting(random: Random): Fields {
  return { sort_order: random.pick([0, 1, 2, 1, 2, 7]), sort_target: random.pick([0, 1, 2, 3, 4, 9]) };
}

function deleteRequest(random: Random): Fields {
  return { ...keyRange(random), ...(random.chance(2) ? { prev_kv: true } : {}) };
}

const nestingMax = 2;

function txnRequest(random: Random, depth: number): Fields {
  const sizes = random.weighted<() => number>([
    [40, () => random.below(4)],
    [1, () => 127 + random.below(4)],
  ]);
  return {
    compare: many(random.below(3), () => compare(random)),
    success: many(sizes(), () => txnOperation(random, depth)),
    failure: many(random.below(3), () => txnOperation(random, depth)),
  };
}

function many<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

function compare(random: Random): Fields {
  const target = random.pick([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 8]);
  const operand = random.weighted<() => Fields>([
    [12, () => operandOf(random, target)],
    [1, () => operandOf(random, random.below(5))],
    [1, () => ({})],
  ]);
  const range = random.chance(4) ? keyRange(random) : { key: key(random) };
  return { result: random.pick([0, 1, 2, 3, 0, 1, 2, 3, 9]), target, ...range, ...operand() };
}

function operandOf(random: Random, target: number): Fields {
  switch (target) {
    case 0:
      return { version: random.below(4) };
    case 1:
      return { create_revision: random.chance(3) ? 0 : revision(random) };
    case 2:
      return { mod_revision: random.chance(3) ? 0 : revision(random) };
    case 3:
      return { value: value(random) };
    default:
      return { lease: random.chance(2) ? 0 : leaseId(random) };
  }
}

function txnOperation(random: Random, depth: number): Fields {
  return random.weighted<() => Fields>([
    [10, () => ({ request_put: putRequest(random) })],
    [8, () => ({ request_range: rangeRequest(random) })],
    [5, () => ({ request_delete_range: boundedDelete(random) })],
    [depth < nestingMax ? 3 : 0, () => ({ request_txn: txnRequest(random, depth + 1) })],
    [1, () => ({})],
  ])();
}

/** A delete to the end of the key space is not checked for overlap with puts, and can then crash the Go server. */
function boundedDelete(random: Random): Fields {
  const request = deleteRequest(random);
  const end = request["range_end"];
  return Buffer.isBuffer(end) && end.equals(Buffer.from([0])) ? { ...request, range_end: Buffer.from("q") } : request;
}

function leaseOperation(random: Random): Operation {
  const id = leaseId(random);
  // Long enough to outlive the program, or not allowed.
  const ttl = random.pick([500, 600, 500, 600, 500, 600, 9_000_000_001]);
  return random.weighted<() => Operation>([
    [5, () => call(`${lease}LeaseGrant`, { ID: id, TTL: ttl })],
    [3, () => call(`${lease}LeaseRevoke`, { ID: id })],
    [3, () => call(`${lease}LeaseTimeToLive`, { ID: id, keys: random.chance(2) })],
    [2, () => call(`${lease}LeaseLeases`, {})],
    [1, () => ({ kind: "keepAlive", id })],
    [1, () => ({ kind: "briefLease", ttl: random.pick([0, -1, 1]) })],
  ])();
}

function maintenanceOperation(random: Random): Operation {
  return random.weighted<() => Operation>([
    [4, () => call(`${maintenance}Status`, {})],
    [8, () => call(`${maintenance}HashKV`, { revision: random.chance(2) ? 0 : revision(random) })],
    [1, () => call(`${maintenance}Alarm`, { action: 0, alarm: random.below(3) })],
    [1, () => call("/etcdserverpb.Cluster/MemberList", { linearizable: random.chance(2) })],
    [1, () => call("/etcdserverpb.Cluster/MemberRemove", { ID: 12345 })],
    [1, () => call("/etcdserverpb.Cluster/MemberPromote", { ID: 12345 })],
    [1, () => call("/etcdserverpb.Cluster/MemberUpdate", { ID: 12345, peerURLs: ["http://127.0.0.1:1"] })],
    [1, () => call(`${maintenance}MoveLeader`, { targetID: 12345 })],
    [1, () => call(`${maintenance}Downgrade`, { action: 0, version: random.pick(["3.6.0", "3.5.0", "", "x"]) })],
    [1, () => call("/grpc.health.v1.Health/Check", { service: random.pick(["", "etcd"]) })],
    [1, () => call("/etcdserverpb.KV/Nonsense", {})],
    [1, () => call("/nonsense.Service/Method", {})],
  ])();
}

function rawOperation(random: Random): Operation {
  const [path, request] = random.pick<readonly [string, Fields]>([
    [`${kv}Put`, putRequest(random)],
    [`${kv}Range`, rangeRequest(random)],
    [`${kv}Txn`, txnRequest(random, 0)],
    [`${kv}DeleteRange`, { key: key(random) }],
  ]);
  const damage = random.weighted<Damage>([
    [2, { kind: "unknown field" }],
    [2, { kind: "repeated" }],
    [2, { kind: "long varint" }],
    [2, { kind: "truncated", at: random.below(40) }],
    [path === `${kv}Range` ? 3 : 0, { kind: "flipped", at: random.below(40), bit: random.below(8) }],
  ]);
  return { kind: "raw", path, request, damage };
}

function watchOperation(random: Random): Operation {
  const stream = random.below(watchStreams);
  if (random.chance(5)) {
    return { kind: "cancel", stream, watchId: random.below(6) };
  }
  return {
    kind: "watch",
    stream,
    request: {
      ...keyRange(random),
      ...(random.chance(2) ? { start_revision: watchRevision(random) } : {}),
      ...(random.chance(3) ? { prev_kv: true } : {}),
      ...(random.chance(5) ? { filters: many(1 + random.below(2), () => random.below(2)) } : {}),
      ...(random.chance(8) ? { watch_id: random.pick([1, 2, 3, 42, -1]) } : {}),
      ...(random.chance(6) ? { fragment: true } : {}),
      ...(random.chance(8) ? { progress_notify: true } : {}),
    },
  };
}

/** Mostly the past: a watcher that waits for the future makes the program slow, see WatchStream.sync. */
function watchRevision(random: Random): RelativeRevision | number {
  return random.chance(15) ? revision(random) : { relative: random.pick([-300, -5, -1, 0, 0, 1, 2]) };
}

function authOperation(random: Random): Operation {
  const auth = "/etcdserverpb.Auth/";
  const user = random.pick(["u1", "u2", "u3", ""]);
  const role = random.pick(["r1", "r2", "r3", ""]);
  const range = keyRange(random);
  return random.weighted<() => Operation>([
    [4, () => call(`${auth}UserAdd`, { name: user, options: { no_password: true } })],
    [2, () => call(`${auth}UserDelete`, { name: user })],
    [2, () => call(`${auth}UserGet`, { name: user })],
    [1, () => call(`${auth}UserList`, {})],
    [3, () => call(`${auth}UserGrantRole`, { user, role })],
    [2, () => call(`${auth}UserRevokeRole`, { name: user, role })],
    [4, () => call(`${auth}RoleAdd`, { name: role })],
    [2, () => call(`${auth}RoleDelete`, { role })],
    [2, () => call(`${auth}RoleGet`, { role })],
    [1, () => call(`${auth}RoleList`, {})],
    [4, () => call(`${auth}RoleGrantPermission`, { name: role, perm: { permType: random.below(4), ...range } })],
    [2, () => call(`${auth}RoleRevokePermission`, { role, ...range })],
    [1, () => call(`${auth}AuthStatus`, {})],
    [1, () => call(`${auth}AuthEnable`, {})],
    [1, () => call(`${auth}Authenticate`, { name: user, password: "x" })],
    [1, () => call(`${auth}AuthStatus`, {})],
  ])();
}

/** The operation with its revisions made absolute. */
export function absolute(operation: Operation, base: number): Operation {
  return "request" in operation
    ? { ...operation, request: resolveRevisions(operation.request, base) as Fields }
    : operation;
}

/** Makes relative revisions absolute, but never less than 1, which has a meaning of its own. */
function resolveRevisions(value: unknown, base: number): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => resolveRevisions(item, base));
  }
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) {
    return value;
  }
  if ("relative" in value) {
    return Math.max(1, base + (value as RelativeRevision).relative);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolveRevisions(item, base)]));
}
