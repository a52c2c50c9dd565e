/**
 * Keys as strings: one character per byte (latin1). Their `<` is byte order, they hash fast, and the collector does not
 * have to follow a buffer per key. At every border keys are bytes; these functions are the only crossing.
 */

/** How many arguments one `fromCharCode` call is given; far below the engine's limit for a call. */
const charactersPerCall = 8192;

/** The latin1 string of `bytes`. The string owns its characters. */
export function keyOf(bytes: Uint8Array): string {
  if (bytes.length <= charactersPerCall) return Reflect.apply(String.fromCharCode, undefined, bytes) as string;
  let key = "";
  for (let lo = 0; lo < bytes.length; lo += charactersPerCall) {
    key += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(lo, lo + charactersPerCall)) as string;
  }
  return key;
}

/** Writes the bytes of `key` at `offset`; returns the offset after them. */
export function writeKey(key: string, target: Uint8Array, offset: number): number {
  const length = key.length;
  for (let index = 0; index < length; index++) target[offset + index] = key.charCodeAt(index);
  return offset + length;
}

/** The bytes of `key`, newly allocated. */
export function keyBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  writeKey(key, bytes, 0);
  return bytes;
}

/** The first key after `key` in byte order. */
export function keyAfter(key: string): string {
  return `${key}\0`;
}

/** From this length on `set` beats a loop. */
const copyLoopBytesMax = 24;

/** Copies source[lo, hi) to `offset`; returns the offset after it. */
export function copyBytes(source: Uint8Array, lo: number, hi: number, target: Uint8Array, offset: number): number {
  const length = hi - lo;
  if (length <= copyLoopBytesMax) {
    for (let index = 0; index < length; index++) target[offset + index] = source[lo + index] as number;
  } else if (lo === 0 && hi === source.length) {
    target.set(source, offset);
  } else {
    target.set(source.subarray(lo, hi), offset);
  }
  return offset + length;
}

/** Byte order of two byte strings: negative, zero or positive. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
