/**
 * Encoding and decoding by protobufjs, from the same definitions but by other code than the server's, and the form in
 * which answers are compared: what differs between any two clusters is taken out.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { root as repository } from "../interop/support/comparison.js";
import type { Damage, Fields } from "./program.js";

/** The package brings the definitions of protobuf itself. */
const protobufjs = dirname(fileURLToPath(import.meta.resolve("protobufjs/package.json")));

const files = [
  "etcdserverpb/rpc.proto",
  "grpc/health/v1/health.proto",
  "v3lockpb/v3lock.proto",
  "v3electionpb/v3election.proto",
];

/** Fields whose values are the cluster's, the machine's or the moment's, as `Message.field`. */
const incomparable = new Set([
  "ResponseHeader.cluster_id",
  "ResponseHeader.member_id",
  "ResponseHeader.raft_term",
  "StatusResponse.leader",
  "StatusResponse.raftIndex",
  "StatusResponse.raftTerm",
  "StatusResponse.raftAppliedIndex",
  "StatusResponse.dbSize",
  "StatusResponse.dbSizeInUse",
  "Member.ID",
  "Member.peerURLs",
  "Member.clientURLs",
  "LeaseTimeToLiveResponse.TTL",
]);

export class Schema {
  readonly #root: protobuf.Root;

  private constructor(root: protobuf.Root) {
    this.#root = root;
  }

  static async load(): Promise<Schema> {
    const root = new protobuf.Root();
    const directory = join(repository, "proto");
    const loaded = files.map((file) => join(directory, file));
    root.resolvePath = (_, target) => {
      if (target.startsWith("google/")) {
        return join(protobufjs, target);
      }
      return target.startsWith("/") ? target : join(directory, target);
    };
    await root.load(loaded, { keepCase: true });
    return new Schema(root);
  }

  /** Encodes the request of the method at `path`; nothing for methods that do not exist. */
  encodeRequest(path: string, request: Fields): Buffer {
    const type = this.#typesOf(path)?.request;
    return type === undefined ? Buffer.alloc(0) : encode(type, request);
  }

  encode(message: string, fields: Fields): Buffer {
    return encode(this.#lookup(message), fields);
  }

  /** The answer of the method at `path`, made comparable. */
  decodeAnswer(path: string, bytes: Buffer): unknown {
    const type = this.#typesOf(path)?.answer;
    return type === undefined ? bytes.toString("hex") : this.#comparable(type, bytes);
  }

  /** A message by name, made comparable. */
  decode(message: string, bytes: Buffer): Fields {
    return this.#comparable(this.#lookup(message), bytes);
  }

  #comparable(type: protobuf.Type, bytes: Buffer): Fields {
    const decoded = type.toObject(type.decode(bytes), { longs: String, arrays: false });
    return strip(type, decoded) as Fields;
  }

  #typesOf(path: string): { request: protobuf.Type; answer: protobuf.Type } | undefined {
    const [, service = "", method = ""] = path.split("/");
    const found = this.#root.lookup(service);
    const rpc = found instanceof protobuf.Service ? found.methods[method] : undefined;
    rpc?.resolve();
    const request = rpc?.resolvedRequestType ?? undefined;
    const answer = rpc?.resolvedResponseType ?? undefined;
    return request === undefined || answer === undefined ? undefined : { request, answer };
  }

  #lookup(message: string): protobuf.Type {
    return this.#root.lookupType(message.includes(".") ? message : `etcdserverpb.${message}`);
  }
}

function encode(type: protobuf.Type, fields: Fields): Buffer {
  return Buffer.from(type.encode(type.fromObject(fields)).finish());
}

/** Drops the incomparable fields and shows bytes as text. */
function strip(type: protobuf.Type, message: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (!incomparable.has(`${type.name}.${name}`)) {
      const field = type.fields[name]?.resolve();
      const inner = field?.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
      kept[name] = Array.isArray(value) ? value.map((item) => stripValue(inner, item)) : stripValue(inner, value);
    }
  }
  if (type.name === "LeaseLeasesResponse" && Array.isArray(kept["leases"])) {
    // They come in the order of their expiry, which is the moment's.
    kept["leases"] = kept["leases"].map((lease) => JSON.stringify(lease)).sort();
  }
  if (type.name === "LeaseTimeToLiveResponse" && Array.isArray(kept["keys"])) {
    // The Go server keeps them in a map.
    kept["keys"].sort();
  }
  return kept;
}

function stripValue(type: protobuf.Type | undefined, value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString("latin1");
  }
  return type === undefined ? value : strip(type, value as Record<string, unknown>);
}

const lengthDelimited = 2;
const unknownField = 1999;

/** Applies the damage to an encoded message. */
export function damaged(bytes: Buffer, damage: Damage): Buffer {
  switch (damage.kind) {
    case "unknown field":
      return Buffer.concat([varint(unknownField * 8 + lengthDelimited), Buffer.from([3, 1, 2, 3]), bytes]);
    case "repeated":
      return Buffer.concat([bytes, bytes]);
    case "long varint":
      // A field 3 of value 0 in more bytes than needed: it may come again later.
      return Buffer.concat([Buffer.from([0x98, 0x00]), Buffer.from([0x80, 0x80, 0x00]), bytes]);
    case "truncated":
      return bytes.subarray(0, Math.min(damage.at, bytes.length));
    case "flipped": {
      const copy = Buffer.from(bytes);
      const at = damage.at % Math.max(1, copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << damage.bit);
      return copy;
    }
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}
