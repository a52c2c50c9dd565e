/**
 * Hashes over the bucket `key`, by which members compare their data. Source: server/storage/mvcc/hash.go.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import type { Backend } from "../backend.js";
import type { Budget, Task } from "./budget.js";
import type { KeyIndex } from "./key-index.js";
import type { RangeRefusal, ReadBounds } from "./range.js";
import { recordKey } from "./record.js";
import { tombstoneKeySize, writeRevisionKey } from "./revision-key.js";

/** CRC-32C of `bytes`, continued from the finished value `crc` (0 to start). */
export type Crc32c = (crc: number, bytes: Uint8Array) => number;

export interface KeyValueHash {
  readonly hash: number;
  /** −1 on a store that was never compacted. */
  readonly compactRevision: number;
  readonly hashRevision: number;
}

const bucketName = Uint8Array.of(0x6b, 0x65, 0x79);

/** Hashes rows in revision order; which rows count is decided by the three arguments. */
export class KeyValueHasher {
  readonly #crc32c: Crc32c;
  readonly #compactRevision: number;
  readonly #revision: number;
  /** Whether a row at or below the compact revision counts; undefined = all do. */
  readonly #isKept: ((key: string, main: number, sub: number) => boolean) | undefined;
  readonly #keyBytes = new Uint8Array(tombstoneKeySize);
  #crc: number;

  constructor(
    crc32c: Crc32c,
    bounds: { readonly compactRevision: number; readonly revision: number },
    isKept: ((key: string, main: number, sub: number) => boolean) | undefined,
  ) {
    this.#crc32c = crc32c;
    this.#compactRevision = bounds.compactRevision;
    this.#revision = bounds.revision;
    this.#isKept = isKept;
    this.#crc = crc32c(0, bucketName);
  }

  write(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    if (main > this.#revision) return;
    if (main <= this.#compactRevision) {
      if (this.#isKept !== undefined && !this.#isKept(latin1FromBytes(recordKey(value)), main, sub)) return;
      if (main === this.#compactRevision && tombstone) return;
    }
    const length = writeRevisionKey(this.#keyBytes, main, sub, tombstone);
    this.#crc = this.#crc32c(
      this.#crc,
      length === tombstoneKeySize ? this.#keyBytes : this.#keyBytes.subarray(0, length),
    );
    this.#crc = this.#crc32c(this.#crc, value);
  }

  get hash(): number {
    return this.#crc;
  }
}

/** Rows handed to the visitor before a slice may end. */
const bytesPerUnit = 256;

/** The hash of the store at `revision` (0 = current), in slices. The bounds must hold until it ends (a pin). */
export function* hashTask(
  backend: Backend,
  index: KeyIndex,
  bounds: ReadBounds,
  revision: number,
  crc32c: Crc32c,
  budget: Budget,
): Task<KeyValueHash | RangeRefusal> {
  const { compactRevision } = bounds;
  if (revision > 0 && revision < compactRevision) return "compacted";
  if (revision > bounds.currentRevision) return "futureRev";
  const hashRevision = revision === 0 ? bounds.currentRevision : revision;
  // etcd hashes everything when nothing would be kept.
  const kept = yield* index.countTask("", undefined, hashRevision, budget);
  const isKept = (key: string, main: number, sub: number): boolean => {
    const slot = index.slotOf(key);
    return slot >= 0 && index.isKept(slot, main, sub, hashRevision);
  };
  const hasher = new KeyValueHasher(crc32c, { compactRevision, revision: hashRevision }, kept > 0 ? isKept : undefined);
  let next: { main: number; sub: number } | undefined = { main: 0, sub: 0 };
  while (next !== undefined) {
    const from: { main: number; sub: number } = next;
    next = undefined;
    backend.scanRecords(from.main, from.sub, hashRevision + 1, (main, sub, tombstone, value) => {
      hasher.write(main, sub, tombstone, value);
      budget.left -= 1 + value.length / bytesPerUnit;
      if (!budget.spent) return true;
      next = { main, sub: sub + 1 };
      return false;
    });
    if (next !== undefined) yield;
  }
  return { hash: hasher.hash, compactRevision, hashRevision };
}

/** Cached hashes at most. */
const cachedHashesMax = 10;

/** The hashes computed while compacting: those of the highest revisions. They survive a change of the database. */
export class HashCache {
  readonly #hashes: KeyValueHash[] = [];

  add(hash: KeyValueHash): void {
    this.#hashes.push(hash);
    this.#hashes.sort((left, right) => left.hashRevision - right.hashRevision);
    if (this.#hashes.length > cachedHashesMax) this.#hashes.shift();
  }

  at(revision: number): KeyValueHash | undefined {
    return this.#hashes.find((hash) => hash.hashRevision === revision);
  }

  /** Newest first. */
  list(): readonly KeyValueHash[] {
    return [...this.#hashes].reverse();
  }
}
