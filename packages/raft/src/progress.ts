import { describeId } from "./describe.js";
import type { Inflights } from "./inflights.js";
import type { ProgressState, ProgressStatus } from "./status.js";
import type { NodeId } from "./types.js";

const stateNames: Readonly<Record<ProgressState, string>> = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
};

/**
 * What a leader knows of one follower, and how it sends to it.
 *
 * probe: the follower's log is not known to match; one append with entries at a time. replicate: it matches up to
 * `next − 1` unless messages were lost; appends are sent without waiting, within the inflight limits. snapshot: it
 * needs entries that were compacted; nothing is sent until the snapshot `pendingSnapshot` is reported or answered.
 *
 * Invariant: `match` < `next`. Source: etcd-io/raft tracker/progress.go; thesis §10.2.1.
 */
export class Progress {
  readonly id: NodeId;
  readonly inflights: Inflights;
  match = 0;
  next: number;
  state: ProgressState = "probe";
  pendingSnapshot = 0;
  recentActive = false;
  /** In probe: an append is under way. In replicate: the inflight limit was reached. Ends with any answer. */
  flowPaused = false;
  isLearner: boolean;
  /** Highest commit index in flight to the follower. */
  #sentCommit = 0;

  constructor(
    id: NodeId,
    options: { readonly next: number; readonly isLearner: boolean; readonly inflights: Inflights },
  ) {
    this.id = id;
    this.next = options.next;
    this.isLearner = options.isLearner;
    this.inflights = options.inflights;
  }

  /** A copy that shares the inflight messages; the original must not be used any more if either sends. */
  copy(): Progress {
    const copy = new Progress(this.id, this);
    copy.match = this.match;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.flowPaused = this.flowPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  /** Forgets all but the learner flag, as a new leader must. */
  reset(match: number, next: number): void {
    this.#enter("probe");
    this.match = match;
    this.next = next;
    this.recentActive = false;
    this.#sentCommit = 0;
  }

  get paused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }

  becomeProbe(): void {
    const pendingSnapshot = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.#enter("probe");
    this.next = Math.max(this.match + 1, pendingSnapshot + 1);
    this.#lowerSentCommit();
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }

  /** Notes that an append with `count` entries of `bytes` payload was sent. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.flowPaused = this.inflights.full;
    } else if (count > 0) {
      this.flowPaused = true;
    }
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether an empty append would tell the follower a commit index that is not yet on its way. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  #lowerSentCommit(): void {
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
  }

  /** Takes an acknowledgement of everything up to `index`; returns whether that is news. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * Takes a rejection of the append after `rejected`, whose sender suggests that `hint` might match. Returns whether
   * `next` moved back; a stale rejection changes nothing.
   */
  reject(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.flowPaused = false;
    }
    this.#lowerSentCommit();
    return true;
  }

  status(): ProgressStatus {
    return {
      id: this.id,
      match: this.match,
      next: this.next,
      state: this.state,
      pendingSnapshot: this.pendingSnapshot,
      recentActive: this.recentActive,
      paused: this.paused,
      isLearner: this.isLearner,
      inflightCount: this.inflights.count,
      inflightFull: this.inflights.full,
    };
  }

  /** See `describeProgress`. */
  describe(): string {
    return describeProgress(this.status());
  }
}

/** E.g. `StateReplicate match=3 next=4 learner paused inflight=2[full]`. */
export function describeProgress(progress: ProgressStatus): string {
  let text = `${stateNames[progress.state]} match=${progress.match} next=${progress.next}`;
  if (progress.isLearner) text += " learner";
  if (progress.paused) text += " paused";
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.recentActive) text += " inactive";
  if (progress.inflightCount > 0) text += ` inflight=${progress.inflightCount}${progress.inflightFull ? "[full]" : ""}`;
  return text;
}

/** The progress of `id` in a list that is short, so that a scan beats a hash of a bigint. */
export function findProgress(list: readonly Progress[], id: NodeId): Progress | undefined {
  for (let i = 0; i < list.length; i++) {
    const progress = list[i] as Progress;
    if (progress.id === id) return progress;
  }
  return undefined;
}

/** A line `ID: …` for each progress, each ended by a newline. */
export function describeProgressList(list: readonly ProgressStatus[]): string {
  return list.map((progress) => `${describeId(progress.id)}: ${describeProgress(progress)}\n`).join("");
}
