/**
 * Building the index from the database, at boot and after a snapshot replaced it. Source: mvcc/kvstore.go `restore`.
 * Rows are read in order into a map, keys are sorted once; a million keys one by one would take three times as long.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { Backend } from "../backend.js";
import type { Budget, Task } from "./budget.js";
import { finishedCompactKey, scheduledCompactKey } from "./compactor.js";
import type { KeyIndex } from "./key-index.js";
import { decodeRecord } from "./record.js";
import { decodeRevisionKey } from "./revision-key.js";

export interface Restored {
  readonly index: KeyIndex;
  readonly currentRevision: number;
  /** −1 when the store was never compacted. */
  readonly compactRevision: number;
  /** The compaction that was accepted but not finished, if any. */
  readonly unfinishedCompactRevision: number | undefined;
  /** Key → lease of every live key that has one. */
  readonly leases: ReadonlyMap<string, bigint>;
}

/** What a row costs: it is read from the database, and its key goes into the index. */
const rowUnits = 4;

/** Reads everything into `index`, which is empty. */
export function* restoreTask(backend: Backend, index: KeyIndex, budget: Budget): Task<Restored> {
  const leases = new Map<string, bigint>();
  const compactRevision = storedRevision(backend, finishedCompactKey) ?? -1;
  const scheduledRevision = storedRevision(backend, scheduledCompactKey) ?? 0;
  let currentRevision = Math.max(1, compactRevision, scheduledRevision);
  let next: { main: number; sub: number } | undefined = { main: 1, sub: 0 };
  while (next !== undefined) {
    const from: { main: number; sub: number } = next;
    next = undefined;
    backend.scanRecords(from.main, from.sub, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      restoreRow(index, leases, main, sub, tombstone, value);
      currentRevision = Math.max(currentRevision, main);
      budget.left -= rowUnits;
      if (!budget.spent) return true;
      next = { main, sub: sub + 1 };
      return false;
    });
    if (next !== undefined) yield;
  }
  yield* index.finishRestore(budget);
  const unfinishedCompactRevision = scheduledRevision > Math.max(compactRevision, 0) ? scheduledRevision : undefined;
  return { index, currentRevision, compactRevision, unfinishedCompactRevision, leases };
}

function restoreRow(
  index: KeyIndex,
  leases: Map<string, bigint>,
  main: number,
  sub: number,
  tombstone: boolean,
  value: Uint8Array,
): void {
  const record = decodeRecord(value);
  const key = latin1FromBytes(record.key);
  index.restore(key, main, sub, tombstone, record.createRevision, record.version);
  if (!tombstone && record.lease !== 0n) leases.set(key, record.lease);
  else leases.delete(key);
}

/** The main revision a row of `meta` holds. */
export function storedRevision(backend: Backend, key: Uint8Array): number | undefined {
  const bytes = backend.get("meta", key);
  return bytes === undefined ? undefined : decodeRevisionKey(bytes).main;
}
