/**
 * UTF-8 for the small texts of membership: the pure zone has no TextEncoder. What is not UTF-8, and unpaired surrogates,
 * become U+FFFD, as in Go.
 */

export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = scalar(character.codePointAt(0) ?? replacement);
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), tail(point));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), tail(point >> 6), tail(point));
    else bytes.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point));
  }
  return Uint8Array.from(bytes);
}

export function decodeUtf8(bytes: Uint8Array): string {
  let text = "";
  let position = 0;
  while (position < bytes.length) {
    const lead = bytes[position] ?? 0;
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    const point = size === 0 ? undefined : decodePoint(bytes, position, size);
    text += String.fromCodePoint(point ?? replacement);
    position += point === undefined ? 1 : size;
  }
  return text;
}

const replacement = 0xfffd;

function scalar(point: number): number {
  return point >= 0xd800 && point < 0xe000 ? replacement : point;
}

function tail(point: number): number {
  return 0x80 | (point & 0x3f);
}

/** Undefined when the bytes are no well-formed sequence of this size. */
function decodePoint(bytes: Uint8Array, position: number, size: number): number | undefined {
  const lead = bytes[position] ?? 0;
  if (size === 1) return lead;
  let point = lead & (0x7f >> size);
  for (let offset = 1; offset < size; offset++) {
    const byte = bytes[position + offset];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return undefined;
    point = (point << 6) | (byte & 0x3f);
  }
  const smallest = size === 2 ? 0x80 : size === 3 ? 0x800 : 0x10000;
  if (point < smallest || point > 0x10ffff || scalar(point) !== point) return undefined;
  return point;
}
