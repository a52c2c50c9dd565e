/**
 * How work is cut into slices. A task is a generator that yields whenever its budget is spent; who drives it refills
 * the budget, or goes away and comes back later. One unit is about one key touched: 0.2 to 2 µs.
 */

export class Budget {
  /** Units left in this slice. A task may overdraw it by one step. */
  left: number;

  constructor(units: number) {
    this.left = units;
  }

  get spent(): boolean {
    return this.left <= 0;
  }
}

/** A task in slices; the value it returns is its result. */
export type Task<Result> = Generator<undefined, Result, undefined>;

/** Runs a task to its end at once; it must have been made with an unlimited budget, so that it never yields. */
export function runToEnd<Result>(task: Task<Result>): Result {
  for (;;) {
    const step = task.next();
    if (step.done === true) return step.value;
  }
}

/** How many elements are sorted in one uninterruptible piece: about 2 ms of strings. */
const sortRunLength = 4096;

/** The order of keys: latin1 strings compare as their bytes. For `sortTask`. */
export function compareKeys(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Sorts `items` stably into a new array, in slices. `compare` as for `Array.prototype.sort`. */
export function* sortTask<Item>(
  items: readonly Item[],
  compare: (left: Item, right: Item) => number,
  budget: Budget,
): Task<Item[]> {
  let runs: Item[][] = [];
  for (let lo = 0; lo < items.length; lo += sortRunLength) {
    const run = items.slice(lo, lo + sortRunLength);
    run.sort(compare);
    runs.push(run);
    budget.left -= run.length;
    if (budget.spent) yield;
  }
  while (runs.length > 1) {
    const merged: Item[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      const left = runs[index] as Item[];
      const right = runs[index + 1];
      merged.push(right === undefined ? left : yield* mergeTask(left, right, compare, budget));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeTask<Item>(
  left: readonly Item[],
  right: readonly Item[],
  compare: (left: Item, right: Item) => number,
  budget: Budget,
): Task<Item[]> {
  const merged: Item[] = [];
  let leftAt = 0;
  let rightAt = 0;
  while (leftAt < left.length || rightAt < right.length) {
    const pieceEnd = merged.length + sortRunLength;
    while (merged.length < pieceEnd && leftAt < left.length && rightAt < right.length) {
      const leftItem = left[leftAt] as Item;
      const rightItem = right[rightAt] as Item;
      if (compare(leftItem, rightItem) <= 0) {
        merged.push(leftItem);
        leftAt++;
      } else {
        merged.push(rightItem);
        rightAt++;
      }
    }
    if (rightAt === right.length)
      while (merged.length < pieceEnd && leftAt < left.length) merged.push(left[leftAt++] as Item);
    if (leftAt === left.length)
      while (merged.length < pieceEnd && rightAt < right.length) merged.push(right[rightAt++] as Item);
    budget.left -= sortRunLength / 4;
    if (budget.spent) yield;
  }
  return merged;
}
