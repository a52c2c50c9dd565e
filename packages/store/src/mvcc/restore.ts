/**
 * Building the index from the database, at boot and after a snapshot replaced it. Source: mvcc/kvstore.go `restore`.
 * Rows are read in order into a map, keys are sorted once; a million keys one by one would take three times as long.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { Backend } from "../backend.js";
import type { Budget, Task } from "./budget.js";
import { finishedCompactKey, scheduledCompactKey } from "./compactor.js";
import { KeyIndex } from "./key-index.js";
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

/**
 * The index of a database while it is made from the rows, which come in their order: from the database itself, or while
 * one that is to replace it is written.
 */
export class RestoringIndex {
  readonly index: KeyIndex;
  readonly leases: Map<string, bigint> = new Map();
  #newestMain = 0;
  #isComplete = false;

  /** `index` is empty. */
  constructor(index: KeyIndex = new KeyIndex()) {
    this.index = index;
  }

  /** The main revision of the last row; 0 when there was none. */
  get newestMain(): number {
    return this.#newestMain;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Takes the next row. `value` is not kept. Throws when it is no record. */
  add(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    const record = decodeRecord(value);
    const key = latin1FromBytes(record.key);
    this.index.restore(key, main, sub, tombstone, record.createRevision, record.version);
    if (!tombstone && record.lease !== 0n) this.leases.set(key, record.lease);
    else this.leases.delete(key);
    this.#newestMain = main;
  }

  /** There are no more rows. Once. */
  *finishTask(budget: Budget): Task<true> {
    yield* this.index.finishRestore(budget);
    this.#isComplete = true;
    return true;
  }
}

/** Reads everything into `rows`, unless they are complete: then they are those of `backend`. */
export function* restoreTask(backend: Backend, rows: RestoringIndex, budget: Budget): Task<Restored> {
  if (!rows.isComplete) {
    yield* readRows(backend, rows, budget);
    yield* rows.finishTask(budget);
  }
  const compactRevision = storedRevision(backend, finishedCompactKey) ?? -1;
  const scheduledRevision = storedRevision(backend, scheduledCompactKey) ?? 0;
  const currentRevision = Math.max(1, compactRevision, scheduledRevision, rows.newestMain);
  const unfinishedCompactRevision = scheduledRevision > Math.max(compactRevision, 0) ? scheduledRevision : undefined;
  return { index: rows.index, currentRevision, compactRevision, unfinishedCompactRevision, leases: rows.leases };
}

function* readRows(backend: Backend, rows: RestoringIndex, budget: Budget): Task<void> {
  let next: { main: number; sub: number } | undefined = { main: 1, sub: 0 };
  while (next !== undefined) {
    const from: { main: number; sub: number } = next;
    next = undefined;
    backend.scanRecords(from.main, from.sub, Number.MAX_SAFE_INTEGER, (main, sub, tombstone, value) => {
      rows.add(main, sub, tombstone, value);
      budget.left -= rowUnits;
      if (!budget.spent) return true;
      next = { main, sub: sub + 1 };
      return false;
    });
    if (next !== undefined) yield;
  }
}

/** The main revision a row of `meta` holds. */
export function storedRevision(backend: Backend, key: Uint8Array): number | undefined {
  const bytes = backend.get("meta", key);
  return bytes === undefined ? undefined : decodeRevisionKey(bytes).main;
}
