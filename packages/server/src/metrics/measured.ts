/** The log and the database with the time they take counted, in etcd's histograms. */

import type { Entry, HardState, SnapshotMetadata } from "@etcd-ts/raft";
import type { Batch, Database, DatabaseSize } from "../backend/database.js";
import type { Clock } from "../env.js";
import type { LogWriter } from "../node/raft-loop.js";
import type { MemberMetrics, SnapshotMetrics } from "./member-metrics.js";

export class MeasuredLog implements LogWriter {
  readonly #log: LogWriter;
  readonly #clock: Clock;
  readonly #metrics: MemberMetrics;

  constructor(log: LogWriter, clock: Clock, metrics: MemberMetrics) {
    this.#log = log;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  get canSaveNow(): boolean {
    return this.#log.canSaveNow;
  }

  async save(hardState: HardState | undefined, entries: readonly Entry[]): Promise<boolean> {
    const startedAt = this.#clock.now();
    return this.#observe(startedAt, await this.#log.save(hardState, entries));
  }

  saveNow(hardState: HardState | undefined, entries: readonly Entry[]): boolean {
    const startedAt = this.#clock.now();
    return this.#observe(startedAt, this.#log.saveNow(hardState, entries));
  }

  #observe(startedAt: number, synced: boolean): boolean {
    if (synced) this.#metrics.walFsyncSeconds.observe((this.#clock.now() - startedAt) / 1000);
    return synced;
  }

  saveReceivedSnapshot(mark: SnapshotMetadata): Promise<void> {
    return this.#log.saveReceivedSnapshot(mark);
  }
}

/** `database` with its commits measured. */
export function measuredDatabase(database: Database, clock: Clock, metrics: MemberMetrics): Database {
  return {
    keySizeMax: database.keySizeMax,
    get: (table, key) => database.get(table, key),
    scan: (table, lo, hi, visit) => database.scan(table, lo, hi, visit),
    async commit(batch: Batch): Promise<DatabaseSize> {
      const startedAt = clock.now();
      const size = await database.commit(batch);
      metrics.backendCommitSeconds.observe((clock.now() - startedAt) / 1000);
      return size;
    },
    refresh: () => database.refresh(),
    pin: () => database.pin(),
    size: () => database.size(),
    close: () => database.close(),
  };
}

/** Counts a database's way to another member or from it, from this call on; the function returned ends it. */
export function beginSnapshot(metrics: SnapshotMetrics, clock: Clock): (outcome: "success" | "failure") => void {
  const startedAt = clock.now();
  metrics.inflight++;
  return (outcome) => {
    metrics.inflight--;
    if (outcome === "failure") {
      metrics.failures++;
      return;
    }
    metrics.successes++;
    metrics.seconds.observe((clock.now() - startedAt) / 1000);
  };
}
