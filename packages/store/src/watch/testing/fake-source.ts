/**
 * A store for the tests of the watch hub: every version of every key in plain maps, compacted as etcd compacts.
 */

import { bytesFromLatin1 } from "@etcd-ts/api";
import type { RecordVisitor } from "../../backend.js";
import { encodeChunk, encodeTombstone, recordOfChunk } from "../../mvcc/record.js";
import type { Change, WatchSource } from "../source.js";

/** A put, or a deletion for value undefined. */
export interface Write {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Version {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
}

export class FakeSource implements WatchSource {
  #current = 1;
  #compacted = -1;
  /** All rows, ascending. */
  rows: Version[] = [];
  /** Every row there ever was, compacted or not: what a perfect watcher sees. */
  history: Version[] = [];
  /** How many rows scans have visited. */
  rowsRead = 0;

  currentRevision(): number {
    return this.#current;
  }

  compactRevision(): number {
    return this.#compacted;
  }

  /**
   * One transaction; returns what the hub is told. Deletions of absent keys are left out; nothing left = no revision.
   */
  write(writes: readonly Write[]): { revision: number; changes: Change[] } {
    const main = this.#current + 1;
    const changes: Change[] = [];
    for (const { key, value } of writes) {
      const last = this.#latest(key);
      const isLive = last !== undefined && last.value !== undefined;
      if (value === undefined && !isLive) continue;
      const createRevision = value === undefined ? 0 : isLive ? last.createRevision : main;
      const version = value === undefined ? 0 : isLive ? last.version + 1 : 1;
      const row: Version = { main, sub: changes.length, key, value, createRevision, version };
      this.rows.push(row);
      this.history.push(row);
      changes.push({ key, sub: row.sub, tombstone: value === undefined, createRevision, record: chunkOf(row) });
    }
    if (changes.length > 0) this.#current = main;
    return { revision: this.#current, changes };
  }

  /** Forgets what nobody can see at `revision` or later; everything exactly at it stays. */
  compact(revision: number): void {
    this.#compacted = revision;
    const kept = new Map<string, Version>();
    for (const row of this.rows) if (row.main <= revision) kept.set(row.key, row);
    this.rows = this.rows.filter(
      (row) => row.main >= revision || (row.value !== undefined && kept.get(row.key) === row),
    );
  }

  changedSince(lo: string, hi: string | undefined, revision: number): boolean {
    return this.rows.some(({ key, main }) => main >= revision && key >= lo && (hi === undefined || key < hi));
  }

  scanRecords(loMain: number, loSub: number, hiMainExclusive: number, visit: RecordVisitor): void {
    for (const row of this.rows) {
      if (row.main < loMain || (row.main === loMain && row.sub < loSub)) continue;
      if (row.main >= hiMainExclusive) return;
      this.rowsRead++;
      const isTombstone = row.value === undefined;
      const bytes = isTombstone ? encodeTombstone(row.key) : recordOfChunk(chunkOf(row));
      const goesOn = visit(row.main, row.sub, isTombstone, bytes);
      // The view is valid during the call only.
      bytes.fill(0xee);
      if (!goesOn) return;
    }
  }

  recordAt(key: string, revision: number): Uint8Array | undefined {
    const row = this.rows.findLast((each) => each.key === key && each.main <= revision);
    return row === undefined || row.value === undefined ? undefined : recordOfChunk(chunkOf(row));
  }

  #latest(key: string): Version | undefined {
    return this.rows.findLast((row) => row.key === key);
  }
}

function chunkOf(row: Version): Uint8Array {
  const meta = {
    createRevision: row.createRevision,
    modRevision: row.main,
    version: row.version,
    lease: 0n,
  };
  return encodeChunk(row.key, bytesFromLatin1(row.value ?? ""), meta);
}
