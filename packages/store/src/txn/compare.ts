/**
 * The comparisons of a transaction. Source: server/etcdserver/txn/txn.go `applyCompare`.
 */

import { compareBytes, isSingleKey, latin1FromBytes } from "@etcd-ts/api";
import { type Compare, Compare_CompareResult, Compare_CompareTarget } from "@etcd-ts/api/etcdserverpb";
import type { Budget, Task } from "../mvcc/budget.js";
import type { Located } from "../mvcc/key-index.js";
import { intervalOf } from "../mvcc/range.js";
import type { ReadView } from "../mvcc/read-view.js";
import { decodeRecord } from "../mvcc/record.js";

const noBytes = new Uint8Array(0);

/** Whether every live key of the comparison's range satisfies it; a range without keys is compared as zeros. */
export function* compareTask(view: ReadView, compare: Compare, budget: Budget): Task<boolean> {
  if (isSingleKey(compare.rangeEnd)) return compareKey(view, compare);
  const interval = intervalOf(compare.key, compare.rangeEnd);
  let found = false;
  let holdsForAll = true;
  yield* view.visitTask(interval, budget, (_key, at) => {
    found = true;
    holdsForAll = holds(compare, signOf(view, compare, at));
    return holdsForAll;
  });
  return found ? holdsForAll : holdsWithoutKey(compare);
}

/** The comparison of a single key. */
export function compareKey(view: ReadView, compare: Compare): boolean {
  const at = view.locate(latin1FromBytes(compare.key));
  return at === undefined ? holdsWithoutKey(compare) : holds(compare, signOf(view, compare, at));
}

/** There is no value to compare with, so a comparison of values fails, whatever it asks. */
function holdsWithoutKey(compare: Compare): boolean {
  if (compare.target === Compare_CompareTarget.VALUE) return false;
  return holds(compare, signWith(compare, { version: 0, created: 0, main: 0 }, 0n));
}

function holds(compare: Compare, sign: number): boolean {
  switch (compare.result) {
    case Compare_CompareResult.EQUAL:
      return sign === 0;
    case Compare_CompareResult.GREATER:
      return sign > 0;
    case Compare_CompareResult.LESS:
      return sign < 0;
    case Compare_CompareResult.NOT_EQUAL:
      return sign !== 0;
    default:
      // A number this version does not know: etcd lets it pass.
      return true;
  }
}

/** The stored field compared with the operand: negative, zero or positive. */
function signOf(view: ReadView, compare: Compare, at: Located): number {
  if (compare.target === Compare_CompareTarget.VALUE) {
    const operand = compare.targetUnion?.kind === "value" ? compare.targetUnion.value : noBytes;
    return compareBytes(decodeRecord(view.record(at)).value, operand);
  }
  const lease = compare.target === Compare_CompareTarget.LEASE ? decodeRecord(view.record(at)).lease : 0n;
  return signWith(compare, at, lease);
}

/** An operand of another target than the compared one counts as zero. */
function signWith(compare: Compare, at: Pick<Located, "version" | "created" | "main">, lease: bigint): number {
  const operand = compare.targetUnion;
  switch (compare.target) {
    case Compare_CompareTarget.VERSION:
      return at.version - (operand?.kind === "version" ? operand.value : 0);
    case Compare_CompareTarget.CREATE:
      return at.created - (operand?.kind === "createRevision" ? operand.value : 0);
    case Compare_CompareTarget.MOD:
      return at.main - (operand?.kind === "modRevision" ? operand.value : 0);
    case Compare_CompareTarget.LEASE: {
      const wanted = operand?.kind === "lease" ? operand.value : 0n;
      return lease < wanted ? -1 : lease > wanted ? 1 : 0;
    }
    default:
      return 0;
  }
}
