/**
 * What clients ask to be written, on its way to the log and back: an id, the entry's bytes, and who waits for the
 * result.
 *
 * There is a limit on how many wait, and on how far apply may be behind what is committed; beyond either a proposal is
 * refused at once. One that has no result in time fails: with the client's deadline if raft has not seen it, else with
 * the likely reason, and then it may still be applied.
 *
 * Source: etcd server/etcdserver/v3_server.go processInternalRaftRequestOnce.
 */

import { encodeInternalRequest, type InternalField, sizeInternalRequest } from "@etcd-ts/api";
import type { ConfChange } from "@etcd-ts/raft";
import type { Outcome } from "@etcd-ts/store";
import type { Clock } from "../env.js";
import type { ConfChangeOutcome } from "./applier.js";
import type { RaftLoop } from "./raft-loop.js";
import { deadlineExceeded, proposalDropped, type Refusal } from "./refusal.js";
import type { RequestIds } from "./request-ids.js";
import { SlabAllocator } from "./slab.js";
import { Waiters } from "./waiters.js";

/** The result of a proposal: what apply made of it, or why it never came to that. */
export type ProposalOutcome = Outcome | { readonly kind: "failed"; readonly refusal: Refusal };
export type ProposalDone = (outcome: ProposalOutcome) => void;

export interface ProposalPorts {
  readonly clock: Clock;
  readonly ids: RequestIds;
  readonly loop: RaftLoop;
  readonly maxRequestBytes: number;
  readonly timeoutMs: number;
  /** Committed entries that are not applied yet. */
  applyLag(): number;
  /** A proposal was refused because too many are under way. */
  overloaded(): void;
  /** Whether the leader, if there is one, can be expected to take a configuration change. */
  takesConfChanges(): boolean;
  /** Why a proposal that raft has taken had no result in time. */
  timeoutReason(startedAt: number): Refusal;
}

/** Source: etcd maxGapBetweenApplyAndCommitIndex. */
const applyLagMax = 5000;
/** Proposals that wait for their result. */
const waitingMax = 20_000;
const confChangesMax = 16;
const slabBytes = 256 * 1024;

interface PendingConfChange {
  readonly key: number;
  readonly change: ConfChange;
}

export class Proposals {
  readonly #ports: ProposalPorts;
  readonly #waiting = new Waiters<ProposalOutcome>(waitingMax);
  readonly #confChanges = new Waiters<ConfChangeOutcome>(confChangesMax);
  /** Those of `#confChanges` that raft has not seen. */
  #pendingConfChanges: PendingConfChange[] = [];
  readonly #slab = new SlabAllocator(slabBytes);
  #stopped = false;

  constructor(ports: ProposalPorts) {
    this.#ports = ports;
  }

  get count(): number {
    return this.#waiting.count;
  }

  /** See `Member.propose`. */
  propose(field: InternalField, request: Uint8Array, done: ProposalDone): void {
    const { loop, ids, clock } = this.#ports;
    if (this.#stopped) return done({ kind: "failed", refusal: "stopped" });
    if (loop.isSuspended) return done({ kind: "failed", refusal: "noLeader" });
    if (this.#waiting.full || this.#ports.applyLag() > applyLagMax) {
      this.#ports.overloaded();
      return done({ kind: "failed", refusal: "requestTooManyRequests" });
    }
    const suffix = ids.nextSuffix();
    const header = { id: ids.full(suffix) };
    const size = sizeInternalRequest(field, request.length, header);
    if (size > this.#ports.maxRequestBytes) return done({ kind: "failed", refusal: "requestTooLarge" });
    const data = this.#slab.allocate(size);
    data.set(request, encodeInternalRequest(field, request.length, header, data, 0));
    this.#waiting.add(suffix, { startedAt: clock.now(), done });
    loop.propose(data, suffix);
  }

  /**
   * Proposes a configuration change, as soon as there is a leader that takes it, and waits until it is in force, or for
   * good: returns a function that gives up.
   */
  proposeConfChange(change: Omit<ConfChange, "id">, done: (outcome: ConfChangeOutcome) => void): () => void {
    const { loop, ids, clock } = this.#ports;
    if (loop.isSuspended || this.#confChanges.full) {
      done({ kind: "refused", reason: loop.isSuspended ? "noLeader" : "requestTooManyRequests" });
      return () => {};
    }
    const key = ids.nextSuffix();
    this.#confChanges.add(key, { startedAt: clock.now(), done });
    this.#pendingConfChanges.push({ key, change: { ...change, id: ids.full(key) } });
    if (this.#pendingConfChanges.length === 1) this.#handOverConfChange();
    return () => {
      this.#confChanges.forget(key);
      this.#pendingConfChanges = this.#pendingConfChanges.filter((pending) => pending.key !== key);
    };
  }

  /** One at a time: until that one is applied, raft puts an empty entry in place of another. */
  #handOverConfChange(): void {
    const [first] = this.#pendingConfChanges;
    if (first === undefined || !this.#ports.takesConfChanges()) return;
    if (this.#ports.loop.proposeConfChange(first.change) === undefined) this.#pendingConfChanges.shift();
  }

  /** Whether somebody here waits for the request with this id. */
  isAwaited(id: bigint): boolean {
    const key = this.#ports.ids.suffixOf(id);
    return key !== undefined && this.#waiting.has(key);
  }

  /** The result of a request, whoever made it. */
  settle(id: bigint, outcome: Outcome): void {
    const key = this.#ports.ids.suffixOf(id);
    if (key !== undefined) this.#waiting.settle(key, outcome);
  }

  settleConfChange(id: bigint, outcome: ConfChangeOutcome): void {
    const key = this.#ports.ids.suffixOf(id);
    if (key !== undefined) this.#confChanges.settle(key, outcome);
  }

  /** Raft refused a proposal, or it was taken back before raft saw it. */
  dropped(key: number, reason: "by raft" | "no leader"): void {
    const refusal = reason === "no leader" ? "noLeader" : proposalDropped;
    this.#waiting.settle(key, { kind: "failed", refusal });
  }

  /** To be called at every tick. */
  tick(now: number): void {
    const { loop, timeoutMs } = this.#ports;
    if (loop.isSuspended) {
      for (const { key } of this.#pendingConfChanges.splice(0)) {
        this.#confChanges.settle(key, { kind: "refused", reason: "noLeader" });
      }
    }
    this.#handOverConfChange();
    this.#waiting.expire(now - timeoutMs, (key, { startedAt }) => ({
      kind: "failed",
      refusal: loop.withdraw(key) ? deadlineExceeded : this.#ports.timeoutReason(startedAt),
    }));
  }

  /** Whoever waits, and whoever comes, gets "server stopped". */
  stop(): void {
    this.#stopped = true;
    this.#pendingConfChanges = [];
    this.#waiting.settleAll(() => ({ kind: "failed", refusal: "stopped" }));
    this.#confChanges.settleAll(() => ({ kind: "refused", reason: "stopped" }));
  }
}
