/**
 * Applies committed entries, strictly in order, and tells whoever waits for them. It works a bounded amount each loop
 * turn: an entry that touches a million keys, or a long log replayed at boot, never holds up ticks and heartbeats.
 *
 * A configuration change takes effect in raft, the member table and the transport in one step, at its place in the log.
 *
 * Source: etcd server/etcdserver/server.go applyEntries, applyConfChange.
 */

import { decodeConfChange } from "@etcd-ts/api/raftpb";
import { type ConfChange, type ConfState, type Entry, EntryType } from "@etcd-ts/raft";
import {
  type ApplyOptions,
  type Backend,
  type Membership,
  type MembershipEffect,
  type Outcome,
  type StateMachine,
  storeConfState,
} from "@etcd-ts/store";
import type { Clock } from "../env.js";
import type { Refusal } from "./refusal.js";

/** What became of a configuration change. */
export type ConfChangeOutcome =
  | { readonly kind: "changed"; readonly effect: MembershipEffect }
  | { readonly kind: "refused"; readonly reason: Refusal };

export interface ApplierPorts {
  /** Work of one loop turn; see `applyUnitsPerTurn`. */
  readonly unitsPerTurn: number;
  readonly clock: Clock;
  readonly machine: StateMachine;
  readonly membership: Membership;
  backend(): AppliedBackend;
  /** Puts a change into force in raft; `nodeId` 0 changes nothing. */
  applyConfChange(change: ConfChange): ConfState;
  wantsResult(id: bigint): boolean;
  /** The result of a proposal, whoever made it. */
  settle(id: bigint, outcome: Outcome): void;
  settleConfChange(id: bigint, outcome: ConfChangeOutcome): void;
  membershipChanged(effect: MembershipEffect): void;
  /** The first entry of a leader's term was applied. */
  termBegan(): void;
  /** All entries up to `index` were applied; `bytes` is the size of those since the last call. */
  progressed(index: number, term: number, confState: ConfState, bytes: number): void;
}

/** The database that entries are applied to. It takes what it is given; when it falls behind, the applier waits. */
export interface AppliedBackend extends Backend {
  readonly isCongested: boolean;
  whenRelieved(): Promise<void>;
}

interface Batch {
  readonly entries: readonly Entry[];
  next: number;
  readonly applied: () => void;
}

/** Work of one loop turn, in units of a microsecond or a few: what comes from clients and peers waits for that long. */
export const applyUnitsPerTurn = 3000;
const entryUnits = 3;

export class Applier {
  readonly #ports: ApplierPorts;
  /** One object for all entries: `shouldApply` is an entry's, `nowMs` of the turn. */
  readonly #options: { -readonly [Key in keyof ApplyOptions]: ApplyOptions[Key] };
  readonly #batches: Batch[] = [];
  #index: number;
  #term: number;
  #confState: ConfState;
  #bytes = 0;
  #scheduled = false;
  #paused = false;
  #stopped = false;

  /** `index` and `term`: the last entry that needs not come again, with the configuration there. */
  constructor(
    ports: ApplierPorts,
    start: { readonly index: number; readonly term: number; readonly confState: ConfState },
  ) {
    this.#ports = ports;
    this.#options = { shouldApply: true, wantsResult: (id) => ports.wantsResult(id), nowMs: 0 };
    this.#index = start.index;
    this.#term = start.term;
    this.#confState = start.confState;
  }

  /** Index of the last entry applied. */
  get index(): number {
    return this.#index;
  }

  /** Its term, which response headers carry. */
  get term(): number {
    return this.#term;
  }

  get confState(): ConfState {
    return this.#confState;
  }

  get isIdle(): boolean {
    return this.#batches.length === 0;
  }

