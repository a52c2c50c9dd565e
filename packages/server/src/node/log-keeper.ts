/**
 * Keeps the log short: every `snapshotCount` applied entries it asks the backend to commit, and once the database
 * durably holds that index it marks it in the WAL, releases the segments before it, purges what is beyond `maxWals`,
 * and cuts the log in memory down to what slow followers may still need.
 *
 * Nothing above the durable applied index is ever released: after a crash the log must reach back to the database.
 *
 * Source: etcd server/etcdserver/server.go snapshotIfNeededAndCompactRaftLog, server/etcdserver/raft.go.
 */

import { type ConfState, type MemoryStorage, noLimit, type SnapshotMetadata } from "@etcd-ts/raft";
import type { Clock, Logger, Timer } from "../env.js";

export interface KeptLog {
  saveSnapshot(mark: SnapshotMetadata): Promise<void>;
  releaseTo(index: number): Promise<void>;
  purge(segmentsMax: number): Promise<number>;
}

export interface LogKeeperOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wal: KeptLog;
  readonly log: MemoryStorage;
  readonly snapshotCount: number;
  readonly catchupEntries: number;
  /** 0 = keep all segments. */
  readonly maxWals: number;
  /** Bytes of applied entries kept in memory, about; a follower further behind gets a snapshot. */
  readonly memoryBytesMax: number;
  /** Resolves when the database durably holds what is applied now. */
  commitBackend(): Promise<void>;
  failed(error: Error): void;
}

/** The log in memory is cut when it has grown by this part of what it may hold: each cut copies what is kept. */
const cutFraction = 1 / 8;
const purgeIntervalMs = 30_000;

/** The entries that one cut found new. */
interface Stretch {
  /** Index of the last one. */
  readonly end: number;
  readonly bytes: number;
}

export class LogKeeper {
  readonly #options: LogKeeperOptions;
  #markedIndex: number;
  #cutIndex = 0;
  #bytesSinceCut = 0;
  /** Oldest first; they say what the entries kept weigh without a look at each of them. */
  readonly #stretches: Stretch[] = [];
  #marking = false;
  /** While a snapshot travels to a follower, the entries behind it must stay. */
  #holds = 0;
  #forced = false;
  #purgeTimer: Timer | undefined;
  #stopped = false;

  /** `markedIndex`: the last mark in the WAL. */
  constructor(options: LogKeeperOptions, markedIndex: number) {
    this.#options = options;
    this.#markedIndex = markedIndex;
  }

  get markedIndex(): number {
    return this.#markedIndex;
  }

  start(): void {
    this.#purge();
  }

  stop(): void {
    this.#stopped = true;
    this.#purgeTimer?.cancel();
  }

  /** Marks at the next opportunity, however few entries have been applied. */
  force(): void {
    this.#forced = true;
  }

  /** Keeps the log in memory as it is until the returned function is called. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (held) this.#holds--;
      held = false;
    };
  }

  /** A received snapshot replaced the log up to `index`; its mark is in the WAL and its database is durable. */
  installed(index: number): void {
    this.#markedIndex = index;
    this.#cutIndex = index;
    this.#bytesSinceCut = 0;
    this.#options.wal.releaseTo(index).catch((error: unknown) => {
      this.#options.failed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** To be called after entries up to `index`, together of `bytes`, have been applied, with the configuration there. */
  applied(index: number, term: number, confState: ConfState, bytes: number): void {
    const due = index - this.#markedIndex > this.#options.snapshotCount || (this.#forced && index > this.#markedIndex);
    if (due && !this.#marking) {
      this.#forced = false;
      this.#mark({ index, term, confState }).catch((error: unknown) => {
        this.#options.failed(error instanceof Error ? error : new Error(String(error)));
      });
    }
    this.#bytesSinceCut += bytes;
    const grownByCount = index - this.#cutIndex > Math.max(100, this.#options.catchupEntries * cutFraction);
    if (grownByCount || this.#bytesSinceCut > this.#options.memoryBytesMax * cutFraction) this.#cut(index, confState);
  }

  async #mark(mark: SnapshotMetadata): Promise<void> {
    const { commitBackend, wal, logger } = this.#options;
    this.#marking = true;
    try {
      await commitBackend();
      if (this.#stopped) return;
      await wal.saveSnapshot(mark);
      this.#markedIndex = Math.max(this.#markedIndex, mark.index);
      logger.log("info", "saved snapshot to disk", { "snapshot-index": mark.index });
      await wal.releaseTo(mark.index);
    } finally {
      this.#marking = false;
    }
  }

  #cut(index: number, confState: ConfState): void {
    // Before the first cut there may be entries that were applied before this process began.
    const bytes = this.#stretches.length === 0 ? this.#weigh(index) : this.#bytesSinceCut;
    this.#stretches.push({ end: index, bytes });
    this.#cutIndex = index;
    this.#bytesSinceCut = 0;
    if (this.#holds > 0) return;
    const { log } = this.#options;
    const to = Math.max(index - this.#options.catchupEntries, this.#indexAboveMemoryLimit());
    if (to < log.firstIndex()) return;
    // A follower that needs what is cut gets the database, which holds everything applied.
    log.createSnapshot(index, undefined, confState);
    log.compact(to);
  }

  /** The newest index up to which entries must be forgotten for the rest to fit the limit in bytes: whole stretches. */
  #indexAboveMemoryLimit(): number {
    const { log, memoryBytesMax } = this.#options;
    const stretches = this.#stretches;
    while (stretches[0] !== undefined && stretches[0].end < log.firstIndex()) stretches.shift();
    let bytes = 0;
    for (const stretch of stretches.toReversed()) {
      bytes += stretch.bytes;
      if (bytes > memoryBytesMax) return stretch.end;
    }
    return 0;
  }

  /** Bytes of all entries in memory up to `index`. */
  #weigh(index: number): number {
    const { log } = this.#options;
    const entries = log.entries(log.firstIndex(), index + 1, noLimit);
    if (typeof entries === "string") return 0;
    return entries.reduce((bytes, entry) => bytes + (entry.data?.length ?? 0), 0);
  }

  #purge(): void {
    this.#options.wal.purge(this.#options.maxWals).then(
      (count) => {
        if (count > 0) this.#options.logger.log("info", "purged WAL segments", { count });
        if (this.#stopped) return;
        this.#purgeTimer = this.#options.clock.setTimer(purgeIntervalMs, () => this.#purge());
      },
      (error: unknown) => this.#options.logger.log("warn", "failed to purge WAL segments", { error: String(error) }),
    );
  }
}
