import type { ConfState, HardState, NodeId, SoftState } from "./types.js";

/** `probe`: one append at a time, to find where the logs part. `replicate`: a stream. `snapshot`: waiting for one. */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** What a leader knows of a follower, as a copy. */
export interface ProgressStatus {
  readonly id: NodeId;
  /** Highest index known to be durable there. */
  readonly match: number;
  /** Index of the next entry to send. */
  readonly next: number;
  readonly state: ProgressState;
  /** Index of the snapshot under way; 0 if none. */
  readonly pendingSnapshot: number;
  /** Whether it answered since the last quorum check. */
  readonly recentActive: boolean;
  readonly paused: boolean;
  readonly isLearner: boolean;
  /** Appends in flight. */
  readonly inflightCount: number;
  /** Whether no more may be sent before some are answered. */
  readonly inflightFull: boolean;
}

/** A node's own state. */
export interface BasicStatus {
  readonly id: NodeId;
  readonly hardState: HardState;
  readonly softState: SoftState;
  /** Highest index the application reported as applied. */
  readonly applied: number;
  /** To whom leadership is being transferred, or 0. */
  readonly leadTransferee: NodeId;
}

/** A node's own state, its active configuration and, on a leader, the followers' progress in the order of their ids. */
export interface Status extends BasicStatus {
  readonly confState: ConfState;
  readonly progress: readonly ProgressStatus[];
}
