/**
 * The leader's side of lease expiry: twice a second it takes what has expired and proposes the revokes, a limited
 * number at a time. A lease leaves only when its revoke is applied, so a member that wrongly believes to lead deletes
 * nothing.
 *
 * Source: etcd server/lease/lessor.go runLoop, server/etcdserver/server.go revokeExpiredLeases.
 */

import type { Lessor } from "@etcd-ts/store";
import type { Clock, Timer } from "../env.js";

export interface LeaseLoopPorts {
  readonly clock: Clock;
  readonly lessor: Lessor;
  /** Asks a quorum whether this member still leads. */
  confirmLeadership(done: (leads: boolean) => void): void;
  /** Proposes a revoke; `done` when it has been applied, refused or has timed out. */
  revoke(id: bigint, done: () => void): void;
  checkpoint(checkpoints: readonly { readonly id: bigint; readonly remainingTtl: number }[]): void;
}

const intervalMs = 500;
const revokesInFlightMax = 16;
/** Expired leases taken and not yet proposed; what does not fit waits in the lessor. */
const queueMax = 500;

export class LeaseLoop {
  readonly #ports: LeaseLoopPorts;
  #timer: Timer | undefined;
  #queue: bigint[] = [];
  #inFlight = 0;
  #stopped = false;

  constructor(ports: LeaseLoopPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#ports.clock.setTimer(intervalMs, () => {
      this.#collect();
      if (!this.#stopped) this.#arm();
    });
  }

  #collect(): void {
    const { lessor, clock } = this.#ports;
    if (!lessor.isPrimary) {
      this.#queue = [];
      return;
    }
    const expired = this.#queue.length < queueMax ? lessor.takeExpired(clock.now(), queueMax - this.#queue.length) : [];
    const checkpoints = lessor.takeCheckpoints(clock.now());
    if (expired.length === 0 && checkpoints.length === 0) return;
    this.#ports.confirmLeadership((leads) => {
      // What is given up here is handed out again after the lessor's retry interval.
      if (!leads || this.#stopped) return;
      if (checkpoints.length > 0) this.#ports.checkpoint(checkpoints);
      for (const id of expired) this.#queue.push(id);
      this.#pump();
    });
  }

  #pump(): void {
    const { lessor, clock } = this.#ports;
    while (this.#inFlight < revokesInFlightMax && !this.#stopped) {
      const id = this.#queue.shift();
      if (id === undefined) return;
      // While leadership was being confirmed, or others were revoked before it, another leader may have extended it, or
      // this member when it was elected again.
      if (!lessor.isExpired(id, clock.now())) continue;
      this.#inFlight++;
      this.#ports.revoke(id, () => {
        this.#inFlight--;
        this.#pump();
      });
    }
  }
}
