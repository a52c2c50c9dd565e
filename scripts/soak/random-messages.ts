/**
 * Messages of every type made from a seed, and damage to their bytes: the input of the codec checks.
 */

import { enumDescriptors, type FieldDescriptor, messageDescriptors } from "@etcd-ts/api";
import * as authpb from "@etcd-ts/api/authpb";
import * as etcdserverpb from "@etcd-ts/api/etcdserverpb";
import * as healthpb from "@etcd-ts/api/healthpb";
import * as leasepb from "@etcd-ts/api/leasepb";
import * as membershippb from "@etcd-ts/api/membershippb";
import * as mvccpb from "@etcd-ts/api/mvccpb";
import * as raftpb from "@etcd-ts/api/raftpb";
import * as snappb from "@etcd-ts/api/snappb";
import * as v3electionpb from "@etcd-ts/api/v3electionpb";
import * as v3lockpb from "@etcd-ts/api/v3lockpb";
import * as walpb from "@etcd-ts/api/walpb";

/** The generated functions of a type that is known by name only. */
export interface NamedCodec {
  readonly typeName: string;
  create(fields?: object): object;
  decode(bytes: Uint8Array, start?: number, end?: number): object;
  size(message: object): number;
  encode(message: object, target: Uint8Array, offset: number): number;
}

const modules: Readonly<Record<string, object>> = {
  authpb,
  etcdserverpb,
  "grpc.health.v1": healthpb,
  leasepb,
  membershippb,
  mvccpb,
  raftpb,
  snappb,
  v3electionpb,
  v3lockpb,
  walpb,
};

/** Full names of all message types. */
export const typeNames: readonly string[] = Object.keys(messageDescriptors);

export function codecOf(typeName: string): NamedCodec {
  const packageName = Object.keys(modules).find((name) => typeName.startsWith(`${name}.`)) ?? "";
  const parts = typeName.slice(packageName.length + 1).split(".");
  const name = parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join("_");
  const functions = modules[packageName] as Readonly<Record<string, unknown>>;
  return {
    typeName,
    create: functions[`create${name}`] as NamedCodec["create"],
    decode: functions[`decode${name}`] as NamedCodec["decode"],
    size: functions[`size${name}`] as NamedCodec["size"],
    encode: functions[`encode${name}`] as NamedCodec["encode"],
  };
}

/** A message in an array of its own. */
export function encodeAlone(codec: NamedCodec, message: object): Uint8Array {
  const bytes = new Uint8Array(codec.size(message));
  const end = codec.encode(message, bytes, 0);
  if (end !== bytes.length) throw new Error(`${codec.typeName}: ${end} bytes written, ${bytes.length} announced`);
  return bytes;
}

/** A small seeded generator (mulberry32). */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A uniform integer in [0, bound). */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Any message of a type, with each field absent, empty, extreme or ordinary. */
export function randomMessage(random: SeededRandom, typeName: string, depth = 0): object {
  const fields: Record<string, unknown> = {};
  for (const field of messageDescriptors[typeName] ?? []) {
    if (random.chance(3) || (field.kind === "message" && depth > 3)) continue;
    if (field.oneof !== undefined) {
      if (fields[field.oneof] === undefined || random.chance(4)) {
        fields[field.oneof] = { kind: field.property, value: randomValue(random, field, depth) };
      }
    } else if (field.repeated) {
      fields[field.property] = Array.from({ length: random.below(4) }, () => randomValue(random, field, depth));
    } else fields[field.property] = randomValue(random, field, depth);
  }
  return codecOf(typeName).create(fields);
}

const texts = ["", "root", "a".repeat(200), "ä", "€uro", "𝄞 clef", "\u0000", "\u007f\u0080\u07ff\u0800\uffff"];
const exactEdges = [0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n];
const numberEdges = [
  0,
  1,
  127,
  128,
  300,
  2 ** 28,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 35,
  2 ** 42,
  2 ** 49,
  2 ** 53 - 1,
];

function randomValue(random: SeededRandom, field: FieldDescriptor, depth: number): unknown {
  switch (field.kind) {
    case "bool":
      return random.chance(2);
    case "string":
      return random.pick(texts);
    case "bytes":
      return random.bytes(random.pick([0, 1, 2, 16, 127, 128, 300]));
    case "uint32":
      return random.pick([0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1]);
    case "enum": {
      const known = Object.values(enumDescriptors[field.type ?? ""] ?? {});
      // Of the proto2 enums of raft, unknown numbers mean different things to different protobuf libraries.
      return random.pick(field.type?.startsWith("raftpb.") ? known : [...known, 77, -1]);
    }
    case "message":
      return randomMessage(random, field.type ?? "", depth + 1);
    case "int64":
    case "uint64": {
      const sign = field.kind === "int64" && random.chance(3) ? -1 : 1;
      // Plus zero: there is no minus zero on the wire.
      if (!field.exact) return random.pick(numberEdges) * sign + 0;
      return random.pick(exactEdges) * BigInt(sign);
    }
  }
}

/** The bytes with one to three things changed, as a hostile or broken client might send them. */
export function mutate(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  let damaged = bytes;
  for (let i = random.below(3); i >= 0; i--) damaged = random.pick(mutations)(random, damaged);
  return damaged;
}

type Mutation = (random: SeededRandom, bytes: Uint8Array) => Uint8Array;

const mutations: readonly Mutation[] = [
  function flipBit(random, bytes) {
    const copy = bytes.slice();
    const at = random.below(copy.length);
    if (copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << random.below(8));
    return copy;
  },
  function setByte(random, bytes) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[random.below(copy.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    return copy;
  },
  function truncate(random, bytes) {
    return bytes.slice(0, random.below(bytes.length + 1));
  },
  function insert(random, bytes) {
    return spliceAt(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(4)));
  },
  function remove(random, bytes) {
    return spliceAt(bytes, random.below(bytes.length + 1), random.below(4), new Uint8Array(0));
  },
  function doubleSome(random, bytes) {
    const from = random.below(bytes.length + 1);
    return spliceAt(bytes, from, 0, bytes.slice(from, from + random.below(40)));
  },
  /** The whole message twice: every singular field repeated. */
  function doubleAll(_random, bytes) {
    return spliceAt(bytes, bytes.length, 0, bytes);
  },
  /** Fields of every wire type under numbers that exist or not, groups and malformed ones included. */
  function addField(random, bytes) {
    const tag = random.pick([1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 63, 64, 100, 1000, 2 ** 29 - 1]) * 8 + random.below(8);
    const field = [...varint(tag), ...random.pick(payloads)];
    return spliceAt(bytes, random.chance(2) ? 0 : bytes.length, 0, Uint8Array.from(field));
  },
  /** A varint in more bytes than it needs. */
  function lengthenVarint(random, bytes) {
    const at = random.below(bytes.length);
    const byte = bytes[at] ?? 0;
    return byte >= 0x80 ? bytes : spliceAt(bytes, at, 1, Uint8Array.of(byte | 0x80, ...random.pick(paddings)));
  },
];

const paddings: readonly (readonly number[])[] = [[0], [0x80, 0], [0x80, 0x80, 0x80, 0]];
const payloads: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [3, 1, 2, 3],
  [2, 0xc3, 0x28],
  [2, 8, 1],
  [0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0],
  [8, 1, 0x0c],
];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  return [...bytes, rest];
}

function spliceAt(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const tail = bytes.subarray(Math.min(bytes.length, at + removed));
  const result = new Uint8Array(at + added.length + tail.length);
  result.set(bytes.subarray(0, at));
  result.set(added, at);
  result.set(tail, at + added.length);
  return result;
}
