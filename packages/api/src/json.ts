/**
 * Protobuf's JSON, both ways, driven by the generated descriptors: what the HTTP gateway takes and gives, and what the
 * command line prints.
 *
 * Names are those of the .proto files. Written: absent fields left out, 64-bit numbers as strings, bytes as base64,
 * enums by name. Read: also lowerCamel names, numbers for strings and the other way round, enum numbers, url-safe
 * base64; unknown fields and enum names are ignored, null is absent.
 *
 * Source: protobuf.dev/programming-guides/json; error texts of google.golang.org/protobuf/encoding/protojson.
 */

import { decodeBase64, encodeBase64 } from "./base64.js";
import type { FieldDescriptor, MessageDescriptor } from "./descriptor.js";
import { enumDescriptors, messageDescriptors } from "./gen/descriptors.js";
import { JsonError, type JsonMember, type JsonValue, jsonDepthMax, parseJson } from "./json-parser.js";
import { emptyBytes } from "./wire-reader.js";

/**
 * How to write. `protojson` is the gateway's. `go` is what Go's encoding/json makes of etcd's generated structs, as
 * printed by `etcdctl -w json` and sent between members: 64-bit numbers and enums as bare digits, a oneof's member
 * within an object named after the oneof.
 */
export type JsonStyle = "protojson" | "go";

/** What of a codec the JSON functions use. */
export interface JsonCodec<M> {
  readonly typeName: string;
  readonly decode: (bytes: Uint8Array) => M;
}

/** The message's JSON text, without white space. */
export function toJson<M extends object>(codec: JsonCodec<M>, message: M, style: JsonStyle = "protojson"): string {
  return writeMessage(descriptorOf(codec.typeName), message as Fields, style);
}

/**
 * The message a JSON text stands for; an empty text is an empty message. Throws JsonError, whose message may be shown
 * to the sender.
 */
export function fromJson<M extends object>(codec: JsonCodec<M>, text: string, depthMax: number = jsonDepthMax): M {
  const value = parseJson(text, depthMax) ?? { kind: "object", start: 0, members: [] };
  return new Reader(text).message(codec.typeName, value) as M;
}

/** A message by property name. */
type Fields = Readonly<Record<string, unknown>>;

function descriptorOf(typeName: string): MessageDescriptor {
  const descriptor = messageDescriptors[typeName];
  if (descriptor === undefined) throw new Error(`no message named ${typeName}`);
  return descriptor;
}

function writeMessage(descriptor: MessageDescriptor, message: Fields, style: JsonStyle): string {
  const parts: string[] = [];
  for (const field of descriptor) {
    const value = fieldValue(field, message);
    if (isAbsent(field, value)) continue;
    const text = field.repeated
      ? `[${(value as readonly unknown[]).map((item) => writeValue(field, item, style)).join(",")}]`
      : writeValue(field, value, style);
    const member = `"${field.name}":${text}`;
    parts.push(style === "go" && field.oneof !== undefined ? `"${goName(field.oneof)}":{${member}}` : member);
  }
  return `{${parts.join(",")}}`;
}

function fieldValue(field: FieldDescriptor, message: Fields): unknown {
  if (field.oneof === undefined) return message[field.property];
  const oneof = message[field.oneof] as { readonly kind: string; readonly value: unknown } | undefined;
  return oneof?.kind === field.property ? oneof.value : undefined;
}

function isAbsent(field: FieldDescriptor, value: unknown): boolean {
  if (value === undefined) return true;
  if (field.repeated) return (value as readonly unknown[]).length === 0;
  if (field.presence) return false;
  if (field.kind === "bytes") return (value as Uint8Array).length === 0;
  return value === "" || value === false || value === 0 || value === 0n;
}

function writeValue(field: FieldDescriptor, value: unknown, style: JsonStyle): string {
  switch (field.kind) {
    case "bool":
    case "uint32":
      return String(value);
    case "string":
      return style === "go" ? goString(value as string) : JSON.stringify(value);
    case "bytes":
      return `"${encodeBase64(value as Uint8Array)}"`;
    case "int64":
    case "uint64":
      return style === "go" ? String(value) : `"${String(value)}"`;
    case "enum": {
      const name = style === "go" ? undefined : enumName(field.type, value as number);
      return name === undefined ? String(value) : `"${name}"`;
    }
    case "message":
      return writeMessage(descriptorOf(field.type ?? ""), value as Fields, style);
  }
}

function enumName(type: string | undefined, value: number): string | undefined {
  const numbers = enumDescriptors[type ?? ""] ?? {};
  return Object.keys(numbers).find((name) => numbers[name] === value);
}

function enumNumber(type: string | undefined, name: string): number | undefined {
  const numbers = enumDescriptors[type ?? ""] ?? {};
  return Object.hasOwn(numbers, name) ? numbers[name] : undefined;
}

function goName(property: string): string {
  return property.charAt(0).toUpperCase() + property.slice(1);
}

/** Go's encoding/json also escapes what could end a script element. */
function goString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Builds messages from parsed values. Knows the text for the positions in its errors. */
class Reader {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  message(typeName: string, value: JsonValue): Fields {
    if (value.kind !== "object") throw this.#unexpectedToken(value);
    const descriptor = descriptorOf(typeName);
    const fields = emptyFields(descriptor);
    const seen = new Set<FieldDescriptor>();
    for (const member of value.members) {
      const field = descriptor.find((f) => f.name === member.key || f.jsonName === member.key);
      if (field === undefined) continue;
      if (seen.has(field)) throw this.#error(member.start, `duplicate field ${JSON.stringify(member.key)}`);
      seen.add(field);
      if (member.value.kind !== "null") this.#setField(typeName, fields, field, member);
    }
    return fields;
  }

