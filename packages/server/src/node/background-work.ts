/** What a member does in steps between other work: catching watchers up, compacting, giving leases their expiries. */

import type { Lessor, StateMachine, WatchHub } from "@etcd-ts/store";
import type { Clock } from "../env.js";

export interface BackgroundParts {
  readonly clock: Clock;
  readonly watchHub: WatchHub;
  readonly machine: StateMachine;
  readonly lessor: Lessor;
  /** Rows of one batch of a compaction, and the pause after each, so that requests come in between. */
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
}

export class BackgroundWork {
  readonly #parts: BackgroundParts;
  #syncing = false;
  #compacting = false;
  #stopped = false;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Watchers are behind. */
  syncWatchers(): void {
    if (this.#syncing || this.#stopped) return;
    this.#syncing = true;
    this.#parts.clock.defer(() => {
      this.#syncing = false;
      if (!this.#stopped && this.#parts.watchHub.syncStep()) this.syncWatchers();
    });
  }

  /** A compaction was accepted. */
  compact(): void {
    if (this.#compacting || this.#stopped) return;
    const { clock, machine, compactionBatchLimit, compactionSleepMs } = this.#parts;
    this.#compacting = true;
    clock.setTimer(compactionSleepMs, () => {
      this.#compacting = false;
      if (this.#stopped) return;
      if (machine.compactionStep(compactionBatchLimit)) this.compact();
    });
  }

  /** The lessor was promoted. */
  refreshLeases(): void {
    this.#parts.clock.defer(() => {
      if (!this.#stopped && this.#parts.lessor.promotionStep()) this.refreshLeases();
    });
  }
}
