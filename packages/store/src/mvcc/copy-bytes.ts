/** Copying short runs of bytes, which is most of what encoding a record does. */

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
