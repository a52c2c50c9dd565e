/** The port through which Raft reads what the application has made durable. */

import type { ConfState, Entry, HardState, Snapshot } from "./types.js";

/**
 * Why a storage cannot answer. `compacted`: the index lies below the first one kept. `unavailable`: it lies above the
 * last one. `snapshot-out-of-date`: a newer snapshot exists. `snapshot-temporarily-unavailable`: ask again later.
 */
export type StorageRefusal = "compacted" | "unavailable" | "snapshot-out-of-date" | "snapshot-temporarily-unavailable";

/** The texts of `StorageRefusal`. Source: etcd-io/raft storage.go. */
export const storageRefusalText: Readonly<Record<StorageRefusal, string>> = {
  compacted: "requested index is unavailable due to compaction",
  unavailable: "requested entry at index is unavailable",
  "snapshot-out-of-date": "requested index is older than the existing snapshot",
  "snapshot-temporarily-unavailable": "snapshot is temporarily unavailable",
};

/**
 * A node's durable log, hard state and snapshot. Raft only reads; the application writes, in the order of `Ready` or of
 * the messages to the append thread. Reads are synchronous and must be fast: keep recent entries in memory.
 */
export interface Storage {
  /** What was persisted before the last start. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Entries in [lo, hi), as many from the front as fit into `maxSize` encoded bytes (`entrySize`), at least one. The
   * array belongs to the caller, the entries are shared.
   */
  entries(lo: number, hi: number, maxSize: number): Entry[] | StorageRefusal;
  /** Term of entry `index`, for `index` in [firstIndex − 1, lastIndex]. */
  term(index: number): number | StorageRefusal;
  /** Index of the last entry, or of the snapshot when there is none. */
  lastIndex(): number;
  /** Index of the first entry that `entries` can return; one above the last compacted. */
  firstIndex(): number;
  /**
   * A snapshot to send to a follower that needs what was compacted. Its configuration must have that follower in it: a
   * snapshot from before the follower joined is refused by it, and asked for again and again.
   */
  snapshot(): Snapshot | StorageRefusal;
}
