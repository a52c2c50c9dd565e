/** What a member proposes by itself. */

import { InternalField, kv, lease, maintenance, messageBytes } from "@etcd-ts/api";
import {
  encodeLeaseCheckpointRequest,
  type LeaseCheckpointInit,
  sizeLeaseCheckpointRequest,
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
    const bytes = messageBytes(maintenance.alarm.request, alarm);
    this.#proposals.propose(InternalField.alarm, bytes, () => {
      this.#raisingNoSpace = undefined;
      for (const callback of waiting) callback();
    });
  }

  compact(revision: number, done: (isCompacted: boolean) => void): void {
    const bytes = messageBytes(kv.compact.request, { revision });
    this.#proposals.propose(InternalField.compaction, bytes, (outcome) => {
      done(outcome.kind === "compaction" || (outcome.kind === "refused" && outcome.reason === "compacted"));
    });
  }

  revoke(id: bigint, done: () => void): void {
    const bytes = messageBytes(lease.leaseRevoke.request, { id });
    this.#proposals.propose(InternalField.leaseRevoke, bytes, done);
  }

  checkpoint(checkpoints: readonly LeaseCheckpointInit[], done: () => void): void {
    const bytes = messageBytes(
      { size: sizeLeaseCheckpointRequest, encode: encodeLeaseCheckpointRequest },
      { checkpoints },
    );
    this.#proposals.propose(InternalField.leaseCheckpoint, bytes, done);
  }
}
