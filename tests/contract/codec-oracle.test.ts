/**
 * Generated codecs beside protobuf-es, which reads the same .proto files at run time: messages of every type.
 */

import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type FieldDescriptor, isDecodeError, messageDescriptors, nestingDepthMax, wasCanonical } from "@etcd-ts/api";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileProtos } from "../../scripts/generate.js";
import {
  codecOf,
  encodeAlone,
  mutate,
  randomMessage,
  SeededRandom,
  typeNames,
} from "../../scripts/soak/random-messages.js";

let registry: FileRegistry;

beforeAll(() => {
  registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, compileProtos(process.cwd())));
});

const proto2 = /^(raftpb|walpb|snappb|etcdserverpb\.Metadata)/;

function schemaOf(typeName: string): DescMessage {
  const schema = registry.getMessage(typeName);
  if (schema === undefined) throw new Error(`no type ${typeName}`);
  return schema;
}

/** One of our messages as protobuf-es has it. */
function toOracle(typeName: string, message: object): Message {
  const schema = schemaOf(typeName);
  const init: Record<string, unknown> = {};
  for (const field of messageDescriptors[typeName] ?? []) {
    const value = fieldValue(message, field);
    const desc = schema.fields.find(({ number }) => number === field.number);
    if (value === undefined || desc === undefined) continue;
    const converted = field.repeated
      ? (value as readonly unknown[]).map((item) => convert(field, item))
      : convert(field, value);
    if (desc.oneof) init[desc.oneof.localName] = { case: desc.localName, value: converted };
    else init[desc.localName] = converted;
  }
  return create(schema, init);
}

function fieldValue(message: object, field: FieldDescriptor): unknown {
  const values = message as Readonly<Record<string, unknown>>;
  if (field.oneof === undefined) return values[field.property];
  const oneof = values[field.oneof] as { kind: string; value: unknown } | undefined;
  return oneof?.kind === field.property ? oneof.value : undefined;
}

function convert(field: FieldDescriptor, value: unknown): unknown {
  if (field.kind === "message") return toOracle(field.type ?? "", value as object);
  return field.kind === "int64" || field.kind === "uint64" ? BigInt(value as number | bigint) : value;
}

const seeds = fc.integer();

/** One of each wire type under number 20 000: varint, fixed64, bytes, a group with a group in it, fixed32. */
const unknownFields = [
  "80e209 9601",
  "81e209 0102030405060708",
  "82e209 026162",
  "83e209 0b 0801 0c 84e209",
  "85e209 01020304",
].map((text) => [...Buffer.from(text.replaceAll(" ", ""), "hex")]);
const runs = { numRuns: 10, seed: 20261123 };

describe.each(typeNames)("%s", (typeName) => {
  const codec = codecOf(typeName);

  it("is written as protobuf-es writes it", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const message = randomMessage(new SeededRandom(seed), typeName);
        const ours = encodeAlone(codec, message);
        const theirs = toBinary(schemaOf(typeName), toOracle(typeName, message));
        // Of proto2, zeros may be written or not: compared by what they mean.
        if (proto2.test(typeName)) expect(codec.decode(theirs)).toEqual(codec.decode(ours));
        else expect(Buffer.from(ours).toString("hex")).toBe(Buffer.from(theirs).toString("hex"));
      }),
      runs,
    );
  });

  it("is read back the same, and as canonical", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const message = randomMessage(new SeededRandom(seed), typeName);
        const bytes = encodeAlone(codec, message);
        expect(codec.decode(bytes)).toEqual(message);
        expect(wasCanonical()).toBe(true);
        // Also from the middle of an array.
        const framed = new Uint8Array(bytes.length + 7).fill(0xff);
        framed.set(bytes, 3);
        expect(codec.decode(framed, 3, 3 + bytes.length)).toEqual(message);
      }),
      runs,
    );
  });

  it("is merged with a second one as protobuf-es merges them", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = new SeededRandom(seed);
        const parts = [1, 2, 3].map(() => encodeAlone(codec, randomMessage(random, typeName)));
        const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
        const theirs = toBinary(schemaOf(typeName), fromBinary(schemaOf(typeName), bytes));
        expect(codec.decode(bytes)).toEqual(codec.decode(theirs));
      }),
      runs,
    );
  });

  it("is read past unknown fields", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...unknownFields), fc.boolean(), (seed, unknown, first) => {
        const message = randomMessage(new SeededRandom(seed), typeName);
        const bytes = encodeAlone(codec, message);
        expect(codec.decode(Uint8Array.from(first ? [...unknown, ...bytes] : [...bytes, ...unknown]))).toEqual(message);
        expect(wasCanonical()).toBe(false);
      }),
      runs,
    );
  });

  it("is refused or read, whatever was done to the bytes, and what was read means the same again", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = new SeededRandom(seed);
        const bytes = mutate(random, encodeAlone(codec, randomMessage(random, typeName)));
        const ours = attempt(() => codec.decode(bytes));
        if (ours === undefined) return;
        const canonical = wasCanonical();
        expect(codec.decode(encodeAlone(codec, ours))).toEqual(ours);
        expect(wasCanonical()).toBe(true);
        // Beyond that protobuf-es is no oracle: it reads a value of the wrong wire type, which Go takes for unknown.
        if (canonical) {
          const theirs = toBinary(schemaOf(typeName), fromBinary(schemaOf(typeName), bytes));
          expect(codec.decode(theirs)).toEqual(ours);
        }
      }),
      { ...runs, numRuns: 30 },
    );
  });

  it("is refused when cut, or is a whole shorter message", () => {
    const bytes = encodeAlone(codec, randomMessage(new SeededRandom(typeName.length), typeName));
    for (let end = 0; end < bytes.length; end++) attempt(() => codec.decode(bytes, 0, end));
  });
});

/** The result, or undefined when it is refused in the expected way. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isDecodeError(error)) return undefined;
    throw error;
  }
}

describe("memory and time on hostile input", () => {
  it("are proportional to the input", () => {
    // A length of almost 2^63 in front of nothing, in every field that has one.
    for (const typeName of typeNames) {
      for (const field of messageDescriptors[typeName] ?? []) {
        const bytes: number[] = [];
        let tag = field.number * 8 + 2;
        for (; tag >= 0x80; tag = Math.floor(tag / 128)) bytes.push((tag % 128) + 0x80);
        const hostile = Uint8Array.from([...bytes, tag, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        expect(attempt(() => codecOf(typeName).decode(hostile))).toBeUndefined();
      }
    }
  });

  it("hold for a transaction nested as deep as it fits", () => {
    // Each level is "success { request_txn { … } }"; written from the inside, so from the end.
    const bytes = new Uint8Array(100_020);
    let start = bytes.length;
    while (start > 20) for (const tag of [0x22, 0x12]) start = wrap(bytes, start, tag);
    const body = bytes.subarray(start);
    expect(attempt(() => codecOf("etcdserverpb.TxnRequest").decode(body))).toBeUndefined();
    expect(nestingDepthMax).toBeLessThan(10_000);
  });
});

/** Puts a tag and a length before what `bytes` holds from `start` on; returns where the tag is. */
function wrap(bytes: Uint8Array, start: number, tag: number): number {
  const length: number[] = [];
  let rest = bytes.length - start;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) length.push((rest % 128) + 0x80);
  const prefix = [tag, ...length, rest];
  bytes.set(prefix, start - prefix.length);
  return start - prefix.length;
}
