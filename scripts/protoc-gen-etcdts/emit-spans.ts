/**
 * Decoders for hot paths: they fill an object the caller keeps, and say of byte fields where they lie instead of
 * making views, which cost more than all the rest of the decoding.
 */

import { emitLoop, readScalar, trackedFields, trackLines } from "./emit-decoder.js";
import { indent } from "./lines.js";
import { type FieldModel, fieldsOf, type MessageModel } from "./model.js";
import { defaultValue, elementType, wireType } from "./types.js";

export function emitSpans(message: MessageModel): string[] {
  const { name } = message;
  const fields = fieldsOf(message);
  if (fields.some((f) => f.repeated || f.kind === "message" || f.kind === "string")) {
    throw new Error(`${message.fullName}: spans are for messages of bytes and numbers`);
  }
  const classLines = fields.flatMap((field) => {
    if (field.kind !== "bytes") return [`  ${field.property}: ${elementType(field, "")} = ${defaultValue(field)};`];
    return [`  ${field.property}Start: number = 0;`, `  ${field.property}End: number = 0;`];
  });
  const optional = fields.some((field) => field.presence) ? " Start and end are −1 where a field is absent." : "";
  return [
    `/** Fields of a ${name}; byte fields as positions in the bytes it was read from.${optional} */`,
    `export class ${name}Spans {`,
    ...classLines,
    "}",
    "",
    `/** Reads a message into \`into\`, all of whose fields are set. Throws DecodeError; \`into\` is then undefined. */`,
    `export function scan${name}(bytes: Uint8Array, start: number, end: number, into: ${name}Spans): void {`,
    "  beginMessage(bytes, start, end);",
    ...fields.flatMap((field) =>
      field.kind === "bytes"
        ? [
            `  let ${field.property}Start = ${field.presence ? -1 : 0};`,
            `  let ${field.property}End = ${field.presence ? -1 : 0};`,
          ]
        : [`  let ${field.property}: ${elementType(field, "")} = ${defaultValue(field)};`],
    ),
    "  let seen = 0;",
    "  let repeated = 0;",
    ...emitLoop(fields.flatMap((field) => spanCase(message, field))),
    "  if (repeated !== 0) noteNotCanonical();",
    ...fields.flatMap((field) =>
      field.kind === "bytes"
        ? [
            `  into.${field.property}Start = ${field.property}Start;`,
            `  into.${field.property}End = ${field.property}End;`,
          ]
        : [`  into.${field.property} = ${field.property};`],
    ),
    "}",
  ];
}

function spanCase(message: MessageModel, field: FieldModel): string[] {
  const { property } = field;
  const body =
    field.kind === "bytes"
      ? [
          `${property}End = readLength(bytes, pos, end);`,
          `${property}Start = cursor;`,
          `pos = ${property}End += cursor;`,
        ]
      : [`${property} = ${readScalar(field)};`, "pos = cursor;"];
  return [
    `case ${field.number * 8 + wireType(field)}: // ${field.protoName} = ${field.number}`,
    ...indent([...trackLines(1 << trackedFields(message).indexOf(field)), ...body, "break;"], "  "),
  ];
}
