/**
 * Renewing and looking at leases, on whichever member the client asked: the leader answers from its lessor, others
 * forward to the leader's peer port.
 *
 * Source: etcd server/etcdserver/v3_server.go LeaseRenew, LeaseTimeToLive.
 */

import { compareKeys, type Lessor, sortTask, type TimeToLiveResult } from "@etcd-ts/store";
import type { Clock } from "../env.js";
import { runSlices, unitSlices } from "../slices.js";
import type { Refusal } from "./refusal.js";

/** Source: etcd lease.ErrNotPrimary, which reaches the client unmapped. */
const notPrimary: Refusal = { code: 2, message: "not a primary lessor" };
const appliedWaitMs = 1000;

export interface LeasePorts {
  readonly clock: Clock;
  readonly lessor: Lessor;
  isLeader(): boolean;
  /** Whether this member still leads; at once when it ticks in time, else after a linearizable read. */
  confirmLeadership(done: (leads: boolean) => void): void;
  /** Waits until what is committed now is applied; false when that takes longer than `timeoutMs`. */
  waitApplied(timeoutMs: number, done: (reached: boolean) => void): void;
  /** Proposes a checkpoint that sets the remaining TTL to 0; `done` when it has been applied or has failed. */
  clearRemainingTtl(id: bigint, done: () => void): void;
  /** Asks the leader. Absent while this member is the only one. */
  readonly forward: LeaseForwarding | undefined;
}

export interface LeaseForwarding {
  renew(id: bigint, done: (result: RenewAnswer) => void): void;
  timeToLive(id: bigint, keys: boolean, done: (result: TimeToLiveAnswer) => void): void;
}

/** `ttl` is the granted one. */
export type RenewAnswer = { readonly ttl: number } | { readonly refusal: Refusal };
export type TimeToLiveAnswer =
  | { readonly ttl: number; readonly grantedTtl: number; readonly keys: readonly string[] }
  | { readonly refusal: Refusal };

export class Leases {
  readonly #ports: LeasePorts;

  constructor(ports: LeasePorts) {
    this.#ports = ports;
  }

  renew(id: bigint, done: (result: RenewAnswer) => void): void {
    if (!this.#ports.isLeader()) return this.#forwardRenew(id, done);
    this.#ports.confirmLeadership((leads) => {
      if (!leads) return done({ refusal: notPrimary });
      if (this.#ports.lessor.exists(id)) return this.#renewHere(id, done);
      this.#ports.waitApplied(appliedWaitMs, (reached) => {
        if (reached) this.#renewHere(id, done);
        else done({ refusal: "timeoutWaitAppliedIndex" });
      });
    });
  }

  /** As asked of the leader by another member: no forwarding. */
  renewHere(id: bigint, done: (result: RenewAnswer) => void): void {
    this.#ports.waitApplied(appliedWaitMs, (reached) => {
      if (!reached) return done({ refusal: "timeoutWaitAppliedIndex" });
      if (!this.#ports.lessor.isPrimary) return done({ refusal: notPrimary });
      this.#renewHere(id, done);
    });
  }

  timeToLive(id: bigint, keys: boolean, done: (result: TimeToLiveAnswer) => void): void {
    if (this.#ports.isLeader()) return this.timeToLiveHere(id, keys, done);
    const { forward } = this.#ports;
    if (forward === undefined) return done({ refusal: "noLeader" });
    forward.timeToLive(id, keys, done);
  }

  timeToLiveHere(id: bigint, keys: boolean, done: (result: TimeToLiveAnswer) => void): void {
    this.#ports.waitApplied(appliedWaitMs, (reached) => {
      if (!reached) return done({ refusal: "timeoutWaitAppliedIndex" });
      const { lessor, clock } = this.#ports;
      const found: TimeToLiveResult = lessor.timeToLive(id, clock.now());
      if (found.kind === "leaseNotFound") return done({ refusal: "leaseNotFound" });
      if (found.kind === "notPrimary") return done({ refusal: "leaderChanged" });
      const { ttl, grantedTtl } = found;
      if (!keys) return done({ ttl, grantedTtl, keys: [] });
      const sort = unitSlices(function* (budget) {
        return yield* sortTask(yield* lessor.keysTask(id, budget), compareKeys, budget);
      });
      runSlices(clock, sort, (sorted) => done({ ttl, grantedTtl, keys: sorted }));
    });
  }

  #renewHere(id: bigint, done: (result: RenewAnswer) => void, afterCheckpoint = false): void {
    const { lessor, clock } = this.#ports;
    const result = lessor.renew(id, clock.now(), { afterCheckpoint });
    switch (result.kind) {
      case "renewed":
        return done({ ttl: result.ttl });
      case "leaseNotFound":
        return done({ refusal: "leaseNotFound" });
      case "notPrimary":
        return this.#forwardRenew(id, done);
      case "expired":
        lessor.onSettled(id, (settled) => {
          if (settled === "revoked") done({ refusal: "leaseNotFound" });
          else this.#forwardRenew(id, done);
        });
        return;
      case "checkpointFirst":
        return this.#ports.clearRemainingTtl(id, () => this.#renewHere(id, done, true));
    }
  }

  #forwardRenew(id: bigint, done: (result: RenewAnswer) => void): void {
    const { forward } = this.#ports;
    if (forward === undefined) return done({ refusal: "noLeader" });
    forward.renew(id, done);
  }
}
