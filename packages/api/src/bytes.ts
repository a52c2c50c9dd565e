/** Byte arrays: comparison, and the latin1 strings that stand for keys inside the store. */

/** Below, at or above zero as `a` sorts before, with or after `b`: byte order, a prefix first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** All parts in one new array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Longest run handed to String.fromCharCode at once: below every engine's limit of arguments. */
const chunkSize = 8192;

/** Up to this length pieces of 16 characters, appended, beat a view and `apply`: at 16 bytes by four times. */
const piecewiseMax = 4096;

/**
 * One character for each byte of bytes[start, end), so that `<` on strings is byte order. Keys may have megabytes:
 * long ones are converted in chunks.
 */
export function latin1FromBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (end - start <= piecewiseMax) return piecewiseLatin1(bytes, start, end);
  let text = "";
  for (let from = start; from < end; from += chunkSize) {
    const chunk = bytes.subarray(from, Math.min(end, from + chunkSize));
    // `apply` takes any array-like object; its declaration asks for an array.
    text += String.fromCharCode.apply(null, chunk as unknown as number[]);
  }
  return text;
}

function piecewiseLatin1(b: Uint8Array, start: number, end: number): string {
  let text = "";
  let i = start;
  for (; i + 16 <= end; i += 16) {
    // biome-ignore format: four bytes a line
    text += String.fromCharCode(
      b[i] as number, b[i + 1] as number, b[i + 2] as number, b[i + 3] as number,
      b[i + 4] as number, b[i + 5] as number, b[i + 6] as number, b[i + 7] as number,
      b[i + 8] as number, b[i + 9] as number, b[i + 10] as number, b[i + 11] as number,
      b[i + 12] as number, b[i + 13] as number, b[i + 14] as number, b[i + 15] as number,
    );
  }
  if (i + 8 <= end) {
    // biome-ignore format: four bytes a line
    text += String.fromCharCode(
      b[i] as number, b[i + 1] as number, b[i + 2] as number, b[i + 3] as number,
      b[i + 4] as number, b[i + 5] as number, b[i + 6] as number, b[i + 7] as number,
    );
    i += 8;
  }
  if (i + 4 <= end) {
    // biome-ignore format: four bytes a line
    text += String.fromCharCode(
      b[i] as number, b[i + 1] as number, b[i + 2] as number, b[i + 3] as number,
    );
    i += 4;
  }
  for (; i < end; i++) text += String.fromCharCode(b[i] as number);
  return text;
}

/** Writes the bytes a latin1 string stands for; returns the offset after them. */
export function writeLatin1(target: Uint8Array, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i);
  return offset + text.length;
}

export function bytesFromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeLatin1(bytes, 0, text);
  return bytes;
}