  /** Takes committed entries; calls `applied` when all of them are. Works at once, within the turn's budget. */
  enqueue(entries: readonly Entry[], applied: () => void): void {
    this.#batches.push({ entries, next: 0, applied });
    if (this.#batches.length === 1 && !this.#scheduled) this.#run();
  }

  /** The state was replaced by a snapshot. */
  jumpTo(index: number, term: number, confState: ConfState): void {
    this.#index = index;
    this.#term = term;
    this.#confState = confState;
  }

  /** Between entries; nothing is applied until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#batches.length = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped || this.#batches.length === 0) return;
    this.#scheduled = true;
    this.#ports.clock.defer(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  #run(): void {
    let units = this.#ports.unitsPerTurn;
    this.#options.nowMs = this.#ports.clock.now();
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      while (batch.next < batch.entries.length) {
        if (this.#stopped || this.#paused) return;
        if (units <= 0) return this.#schedule();
        if (!this.#ports.machine.busy && this.#ports.backend().isCongested) return this.#waitForRelief();
        const entry = batch.entries[batch.next] as Entry;
        const done = this.#apply(entry, units);
        if (!done) return this.#schedule();
        units -= entryUnits + (entry.data?.length ?? 0) / 1024;
        batch.next++;
        this.#index = entry.index;
        this.#term = entry.term;
        this.#bytes += entry.data?.length ?? 0;
      }
      this.#batches.shift();
      const bytes = this.#bytes;
      this.#bytes = 0;
      batch.applied();
      this.#ports.progressed(this.#index, this.#term, this.#confState, bytes);
      if (this.#stopped) return;
    }
  }

  /** A failed commit also ends the wait; it stops the member by itself. */
  #waitForRelief(): void {
    this.#scheduled = true;
    void this.#ports
      .backend()
      .whenRelieved()
      .then(() => {
        this.#scheduled = false;
        this.#schedule();
      });
  }

  /** False when the entry was begun and goes on in the next turn. */
  #apply(entry: Entry, units: number): boolean {
    const shouldApply = entry.index > this.#ports.machine.applied.index;
    if (entry.type === EntryType.normal) return this.#applyNormal(entry, shouldApply, units);
    if (entry.type === EntryType.confChangeV2)
      throw new Error("assertion failed: etcd proposes version 1 changes only");
    this.#applyConfChange(entry, shouldApply);
    return true;
  }

  #applyNormal(entry: Entry, shouldApply: boolean, units: number): boolean {
    const { machine } = this.#ports;
    this.#options.shouldApply = shouldApply;
    const outcome = machine.busy ? machine.resume(units) : machine.apply(entry, this.#options, units);
    if (outcome === undefined) return false;
    if (outcome.kind === "empty") this.#ports.termBegan();
    else if (outcome.kind !== "skipped") this.#ports.settle(machine.requestId, outcome);
    return true;
  }

  #applyConfChange(entry: Entry, shouldApply: boolean): void {
    const { id, type, nodeId, context = noBytes } = decodeConfChange(entry.data ?? noBytes);
    const change = { type, nodeId, context } as ConfChange;
    if (!shouldApply) {
      // The member table is ahead of the log that is replayed: raft's configuration was made from it.
      this.#ports.applyConfChange({ ...change, nodeId: 0n });
      return;
    }
    const refusal = this.#ports.membership.refusal({ type, nodeId, context });
    const confState = this.#ports.applyConfChange(refusal === undefined ? change : { ...change, nodeId: 0n });
    if (refusal !== undefined) {
      this.#ports.machine.sealEntry(entry.index, entry.term);
      this.#ports.settleConfChange(id, { kind: "refused", reason: refusal });
      return;
    }
    const effect = this.#ports.membership.apply({ type, nodeId, context });
    this.#confState = confState;
    storeConfState(this.#ports.backend(), confState);
    this.#ports.machine.sealEntry(entry.index, entry.term);
    this.#ports.membershipChanged(effect);
    this.#ports.settleConfChange(id, { kind: "changed", effect });
  }
}

const noBytes = new Uint8Array(0);
