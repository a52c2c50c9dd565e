/**
 * What a member does while its disk hangs: ticks and heartbeats do not need the disk, so that a leader that cannot
 * write any more would be followed for ever, while none of its own clients gets an answer.
 *
 * A leader whose append has not been synced for an election timeout hands over to the active voter whose log is
 * longest; raft gives that one an election timeout to take over, and proposals wait for it. If it has not by then, the
 * leader falls silent: it sends nothing, so that the others elect one of them and, by its quorum check, it ceases to
 * lead. A member in this state does not tick when it does not lead, and so does not stand for election. All of that
 * ends with the write.
 *
 * An only voter waits for its disk: there is nobody to take over.
 */

import { none, RaftState, type RawNode } from "@etcd-ts/raft";
import type { Clock, Logger } from "../env.js";

export interface DiskStallOptions {
  readonly raft: Pick<RawNode, "basicStatus" | "status" | "transferLeader">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly electionTimeoutMs: number;
}

export class DiskStall {
  readonly #raft: DiskStallOptions["raft"];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #electionTimeoutMs: number;
  /** Milliseconds on the clock; undefined while nothing is being written. */
  #writeStartedAt: number | undefined;
  #isSuspended = false;
  #isHandingOver = false;

  constructor(options: DiskStallOptions) {
    this.#raft = options.raft;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#electionTimeoutMs = options.electionTimeoutMs;
  }

  /** Whether this member neither leads nor knows who does, for its disk's sake. */
  get isSuspended(): boolean {
    return this.#isSuspended && this.#isLeaderless;
  }

  /** Whether another one was asked to take over and has not yet: raft takes no proposals meanwhile. */
  get isHandingOver(): boolean {
    this.#isHandingOver &&= this.#raft.basicStatus().leadTransferee !== none;
    return this.#isHandingOver;
  }

  writeBegan(): void {
    this.#writeStartedAt = this.#clock.now();
  }

  writeEnded(): void {
    this.#writeStartedAt = undefined;
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#logger.log("info", "the log is written again");
  }

  /** To be called before each tick of raft; false when the tick must be left out. */
  beforeTick(): boolean {
    if (this.#writeStartedAt === undefined) return true;
    const unsyncedMs = this.#clock.now() - this.#writeStartedAt;
    if (unsyncedMs < this.#electionTimeoutMs) return true;
    const { softState, leadTransferee } = this.#raft.basicStatus();
    const isLeader = softState.raftState === RaftState.leader;
    if (this.#isSuspended) return isLeader;
    const { confState, progress } = this.#raft.status();
    if (confState.voters.length <= 1) return true;
    if (unsyncedMs >= 2 * this.#electionTimeoutMs) this.#suspend(unsyncedMs);
    else if (isLeader && leadTransferee === none) this.#handOver(unsyncedMs, progress);
    return isLeader;
  }

  /** Leading without being heard counts as well. */
  get #isLeaderless(): boolean {
    const { id, softState } = this.#raft.basicStatus();
    return softState.lead === none || softState.lead === id;
  }

  #suspend(unsyncedMs: number): void {
    this.#isSuspended = true;
    this.#logger.log("warn", "the log could not be written for too long: not leading and not standing for election", {
      "unsynced-for-ms": Math.round(unsyncedMs),
    });
  }

  #handOver(unsyncedMs: number, progress: ReturnType<RawNode["status"]>["progress"]): void {
    const self = this.#raft.basicStatus().id;
    let best: { readonly id: bigint; readonly match: number } | undefined;
    for (const { id, match, isLearner, recentActive } of progress) {
      if (id === self || isLearner || !recentActive) continue;
      if (best === undefined || match > best.match) best = { id, match };
    }
    if (best === undefined) return;
    this.#logger.log("warn", "the log could not be written for an election timeout: leadership is handed over", {
      "unsynced-for-ms": Math.round(unsyncedMs),
      "transferee-member-id": best.id.toString(16),
    });
    this.#isHandingOver = true;
    this.#raft.transferLeader(best.id);
  }
}
