/**
 * Encoders and sizes. A nested message is written in one of three ways: small ones (always under 128 bytes) behind one
 * byte for their length, types that contain themselves behind one byte and moved when they are longer, all others sized
 * first.
 */

import type { MessageIndex } from "./emit-module.js";
import { indent } from "./lines.js";
import { type FieldModel, type MessageModel, type OneofModel, tagBytes } from "./model.js";
import { wireType } from "./types.js";

export function emitSize(message: MessageModel): string[] {
  const parameter = message.members.length === 0 ? "_message" : "message";
  const lines = [
    `/** Bytes that \`encode${message.name}\` writes. */`,
    `export function size${message.name}(${parameter}: ${message.name}Init): number {`,
  ];
  if (message.members.length === 0) return [...lines, "  return 0;", "}"];
  lines.push("  let size = 0;");
  for (const member of message.members) {
    if (member.kind === "oneof") lines.push(...indent(sizeOneof(member.oneof), "  "));
    else lines.push(...indent(sizeField(member.field), "  "));
  }
  return [...lines, "  return size;", "}"];
}

export function emitEncoder(message: MessageModel, index: MessageIndex): string[] {
  const { name } = message;
  if (message.members.length === 0) {
    return [
      `/** Writes nothing: the message has no fields. Returns \`offset\`. */`,
      `export function encode${name}(_message: ${name}Init, _target: Uint8Array, offset: number): number {`,
      "  return offset;",
      "}",
    ];
  }
  const lines = [
    `/** Writes the message at \`offset\`; returns the offset after it. \`target\` must have room for \`size${name}\` bytes. */`,
    `export function encode${name}(message: ${name}Init, target: Uint8Array, offset: number): number {`,
    "  let at = offset;",
  ];
  for (const member of message.members) {
    if (member.kind === "oneof") lines.push(...indent(encodeOneof(member.oneof, index), "  "));
    else lines.push(...indent(encodeField(member.field, index), "  "));
  }
  return [...lines, "  checkFits(target, at);", "  return at;", "}"];
}

/** Whether the field is written at all, given its value in a local of its own name. */
function isWritten(field: FieldModel): string {
  const { local } = field;
  if (field.presence || field.alwaysWritten) return `${local} !== undefined`;
  switch (field.kind) {
    case "bool":
      return `${local} === true`;
    case "string":
      return `${local} !== undefined && ${local} !== ""`;
    case "bytes":
      return `${local} !== undefined && ${local}.length !== 0`;
    default:
      return `${local} !== undefined && ${local} !== ${field.exact ? "0n" : "0"}`;
  }
}

function sizeField(field: FieldModel): string[] {
  const { local } = field;
  const tag = tagBytes(field.number, wireType(field)).length;
  const lines = [`const ${local} = message.${field.property};`];
  if (field.packed) {
    return [
      ...lines,
      `if (${local} !== undefined && ${local}.length !== 0) {`,
      ...indent(sizePacked(field), "  "),
      `  size += ${tag} + sizeLengthPrefixed(length);`,
      "}",
    ];
  }
  if (field.repeated) {
    return [
      ...lines,
      `if (${local} !== undefined) {`,
      `  for (const item of ${local}) size += ${tag} + ${sizeValue(field, "item")};`,
      "}",
    ];
  }
  return [...lines, `if (${isWritten(field)}) size += ${tag} + ${sizeValue(field, local)};`];
}

/** The length of a packed list's numbers, into `length`. */
function sizePacked(field: FieldModel): string[] {
  return ["let length = 0;", `for (const item of ${field.local}) length += ${sizeValue(field, "item")};`];
}

function sizeOneof(oneof: OneofModel): string[] {
  const { local } = oneof;
  return [
    `const ${local} = message.${oneof.property};`,
    `switch (${local}?.kind) {`,
    ...oneof.fields.flatMap((field) => [
      `  case "${field.property}":`,
      `    size += ${tagBytes(field.number, wireType(field)).length} + ${sizeValue(field, `${local}.value`)};`,
      "    break;",
    ]),
    "}",
  ];
}

function sizeValue(field: FieldModel, value: string): string {
  switch (field.kind) {
    case "bool":
      return "1";
    case "string":
      return `sizeString(${value})`;
    case "bytes":
      return `sizeLengthPrefixed(${value}.length)`;
    case "message":
      return `sizeLengthPrefixed(size${field.type?.name}(${value}))`;
    default:
      return field.exact ? `sizeBigInt(${value})` : `sizeNumber(${value})`;
  }
}

function encodeField(field: FieldModel, index: MessageIndex): string[] {
  const { local } = field;
  const lines = [`const ${local} = message.${field.property};`];
  if (field.packed) {
    return [
      ...lines,
      `if (${local} !== undefined && ${local}.length !== 0) {`,
      ...indent(sizePacked(field), "  "),
      ...tagBytes(field.number, 2).map((byte) => `  target[at++] = ${byte};`),
      "  at = writeVarint32(target, at, length);",
      `  for (const item of ${local}) ${writeValue(field, "item", index)[0]}`,
      "}",
    ];
  }
  if (field.repeated) {
    return [
      ...lines,
      `if (${local} !== undefined) {`,
      `  for (const item of ${local}) {`,
      ...indent(writeField(field, "item", index), "    "),
      "  }",
      "}",
    ];
  }
  return [...lines, `if (${isWritten(field)}) {`, ...indent(writeField(field, local, index), "  "), "}"];
}

function encodeOneof(oneof: OneofModel, index: MessageIndex): string[] {
  const { local } = oneof;
  return [
    `const ${local} = message.${oneof.property};`,
    `switch (${local}?.kind) {`,
    ...oneof.fields.flatMap((field) => {
      const body = writeField(field, `${local}.value`, index);
      const block = body.some((line) => line.startsWith("const "));
      return [
        `  case "${field.property}":${block ? " {" : ""}`,
        ...indent(body, "    "),
        "    break;",
        ...(block ? ["  }"] : []),
      ];
    }),
    "}",
  ];
}

/** Tag and value. */
function writeField(field: FieldModel, value: string, index: MessageIndex): string[] {
  return [
    ...tagBytes(field.number, wireType(field)).map((byte) => `target[at++] = ${byte};`),
    ...writeValue(field, value, index),
  ];
}

function writeValue(field: FieldModel, value: string, index: MessageIndex): string[] {
  switch (field.kind) {
    case "bool":
      return [`target[at++] = ${value === "item" || value.includes(".") ? `${value} ? 1 : 0` : "1"};`];
    case "string":
      return [`at = writeString(target, at, ${value});`];
    case "bytes":
      return [`at = writeBytes(target, at, ${value});`];
    case "message":
      return writeMessage(field, value, index);
    default:
      return [field.exact ? `at = writeBigInt(target, at, ${value});` : `at = writeNumber(target, at, ${value});`];
  }
}

function writeMessage(field: FieldModel, value: string, index: MessageIndex): string[] {
  const type = field.type && index.get(field.type.fullName);
  if (type === undefined) throw new Error(`${field.protoName}: unknown type`);
  const encode = (at: string): string => `encode${type.name}(${value}, target, ${at})`;
  if (type.recursive) return [`at = closeLength(target, at, ${encode("at + 1")});`];
  if (type.small) return [`const end = ${encode("at + 1")};`, "target[at] = end - at - 1;", "at = end;"];
  return [`at = writeVarint32(target, at, size${type.name}(${value}));`, `at = ${encode("at")};`];
}
