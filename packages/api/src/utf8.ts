/**
 * UTF-8 without TextEncoder and TextDecoder, which the pure zone does not have. Strict when reading, as protobuf asks;
 * when writing, a lone surrogate becomes U+FFFD, as TextEncoder would have it.
 *
 * Source: Unicode 15, table 3-7 (well-formed UTF-8 byte sequences).
 */

import { latin1FromBytes } from "./bytes.js";

/** Longest run handed to String.fromCharCode at once: below every engine's limit of arguments. */
const chunkSize = 4096;

/** The text of bytes[from, to), or undefined when it is not well-formed UTF-8. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
  // Names, tokens and URLs are ASCII.
  let pos = from;
  while (pos < to && (bytes[pos] as number) < 0x80) pos++;
  let text = latin1FromBytes(bytes, from, pos);
  if (pos === to) return text;
  const units: number[] = [];
  while (pos < to) {
    const first = bytes[pos++] as number;
    if (first < 0x80) units.push(first);
    else if (first < 0xe0) {
      if (first < 0xc2 || pos >= to) return undefined;
      const second = bytes[pos++] as number;
      if ((second & 0xc0) !== 0x80) return undefined;
      units.push(((first & 0x1f) << 6) | (second & 0x3f));
    } else if (first < 0xf0) {
      if (to - pos < 2) return undefined;
      const second = bytes[pos++] as number;
      const third = bytes[pos++] as number;
      if ((second & 0xc0) !== 0x80 || (third & 0xc0) !== 0x80) return undefined;
      const point = ((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
      if (point < 0x800 || (point >= 0xd800 && point <= 0xdfff)) return undefined;
      units.push(point);
    } else {
      if (first > 0xf4 || to - pos < 3) return undefined;
      const second = bytes[pos++] as number;
      const third = bytes[pos++] as number;
      const fourth = bytes[pos++] as number;
      if ((second & 0xc0) !== 0x80 || (third & 0xc0) !== 0x80 || (fourth & 0xc0) !== 0x80) return undefined;
      const point = ((first & 0x07) << 18) | ((second & 0x3f) << 12) | ((third & 0x3f) << 6) | (fourth & 0x3f);
      if (point < 0x1_0000 || point > 0x10_ffff) return undefined;
      units.push(0xd7c0 + (point >> 10), 0xdc00 | (point & 0x3ff));
    }
    if (units.length >= chunkSize) {
      text += String.fromCharCode.apply(null, units);
      units.length = 0;
    }
  }
  return text + String.fromCharCode.apply(null, units);
}

/** Bytes that `writeUtf8` will write. */
export function sizeUtf8(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) size += 1;
    // The two units of a surrogate pair make four bytes: two each. A lone one makes three.
    else if (unit >= 0xd800 && unit <= 0xdfff && isPairAt(text, i)) {
      size += 2;
      i++;
    } else size += 2;
  }
  return size;
}

/** Writes the text at `offset`; returns the offset after it. */
export function writeUtf8(target: Uint8Array, offset: number, text: string): number {
  let at = offset;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) target[at++] = unit;
    else if (unit < 0x800) {
      target[at++] = 0xc0 | (unit >> 6);
      target[at++] = 0x80 | (unit & 0x3f);
    } else if (unit >= 0xd800 && unit <= 0xdfff && isPairAt(text, i)) {
      const point = 0x1_0000 + ((unit & 0x3ff) << 10) + (text.charCodeAt(++i) & 0x3ff);
      target[at++] = 0xf0 | (point >> 18);
      target[at++] = 0x80 | ((point >> 12) & 0x3f);
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
      target[at++] = 0x80 | (point & 0x3f);
    } else {
      const point = unit >= 0xd800 && unit <= 0xdfff ? 0xfffd : unit;
      target[at++] = 0xe0 | (point >> 12);
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
      target[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at;
}

function isPairAt(text: string, index: number): boolean {
  if (text.charCodeAt(index) > 0xdbff) return false;
  const next = text.charCodeAt(index + 1); // NaN at the end of the text
  return next >= 0xdc00 && next <= 0xdfff;
}

/** UTF-8 of a text in an array of its own. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(sizeUtf8(text));
  writeUtf8(bytes, 0, text);
  return bytes;
}
