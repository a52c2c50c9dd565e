import { Inflights } from "./inflights.js";
import { findProgress, Progress } from "./progress.js";
import { jointVote, majorityValue, type VoteResult } from "./quorum.js";
import { type ConfState, emptyConfState, type NodeId } from "./types.js";

/** A configuration and the progress of all its nodes, in the order of their ids. */
export interface Tracking {
  readonly config: ConfState;
  readonly progress: readonly Progress[];
}

/**
 * The active configuration, the progress of every node in it, and the votes of the current election.
 * Source: etcd-io/raft tracker/tracker.go.
 */
export class ProgressTracker {
  readonly #maxInflight: number;
  readonly #maxInflightBytes: number;
  #config: ConfState = emptyConfState;
  #progress: readonly Progress[] = [];
  /** The progress of each half's voters, so that counting a quorum needs no look-up. */
  #voters: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];
  readonly #votes: Map<NodeId, boolean> = new Map();
  readonly #scratch: number[] = [];

  constructor(maxInflight: number, maxInflightBytes: number) {
    this.#maxInflight = maxInflight;
    this.#maxInflightBytes = maxInflightBytes;
  }

  get config(): ConfState {
    return this.#config;
  }

  get progress(): readonly Progress[] {
    return this.#progress;
  }

  get(id: NodeId): Progress | undefined {
    return findProgress(this.#progress, id);
  }

  /** A progress for a node that joins. */
  newProgress(id: NodeId, options: { readonly next: number; readonly isLearner: boolean }): Progress {
    const progress = new Progress(id, {
      ...options,
      inflights: new Inflights(this.#maxInflight, this.#maxInflightBytes),
    });
    return progress;
  }

  switchTo(tracking: Tracking): void {
    const { config, progress } = tracking;
    const pick = (ids: readonly NodeId[]) =>
      ids.map((id) => findProgress(progress, id)).filter((found) => found !== undefined);
    this.#config = config;
    this.#progress = progress;
    this.#voters = pick(config.voters);
    this.#outgoing = pick(config.votersOutgoing);
  }

  get isJoint(): boolean {
    return this.#config.votersOutgoing.length > 0;
  }

  /** Whether `id` is all there is to a quorum. */
  isOnlyVoter(id: NodeId): boolean {
    return this.#config.voters.length === 1 && this.#config.voters[0] === id && !this.isJoint;
  }

  isVoter(id: NodeId): boolean {
    return this.#config.voters.includes(id) || this.#config.votersOutgoing.includes(id);
  }

  /** The voters of both halves, ascending. */
  voterIds(): NodeId[] {
    const { voters, votersOutgoing } = this.#config;
    return sortIds(new Set([...voters, ...votersOutgoing]));
  }

  /** The highest index that quorums of both halves have made durable; Infinity without voters. */
  committedIndex(): number {
    return this.#quorumValue((progress) => progress.match);
  }

  /** As `committedIndex`, for what `acknowledged` says of each node. */
  quorumIndex(acknowledged: ReadonlyMap<NodeId, number>): number {
    return this.#quorumValue((progress) => acknowledged.get(progress.id) ?? 0);
  }

  #quorumValue(value: (progress: Progress) => number): number {
    const incoming = this.#halfValue(this.#voters, value);
    return this.#outgoing.length === 0 ? incoming : Math.min(incoming, this.#halfValue(this.#outgoing, value));
  }

  #halfValue(half: readonly Progress[], value: (progress: Progress) => number): number {
    if (this.#scratch.length !== half.length) this.#scratch.length = half.length;
    for (let i = 0; i < half.length; i++) this.#scratch[i] = value(half[i] as Progress);
    return majorityValue(this.#scratch);
  }

  /** Whether a quorum answered since the last check. */
  quorumActive(): boolean {
    const votes = new Map<NodeId, boolean>();
    for (const progress of this.#progress) {
      if (!progress.isLearner) votes.set(progress.id, progress.recentActive);
    }
    return this.#outcome(votes) === "won";
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** Only the first answer of each node counts. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  /** The votes of this election. Counts are of known voters only. */
  tallyVotes(): { readonly granted: number; readonly rejected: number; readonly result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (const progress of this.#progress) {
      const vote = progress.isLearner ? undefined : this.#votes.get(progress.id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: this.#outcome(this.#votes) };
  }

  #outcome(votes: ReadonlyMap<NodeId, boolean>): VoteResult {
    return jointVote(this.#config.voters, this.#config.votersOutgoing, votes);
  }
}

/** Ids in ascending order. */
export function sortIds(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
