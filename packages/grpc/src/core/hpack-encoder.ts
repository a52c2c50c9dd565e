/**
 * Writes header blocks that never touch the peer's dynamic table, so that a block can be encoded once and sent on any
 * connection. Source: RFC 7541 §6.
 */
import { type HeaderField, staticTable } from "./hpack-table.js";
import { writeLatin1 } from "./text.js";

const indexOfField: Map<string, number> = new Map();
const indexOfName: Map<string, number> = new Map();
staticTable.forEach((field, index) => {
  if (index === 0) return;
  indexOfField.set(`${field.name}\0${field.value}`, index);
  if (!indexOfName.has(field.name)) indexOfName.set(field.name, index);
});

/** First byte of a block that tells a decoder with a smaller table that we use none. Source: RFC 7541 §4.2, §6.3. */
export const dynamicTableOff = 0x20;

/** Encodes fields (latin1 strings, lower-case names). The result belongs to the caller. */
export function encodeHeaderBlock(fields: readonly HeaderField[]): Uint8Array {
  let bound = 0;
  for (const field of fields) bound += field.name.length + field.value.length + 16;
  const block = new Uint8Array(bound);
  let at = 0;
  for (const { name, value } of fields) {
    const whole = indexOfField.get(`${name}\0${value}`);
    if (whole !== undefined) {
      at = writeInteger(block, at, 0x80, 7, whole);
      continue;
    }
    const named = indexOfName.get(name);
    at = writeInteger(block, at, 0x00, 4, named ?? 0);
    if (named === undefined) at = writeString(block, at, name);
    at = writeString(block, at, value);
  }
  return block.slice(0, at);
}

function writeString(target: Uint8Array, at: number, text: string): number {
  return writeLatin1(target, writeInteger(target, at, 0, 7, text.length), text);
}

/** Source: RFC 7541 §5.1. */
function writeInteger(target: Uint8Array, at: number, pattern: number, prefixBits: number, value: number): number {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) {
    target[at] = pattern | value;
    return at + 1;
  }
  target[at++] = pattern | limit;
  let rest = value - limit;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