  #setField(typeName: string, fields: Record<string, unknown>, field: FieldDescriptor, member: JsonMember): void {
    if (field.oneof !== undefined && fields[field.oneof] !== undefined) {
      const oneof = `${typeName}.${snakeCase(field.oneof)}`;
      throw this.#error(member.start, `error parsing ${JSON.stringify(member.key)}, oneof ${oneof} is already set`);
    }
    const value = field.repeated ? this.#list(field, member.value) : this.#single(field, member.value);
    if (value === undefined) return;
    if (field.oneof === undefined) fields[field.property] = value;
    else fields[field.oneof] = { kind: field.property, value };
  }

  #list(field: FieldDescriptor, value: JsonValue): unknown[] {
    if (value.kind !== "array") throw this.#unexpectedToken(value);
    const items: unknown[] = [];
    for (const item of value.items) {
      const one = this.#single(field, item);
      if (one !== undefined) items.push(one);
    }
    return items;
  }

  /** Undefined: an enum name that is not known. */
  #single(field: FieldDescriptor, value: JsonValue): unknown {
    if (field.kind === "message") return this.message(field.type ?? "", value);
    const known = field.kind === "enum" && value.kind === "string";
    const scalar = readScalar(field, value);
    if (scalar === undefined && !known) {
      throw this.#error(value.start, `invalid value for ${field.kind} field ${field.jsonName}: ${this.#raw(value)}`);
    }
    return scalar;
  }

  #error(position: number, what: string): JsonError {
    return new JsonError(`proto: (line ${this.#place(position)}): ${what}`);
  }

  #unexpectedToken(value: JsonValue): JsonError {
    return new JsonError(
      `proto: syntax error (line ${this.#place(value.start)}): unexpected token ${this.#raw(value)}`,
    );
  }

  /** Line and column, both from 1. */
  #place(position: number): string {
    const lines = this.#text.slice(0, position).split("\n");
    return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
  }

  /** The value's first token, as it stands but not at any length. */
  #raw(value: JsonValue): string {
    switch (value.kind) {
      case "object":
        return "{";
      case "array":
        return "[";
      case "number":
        return value.text;
      case "string":
        return this.#text.slice(value.start, Math.min(value.end, value.start + rawTextMax));
      case "boolean":
        return String(value.value);
      case "null":
        return "null";
    }
  }
}

/** A refused value is repeated in the error up to this length. */
const rawTextMax = 1024;

function emptyFields(descriptor: MessageDescriptor): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of descriptor) fields[field.oneof ?? field.property] = emptyValue(field);
  return fields;
}

function emptyValue(field: FieldDescriptor): unknown {
  if (field.repeated) return [];
  if (field.presence) return undefined;
  switch (field.kind) {
    case "bool":
      return false;
    case "string":
      return "";
    case "bytes":
      return emptyBytes;
    case "int64":
    case "uint64":
      return field.exact ? 0n : 0;
    default:
      return 0;
  }
}

/** Undefined when the value is not one of the field's type. */
function readScalar(field: FieldDescriptor, value: JsonValue): unknown {
  switch (field.kind) {
    case "bool":
      return value.kind === "boolean" ? value.value : undefined;
    case "string":
      return value.kind === "string" && !loneSurrogate.test(value.value) ? value.value : undefined;
    case "bytes":
      return value.kind === "string" ? decodeBase64(value.value) : undefined;
    case "uint32":
      return toNumber(readInteger(value, 0n, 2n ** 32n - 1n));
    case "enum":
      if (value.kind === "string") return enumNumber(field.type, value.value);
      return toNumber(readInteger(value, -(2n ** 31n), 2n ** 31n - 1n));
    case "int64":
      return limit(field, readInteger(value, -(2n ** 63n), 2n ** 63n - 1n));
    case "uint64":
      return limit(field, readInteger(value, 0n, field.exact ? 2n ** 64n - 1n : 2n ** 53n - 1n));
    case "message":
      return undefined;
  }
}

const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const two53 = 2n ** 53n;

/** As the decoder has it: exact, or a number saturated at ±2^53. */
function limit(field: FieldDescriptor, value: bigint | undefined): bigint | number | undefined {
  if (value === undefined || field.exact) return value;
  return Number(value > two53 ? two53 : value < -two53 ? -two53 : value);
}

function toNumber(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/** An integer within [min, max] from a number or from a string of one; `1e2` and `1.0` are integers, too. */
function readInteger(value: JsonValue, min: bigint, max: bigint): bigint | undefined {
  const text = value.kind === "number" ? value.text : value.kind === "string" ? value.value : "";
  const parts = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return 0n;
  // How many of the digits stand before the point once the exponent is applied.
  const length = digits.length - fraction.length + Number(exponent);
  if (length <= 0 || length > integerDigitsMax || /[^0]/.test(digits.slice(length))) return undefined;
  const magnitude = BigInt(digits.slice(0, length).padEnd(length, "0"));
  const integer = sign === "-" ? -magnitude : magnitude;
  return integer < min || integer > max ? undefined : integer;
}

/** 2^64 has 20 digits. */
const integerDigitsMax = 20;

function snakeCase(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
