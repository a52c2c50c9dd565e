/** Index of the first of the ascending keys that is ≥ `key`. */
export function lowerBound(keys: readonly string[], key: string): number {
  let lo = 0;
  let hi = keys.length;
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if ((keys[middle] as string) < key) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
