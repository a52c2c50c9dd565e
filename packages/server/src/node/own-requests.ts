/** What a member proposes by itself. */

import { InternalField, kv, lease, maintenance, messageBytes } from "@etcd-ts/api";
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  encodeLeaseCheckpointRequest,
  type LeaseCheckpointInit,
  sizeLeaseCheckpointRequest,
} from "@etcd-ts/api/etcdserverpb";
import type { ProposalDone, Proposals } from "./proposals.js";

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
    this.#raise(this.#memberId, AlarmType.NOSPACE, () => {
      this.#raisingNoSpace = undefined;
      for (const callback of waiting) callback();
    });
  }

  /** Raises the CORRUPT alarm for a member; 0n = nobody can tell for which. */
  raiseCorrupt(memberId: bigint, done: ProposalDone): void {
    this.#raise(memberId, AlarmType.CORRUPT, done);
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

  #raise(memberId: bigint, alarm: AlarmType, done: ProposalDone): void {
    const bytes = messageBytes(maintenance.alarm.request, {
      action: AlarmRequest_AlarmAction.ACTIVATE,
      memberId,
      alarm,
    });
    this.#proposals.propose(InternalField.alarm, bytes, done);
  }
}
