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

/** Characters made at once. One list for each length up to it takes 1 MB, if all of them occur. */
const pieceMax = 512;
/** By length: where the codes of a piece are laid. */
const codeLists: number[][] = [];

/**
 * One character for each byte of bytes[start, end), so that `<` on strings is byte order. Keys may have megabytes:
 * long ones are made of pieces.
 */
export function latin1FromBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (end - start <= pieceMax) return latin1Piece(bytes, start, end);
  let text = "";
  for (let from = start; from < end; from += pieceMax) text += latin1Piece(bytes, from, Math.min(end, from + pieceMax));
  return text;
}

/**
 * A list of the very length is what `apply` is quick with: a key of 20 to 60 bytes takes a third of the time that a
 * view, or characters appended a few at a time, take; what is appended must be joined besides when it is first looked
 * up or compared.
 */
function latin1Piece(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  codeLists[length] ??= Array.from({ length }, () => 0);
  const codes = codeLists[length];
  for (let at = 0; at < length; at++) codes[at] = bytes[start + at] as number;
  return String.fromCharCode.apply(null, codes);
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
