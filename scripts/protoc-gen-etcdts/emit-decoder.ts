/**
 * Decoders: one loop over the tags with a local variable for each field, so that the message is created at once with
 * all its fields and always with the same shape.
 *
 * Of singular message fields the loop only notes where they lie; they are read after it, when it is known that they
 * came once. Reading them at once and again after a merge would double the work at every level.
 */

import type { MessageIndex } from "./emit-module.js";
import { indent } from "./lines.js";
import { type FieldModel, fieldsOf, type Member, type MessageModel, type OneofModel } from "./model.js";
import { defaultValue, elementType, fieldType, wireType } from "./types.js";

export function emitDecoder(message: MessageModel, index: MessageIndex): string[] {
  const { name } = message;
  const depth = message.recursive ? ", 1" : "";
  return [
    `/** Byte fields are views of \`bytes\`. Throws DecodeError. */`,
    `export function decode${name}(bytes: Uint8Array, start = 0, end: number = bytes.length): ${name} {`,
    "  beginMessage(bytes, start, end);",
    `  return read${name}(bytes, start, end${depth});`,
    "}",
    "",
    ...emitReader(message, index),
    ...message.members.flatMap((member) =>
      member.kind === "oneof" && holdsMessages(member.oneof) ? emitOneofReader(message, member.oneof, index) : [],
    ),
    ...emitMergeRules(message),
  ];
}

function emitReader(message: MessageModel, index: MessageIndex): string[] {
  const { name } = message;
  const depth = message.recursive ? ", depth: number" : "";
  const lines = [
    `/** Reads a message that is part of another one. */`,
    `export function read${name}(bytes: Uint8Array, start: number, end: number${depth}): ${name} {`,
  ];
  if (message.recursive) lines.push("  checkDepth(depth, start);");
  for (const member of message.members) {
    if (member.kind === "field") lines.push(...declareLocal(member.field));
    else if (holdsMessages(member.oneof))
      lines.push(`  let ${member.oneof.local}Number = 0;`, ...declareSpan(member.oneof.local));
    else lines.push(`  let ${member.oneof.local}: ${member.oneof.typeName} | undefined;`);
  }
  if (needsMerge(message)) lines.push("  let twice = false;");
  const tracked = trackedFields(message);
  if (tracked.length > 31) throw new Error(`${message.fullName}: too many scalar fields for one word of flags`);
  if (tracked.length > 0) lines.push("  let seen = 0;", "  let repeated = 0;");
  lines.push(...emitLoop(fieldsOf(message).flatMap((field) => emitCase(message, field, index))));
  if (tracked.length > 0) lines.push("  if (repeated !== 0) noteNotCanonical();");
  if (needsMerge(message)) lines.push(`  if (twice) return ${restart(message)};`);
  const properties = message.members.map((member) => `    ${emitProperty(message, member, index)},`);
  return [...lines, ...(properties.length === 0 ? ["  return {};"] : ["  return {", ...properties, "  };"]), "}"];
}

function emitProperty(message: MessageModel, member: Member, index: MessageIndex): string {
  const { property, local } = member.kind === "oneof" ? member.oneof : member.field;
  if (member.kind === "oneof" && holdsMessages(member.oneof)) {
    return `${property}: ${readOneof(message, member.oneof)}`;
  }
  if (member.kind === "field" && isSingularMessage(member.field)) {
    const read = readMessage(message, member.field, index, `${local}Start, ${local}End`);
    return `${property}: ${local}Start < 0 ? undefined : ${read}`;
  }
  return property === local ? property : `${property}: ${local}`;
}

function isSingularMessage(field: FieldModel): boolean {
  return field.kind === "message" && !field.repeated;
}

/** The members of a oneof are all messages or all scalars: etcd has no other. */
function holdsMessages(oneof: OneofModel): boolean {
  const messages = oneof.fields.filter((field) => field.kind === "message").length;
  if (messages !== 0 && messages !== oneof.fields.length)
    throw new Error(`${oneof.typeName}: mixes messages and scalars`);
  return messages !== 0;
}

function readOneof(message: MessageModel, oneof: OneofModel): string {
  const { local, typeName } = oneof;
  return `read${typeName}(${local}Number, bytes, ${local}Start, ${local}End${message.recursive ? ", depth" : ""})`;
}

