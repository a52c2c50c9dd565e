/**
 * A snapshot of another member takes the place of this one's state: the database received with it replaces the live
 * one, and everything that is kept in memory of it. Until the last step reads answer from the old state.
 *
 * Source: etcd server/etcdserver/server.go applySnapshot.
 */

import type { Snapshot } from "@etcd-ts/raft";
import type { Mvcc, StateMachine } from "@etcd-ts/store";
import { assert } from "../assert.js";
import type { Database } from "../backend/database.js";
import type { Clock, Logger } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import { unitSlices, whenDone } from "../slices.js";
import type { Defragmentation } from "../snapshot/defragmentation.js";
import type { ReceivedSnapshots } from "../snapshot/received-snapshots.js";
import type { Applier } from "./applier.js";
import type { Live } from "./member-parts.js";

export interface SnapshotInstallerPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly received: ReceivedSnapshots;
  readonly defragmentation: Defragmentation;
  readonly machine: StateMachine;
  readonly mvcc: Pick<Mvcc, "startRestore">;
  readonly applier: Applier;
  readonly counts: Pick<MemberMetrics, "snapshotApplyInProgress">;
  makeLive(database: Database): Live;
  /** The state is in force: makes `live` the live database and returns the one before. */
  installed(live: Live, index: number): Live;
  failed(error: Error): void;
}

export class SnapshotInstaller {
  readonly #ports: SnapshotInstallerPorts;
  /** Snapshots that other members are sending. */
  #receiving = 0;
  #installing = false;
  #stopped = false;

  constructor(ports: SnapshotInstallerPorts) {
    this.#ports = ports;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whether the database is going to be replaced as a whole. */
  get isReplacing(): boolean {
    return this.#receiving > 0 || this.#ports.received.isWaiting || this.#installing;
  }

  /** See `ReceivedSnapshots.receive`. */
  async receive(body: AsyncIterable<Uint8Array>, index: number, offer: () => boolean): Promise<void> {
    this.#receiving++;
    try {
      await this.#ports.defragmentation.abort("a snapshot of the leader is being received");
      const rows = this.#ports.mvcc.startRestore();
      await this.#ports.received.receive(body, { index, rows, offer });
    } finally {
      this.#receiving--;
    }
  }

  /** Raft has taken the snapshot and the log says so; `installed` is called once it is in force. */
  install(snapshot: Snapshot, installed: () => void): void {
    this.#install(snapshot).then(installed, (error: unknown) => {
      this.#ports.failed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #install({ metadata }: Snapshot): Promise<void> {
    const { clock, logger, received, defragmentation, machine, applier } = this.#ports;
    const { index, term, confState } = metadata;
    this.#ports.counts.snapshotApplyInProgress = 1;
    logger.log("info", "applying snapshot", { "snapshot-index": index, "applied-index": applier.index });
    // Entries before the snapshot may still be applied; raft hands out no others until it is installed.
    while (!applier.isIdle && !this.#stopped) await new Promise<void>((next) => clock.defer(next));
    if (this.#stopped) return;
    assert(index > applier.index, "raft takes snapshots that are ahead only");
    this.#installing = true;
    await defragmentation.abort("a snapshot of the leader is being installed");
    const { database, rows, removePrevious } = await received.take(index);
    const live = this.#ports.makeLive(database);
    const restore = unitSlices(function* (budget) {
      yield* machine.restoreTask(live.backend, budget, rows);
      return true;
    });
    await whenDone(clock, () => this.#stopped || restore());
    if (this.#stopped) return live.backend.close();
    applier.jumpTo(index, term, confState);
    const previous = this.#ports.installed(live, index);
    await previous.backend.close();
    await removePrevious();
    this.#installing = false;
    this.#ports.counts.snapshotApplyInProgress = 0;
    logger.log("info", "applied snapshot", { "snapshot-index": index, term });
  }
}
