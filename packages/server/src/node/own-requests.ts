/** What a member proposes by itself. */

import { InternalField } from "@etcd-ts/api";
import {
  encodeAlarmRequest,
  encodeCompactionRequest,
  encodeLeaseCheckpointRequest,
  encodeLeaseRevokeRequest,
  type LeaseCheckpointInit,
  sizeAlarmRequest,
  sizeCompactionRequest,
  sizeLeaseCheckpointRequest,
  sizeLeaseRevokeRequest,
} from "@etcd-ts/api/etcdserverpb";
import type { Proposals } from "./proposals.js";

export class OwnRequests {
  readonly #memberId: bigint;
  readonly #proposals: Proposals;
  #raisingNoSpace: (() => void)[] | undefined;

  constructor(memberId: bigint, proposals: Proposals) {
    this.#memberId = memberId;
    this.#proposals = proposals;
  }

  /** Raises the NOSPACE alarm for this member; `done` once that has been applied or has failed. */
  raiseNoSpace(done: () => void): void {
    if (this.#raisingNoSpace !== undefined) {
      this.#raisingNoSpace.push(done);
      return;
    }
    const waiting = [done];
    this.#raisingNoSpace = waiting;
    const alarm = { action: 1, memberId: this.#memberId, alarm: 1 } as const;
    const bytes = new Uint8Array(sizeAlarmRequest(alarm));
    encodeAlarmRequest(alarm, bytes, 0);
    this.#proposals.propose(InternalField.alarm, bytes, () => {
      this.#raisingNoSpace = undefined;
      for (const callback of waiting) callback();
    });
  }

  compact(revision: number, done: (isCompacted: boolean) => void): void {
    const bytes = new Uint8Array(sizeCompactionRequest({ revision }));
    encodeCompactionRequest({ revision }, bytes, 0);
    this.#proposals.propose(InternalField.compaction, bytes, (outcome) => {
      done(outcome.kind === "compaction" || (outcome.kind === "refused" && outcome.reason === "compacted"));
    });
  }

  revoke(id: bigint, done: () => void): void {
    const bytes = new Uint8Array(sizeLeaseRevokeRequest({ id }));
    encodeLeaseRevokeRequest({ id }, bytes, 0);
    this.#proposals.propose(InternalField.leaseRevoke, bytes, done);
  }

  checkpoint(checkpoints: readonly LeaseCheckpointInit[], done: () => void): void {
    const bytes = new Uint8Array(sizeLeaseCheckpointRequest({ checkpoints }));
    encodeLeaseCheckpointRequest({ checkpoints }, bytes, 0);
    this.#proposals.propose(InternalField.leaseCheckpoint, bytes, done);
  }
}
