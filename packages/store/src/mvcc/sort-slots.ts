/**
 * The order of the keys of a restored index, as numbers: looking up each sorted key's slot in a map of a million would
 * take as long as sorting them.
 */

import type { Budget, Task } from "./budget.js";

/** How many are sorted or merged in one uninterruptible piece: about 2 ms. */
const runLength = 4096;

/** The indexes of `keys`, which differ from each other, in the order of the keys; in slices. */
export function* sortSlots(keys: readonly string[], budget: Budget): Task<Uint32Array> {
  const count = keys.length;
  let sorted = new Uint32Array(count);
  for (let lo = 0; lo < count; lo += runLength) {
    const hi = Math.min(count, lo + runLength);
    const run = Array.from({ length: hi - lo }, (_, i) => lo + i);
    run.sort((left, right) => ((keys[left] as string) < (keys[right] as string) ? -1 : 1));
    sorted.set(run, lo);
    budget.left -= run.length;
    if (budget.spent) yield;
  }
  let merged = new Uint32Array(count);
  for (let length = runLength; length < count; length *= 2) {
    for (let lo = 0; lo < count; lo += 2 * length) {
      const middle = Math.min(count, lo + length);
      yield* merge(keys, { from: sorted, to: merged, lo, middle, hi: Math.min(count, middle + length) }, budget);
    }
    [sorted, merged] = [merged, sorted];
  }
  return sorted;
}

interface Merge {
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** Sorted are [lo, middle) and [middle, hi) of `from`, in the end [lo, hi) of `to`. */
  readonly lo: number;
  readonly middle: number;
  readonly hi: number;
}

function* merge(keys: readonly string[], { from, to, lo, middle, hi }: Merge, budget: Budget): Task<void> {
  let left = lo;
  let right = middle;
  let at = lo;
  while (left < middle && right < hi) {
    const end = Math.min(hi, at + runLength);
    let leftKey = keys[from[left] as number] as string;
    let rightKey = keys[from[right] as number] as string;
    while (at < end && left < middle && right < hi) {
      if (leftKey < rightKey) {
        to[at++] = from[left++] as number;
        // Behind the end there is some other key, or none: it is not looked at.
        leftKey = keys[from[left] as number] as string;
      } else {
        to[at++] = from[right++] as number;
        rightKey = keys[from[right] as number] as string;
      }
    }
    budget.left -= runLength / 4;
    if (budget.spent) yield;
  }
  to.set(from.subarray(left, middle), at);
  to.set(from.subarray(right, hi), at + middle - left);
}