/** The value of a oneof of messages, given which member lies where. */
function emitOneofReader(message: MessageModel, oneof: OneofModel, index: MessageIndex): string[] {
  const depth = message.recursive ? ", depth: number" : "";
  const { typeName } = oneof;
  return [
    "",
    `function read${typeName}(member: number, bytes: Uint8Array, start: number, end: number${depth}): ${typeName} | undefined {`,
    "  switch (member) {",
    ...oneof.fields.flatMap((field) => [
      `    case ${field.number}:`,
      `      return { kind: "${field.property}", value: ${readMessage(message, field, index, "start, end")} };`,
    ]),
    "    default:",
    "      return undefined;",
    "  }",
    "}",
  ];
}

/** The loop over all tags of a message, around the cases of its fields. */
export function emitLoop(cases: readonly string[]): string[] {
  return [
    "  let pos = start;",
    "  while (pos < end) {",
    "    let tag = bytes[pos++] as number;",
    "    if (tag >= 0x80) {",
    "      tag = readTag(bytes, pos - 1, end);",
    "      pos = cursor;",
    "    }",
    ...(cases.length === 0
      ? ["    pos = skipField(bytes, tag, pos, end);"]
      : [
          "    switch (tag) {",
          ...indent(cases, "      "),
          "      default:",
          "        pos = skipField(bytes, tag, pos, end);",
          "    }",
        ]),
    "  }",
  ];
}

function declareLocal(field: FieldModel): string[] {
  if (field.repeated) return [`  const ${field.local}: ${elementType(field, "")}[] = [];`];
  if (field.kind === "message") return declareSpan(field.local);
  if (field.presence) return [`  let ${field.local}: ${fieldType(field)};`];
  return [`  let ${field.local}: ${fieldType(field)} = ${defaultValue(field)};`];
}

/** Where a message lies; −1 = nowhere. */
function declareSpan(local: string): string[] {
  return [`  let ${local}Start = -1;`, `  let ${local}End = -1;`];
}

/** Singular scalars outside oneofs: a flag each tells whether one came twice. Of the others their value tells. */
export function trackedFields(message: MessageModel): FieldModel[] {
  return message.members.flatMap((member) =>
    member.kind === "field" && !member.field.repeated && member.field.kind !== "message" ? [member.field] : [],
  );
}

function emitCase(message: MessageModel, field: FieldModel, index: MessageIndex): string[] {
  const oneof = message.members.flatMap((m) =>
    m.kind === "oneof" && m.oneof.fields.includes(field) ? [m.oneof] : [],
  )[0];
  const body = oneof ? oneofCase(message, oneof, field) : fieldCase(message, field, index);
  return [
    ...caseLabel(field, wireType(field)),
    ...indent(body, "  "),
    "  break;",
    ...(isPackable(field) ? packedCase(field) : []),
    ...closeCase(field),
  ];
}

export function caseLabel(field: FieldModel, wire: number): string[] {
  const tag = field.number * 8 + wire;
  // A block only where the case declares something.
  const block = declares(field) ? " {" : "";
  return [`case ${tag}:${block} // ${field.protoName} = ${field.number}`];
}

function closeCase(field: FieldModel): string[] {
  return declares(field) ? ["}"] : [];
}

function declares(field: FieldModel): boolean {
  return field.kind === "message" && field.repeated;
}

function fieldCase(message: MessageModel, field: FieldModel, index: MessageIndex): string[] {
  const { local } = field;
  if (isSingularMessage(field)) return [`if (${local}Start >= 0) twice = true;`, ...noteSpan(local)];
  if (field.kind === "message") {
    return [
      "const length = readLength(bytes, pos, end);",
      "pos = cursor;",
      `${local}.push(${readMessage(message, field, index, "pos, pos + length")});`,
      "pos += length;",
    ];
  }
  if (field.repeated) return [`${local}.push(${readScalar(field)});`, "pos = cursor;"];
  const flag = 1 << trackedFields(message).indexOf(field);
  return [...trackLines(flag), `${local} = ${readScalar(field)};`, "pos = cursor;"];
}

