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

/**
 * One character for each byte of bytes[start, end), so that `<` on strings is byte order. Keys may have megabytes:
 * long ones are converted in chunks.
 */
export function latin1FromBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (end - start <= shortMax) return shortLatin1(bytes, start, end);
  let text = "";
  for (let from = start; from < end; from += chunkSize) {
    const chunk = bytes.subarray(from, Math.min(end, from + chunkSize));
    // `apply` takes any array-like object; its declaration asks for an array.
    text += String.fromCharCode.apply(null, chunk as unknown as number[]);
  }
  return text;
}

/** Up to this length single characters, appended, beat a view and `apply`. */
const shortMax = 32;

function shortLatin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number);
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