function noteSpan(local: string): string[] {
  return [`${local}End = readLength(bytes, pos, end);`, `${local}Start = cursor;`, `pos = ${local}End += cursor;`];
}

export function trackLines(flag: number): string[] {
  return [`repeated |= seen & ${flag};`, `seen |= ${flag};`];
}

function oneofCase(message: MessageModel, oneof: OneofModel, field: FieldModel): string[] {
  const { local } = oneof;
  if (field.kind !== "message") {
    return [
      `if (${local} !== undefined) noteNotCanonical();`,
      `${local} = { kind: "${field.property}", value: ${readScalar(field)} };`,
      "pos = cursor;",
    ];
  }
  return [
    `if (${local}Number !== 0) {`,
    "  twice = true;",
    // What another member held is forgotten, but must have been whole.
    `  if (${local}Number !== ${field.number}) ${readOneof(message, oneof)};`,
    "}",
    `${local}Number = ${field.number};`,
    ...noteSpan(local),
  ];
}

function readMessage(message: MessageModel, field: FieldModel, index: MessageIndex, span: string): string {
  const type = field.type && index.get(field.type.fullName);
  if (type === undefined) throw new Error(`${message.fullName}.${field.protoName}: unknown type`);
  const depth = !type.recursive ? "" : message.recursive ? ", depth + 1" : ", 1";
  return `read${type.name}(bytes, ${span}${depth})`;
}

export function readScalar(field: FieldModel, end = "end"): string {
  return `${readFunction(field)}(bytes, pos, ${end})${field.kind === "enum" ? ` as ${elementType(field, "")}` : ""}`;
}

function readFunction(field: FieldModel): string {
  switch (field.kind) {
    case "bool":
      return "readBool";
    case "string":
      return "readString";
    case "bytes":
      return "readBytes";
    case "uint32":
      return "readUint32";
    case "int64":
      return field.exact ? "readInt64" : "readInt64Number";
    case "uint64":
      return field.exact ? "readUint64" : "readUint64Number";
    case "enum":
      return "readInt32";
    case "message":
      throw new Error("not a scalar");
  }
}

function isPackable(field: FieldModel): boolean {
  return field.repeated && wireType(field) === 0;
}

/** Lists of numbers come packed or one by one, whatever the .proto says. */
function packedCase(field: FieldModel): string[] {
  return [
    `case ${field.number * 8 + 2}: {`,
    "  const length = readLength(bytes, pos, end);",
    "  pos = cursor;",
    "  const packedEnd = pos + length;",
    "  while (pos < packedEnd) {",
    `    ${field.local}.push(${readScalar(field, "packedEnd")});`,
    "    pos = cursor;",
    "  }",
    "  break;",
    "}",
  ];
}

function needsMerge(message: MessageModel): boolean {
  return message.members.some((member) =>
    member.kind === "oneof" ? holdsMessages(member.oneof) : isSingularMessage(member.field),
  );
}

/** Starts again on bytes in which what came twice has been merged. */
function restart(message: MessageModel): string {
  const merged = `mergeRepeated(bytes, start, end, ${rulesName(message)})`;
  return message.recursive ? `read${message.name}Merged(${merged}, depth)` : `read${message.name}Merged(${merged})`;
}

function rulesName(message: MessageModel): string {
  return `mergeRules${message.name}`;
}

function emitMergeRules(message: MessageModel): string[] {
  if (!needsMerge(message)) return [];
  let oneofs = 0;
  const rules = message.members.flatMap((member) => {
    if (member.kind === "oneof") {
      oneofs++;
      return holdsMessages(member.oneof) ? member.oneof.fields.map((field) => `[${field.number}, ${oneofs}]`) : [];
    }
    return isSingularMessage(member.field) ? [`[${member.field.number}, 0]`] : [];
  });
  const [parameter, argument] = message.recursive ? [", depth: number", ", depth"] : ["", ""];
  return [
    "",
    `const ${rulesName(message)}: readonly MergeRule[] = [${rules.join(", ")}];`,
    "",
    `function read${message.name}Merged(merged: Uint8Array${parameter}): ${message.name} {`,
    `  return read${message.name}(merged, 0, merged.length${argument});`,
    "}",
  ];
}
