/**
 * How a configuration becomes another one. Changes are computed on copies: an impossible one leaves everything as it
 * was. Source: etcd-io/raft confchange; thesis §4.1, §4.3.
 */

import { type ConfChangeSingle, ConfChangeType } from "./conf-change.js";
import { assert } from "./errors.js";
import type { Progress } from "./progress.js";
import { type ProgressTracker, sortIds, type Tracking } from "./tracker.js";
import type { ConfState, NodeId } from "./types.js";

/** Why a change is impossible. */
export type ConfChangeFault = { readonly fault: string };

/** Computes configurations that follow from the tracker's current one. */
export class Changer {
  readonly #tracker: ProgressTracker;
  readonly #lastIndex: number;

  /** New nodes are probed from `lastIndex`, where their logs most likely end or a snapshot will be needed anyway. */
  constructor(tracker: ProgressTracker, lastIndex: number) {
    this.#tracker = tracker;
    this.#lastIndex = lastIndex;
  }

  /** Changes at most one voter, without a joint configuration. */
  simple(changes: readonly ConfChangeSingle[]): Tracking | ConfChangeFault {
    if (this.#tracker.isJoint) return { fault: "can't apply simple config change in joint config" };
    const draft = this.#draft();
    const fault = this.#apply(draft, changes);
    if (fault !== undefined) return fault;
    if (difference(this.#tracker.config.voters, draft.voters) > 1) {
      return { fault: "more than one voter changed without entering joint config" };
    }
    return finish(draft);
  }

  /** Makes the current voters the outgoing half and applies the changes to the incoming one. */
  enterJoint(autoLeave: boolean, changes: readonly ConfChangeSingle[]): Tracking | ConfChangeFault {
    if (this.#tracker.isJoint) return { fault: "config is already joint" };
    if (this.#tracker.config.voters.length === 0) return { fault: "can't make a zero-voter config joint" };
    const draft = this.#draft();
    draft.outgoing = new Set(draft.voters);
    const fault = this.#apply(draft, changes);
    if (fault !== undefined) return fault;
    draft.autoLeave = autoLeave;
    return finish(draft);
  }

  /** Drops the outgoing half. */
  leaveJoint(): Tracking | ConfChangeFault {
    if (!this.#tracker.isJoint) return { fault: "can't leave a non-joint config" };
    const draft = this.#draft();
    for (const id of draft.learnersNext) {
      draft.learners.add(id);
      changeRole(draft, id, { isLearner: true });
    }
    draft.learnersNext.clear();
    for (const id of draft.outgoing) {
      if (!draft.voters.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
    }
    draft.outgoing.clear();
    draft.autoLeave = false;
    return finish(draft);
  }

  #draft(): Draft {
    const { config, progress } = this.#tracker;
    return {
      voters: new Set(config.voters),
      outgoing: new Set(config.votersOutgoing),
      learners: new Set(config.learners),
      learnersNext: new Set(config.learnersNext),
      autoLeave: config.autoLeave,
      progress: new Map(progress.map((one) => [one.id, one])),
    };
  }

  #apply(draft: Draft, changes: readonly ConfChangeSingle[]): ConfChangeFault | undefined {
    for (const { type, nodeId } of changes) {
      if (nodeId === 0n) continue;
      switch (type) {
        case ConfChangeType.addNode:
          this.#makeVoter(draft, nodeId);
          break;
        case ConfChangeType.addLearnerNode:
          this.#makeLearner(draft, nodeId);
          break;
        case ConfChangeType.removeNode:
          remove(draft, nodeId);
          break;
        case ConfChangeType.updateNode:
          break;
        default:
          return { fault: `unexpected conf type ${type satisfies never}` };
      }
    }
    return draft.voters.size === 0 ? { fault: "removed all voters" } : undefined;
  }

  #makeVoter(draft: Draft, id: NodeId): void {
    draft.voters.add(id);
    draft.learners.delete(id);
    draft.learnersNext.delete(id);
    if (draft.progress.has(id)) changeRole(draft, id, { isLearner: false });
    else this.#addProgress(draft, id, { isLearner: false });
  }

  /**
   * A voter of the outgoing half stays one until the joint configuration is left (`learnersNext`): it must not be
   * counted as a learner while its vote is needed.
   */
  #makeLearner(draft: Draft, id: NodeId): void {
    if (draft.progress.get(id)?.isLearner) return;
    draft.voters.delete(id);
    if (draft.outgoing.has(id)) {
      draft.learnersNext.add(id);
      return;
    }
    draft.learners.add(id);
    if (draft.progress.has(id)) changeRole(draft, id, { isLearner: true });
    else this.#addProgress(draft, id, { isLearner: true });
  }

  #addProgress(draft: Draft, id: NodeId, { isLearner }: { readonly isLearner: boolean }): void {
    const progress = this.#tracker.newProgress(id, { next: Math.max(this.#lastIndex, 1), isLearner });
    // A new node is taken for alive, lest a quorum check fail before it could ever answer.
    progress.recentActive = true;
    draft.progress.set(id, progress);
  }
}

interface Draft {
  voters: Set<NodeId>;
  outgoing: Set<NodeId>;
  learners: Set<NodeId>;
  learnersNext: Set<NodeId>;
  autoLeave: boolean;
  progress: Map<NodeId, Progress>;
}

/** Removes a node; its progress is kept while the outgoing half still needs it. */
function remove(draft: Draft, id: NodeId): void {
  draft.voters.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  if (!draft.outgoing.has(id)) draft.progress.delete(id);
}

function changeRole(draft: Draft, id: NodeId, { isLearner }: { readonly isLearner: boolean }): void {
  const progress = draft.progress.get(id);
  if (progress === undefined || progress.isLearner === isLearner) return;
  const changed = progress.copy();
  changed.isLearner = isLearner;
  draft.progress.set(id, changed);
}

/** How many ids are in one of the two only. */
function difference(before: readonly NodeId[], after: ReadonlySet<NodeId>): number {
  const removed = before.filter((id) => !after.has(id)).length;
  return removed + after.size - (before.length - removed);
}

function finish(draft: Draft): Tracking {
  for (const id of draft.learnersNext) assert(draft.outgoing.has(id), "a voter to be demoted is not outgoing");
  for (const id of draft.learners) assert(!draft.voters.has(id) && !draft.outgoing.has(id), "a learner is a voter");
  for (const id of [...draft.voters, ...draft.outgoing, ...draft.learners]) {
    assert(draft.progress.has(id), "a node of the configuration has no progress");
  }
  return {
    config: {
      voters: sortIds(draft.voters),
      votersOutgoing: sortIds(draft.outgoing),
      learners: sortIds(draft.learners),
      learnersNext: sortIds(draft.learnersNext),
      autoLeave: draft.autoLeave,
    },
    progress: sortIds(draft.progress.keys()).map((id) => draft.progress.get(id) as Progress),
  };
}

/**
 * Brings a tracker without any node to `state`, as read from a snapshot or a storage. Only changes that a group could
 * have gone through are made, so that a state that no group can be in is found out: a fault.
 */
export function restoreConfig(
  tracker: ProgressTracker,
  lastIndex: number,
  state: ConfState,
): ConfChangeFault | undefined {
  const changer = new Changer(tracker, lastIndex);
  const steps: (() => Tracking | ConfChangeFault)[] = [];
  const simple = (type: ConfChangeType, ids: readonly NodeId[]) => {
    for (const nodeId of ids) steps.push(() => changer.simple([{ type, nodeId }]));
  };
  if (state.votersOutgoing.length === 0) {
    simple(ConfChangeType.addNode, state.voters);
    simple(ConfChangeType.addLearnerNode, state.learners);
    simple(ConfChangeType.addLearnerNode, state.learnersNext);
  } else {
    simple(ConfChangeType.addNode, state.votersOutgoing);
    const all = (type: ConfChangeType, ids: readonly NodeId[]) => ids.map((nodeId) => ({ type, nodeId }));
    steps.push(() =>
      changer.enterJoint(state.autoLeave, [
        ...all(ConfChangeType.removeNode, state.votersOutgoing),
        ...all(ConfChangeType.addNode, state.voters),
        ...all(ConfChangeType.addLearnerNode, state.learners),
        ...all(ConfChangeType.addLearnerNode, state.learnersNext),
      ]),
    );
  }
  for (const step of steps) {
    const next = step();
    if ("fault" in next) return next;
    tracker.switchTo(next);
  }
  return equalConfStates(tracker.config, state) ? undefined : { fault: "not a state that a group can be in" };
}

/** Whether two states hold the same nodes in the same roles, in any order. */
export function equalConfStates(a: ConfState, b: ConfState): boolean {
  const equal = (x: readonly NodeId[], y: readonly NodeId[]) =>
    x.length === y.length && sortIds(x).join() === sortIds(y).join();
  return (
    equal(a.voters, b.voters) &&
    equal(a.votersOutgoing, b.votersOutgoing) &&
    equal(a.learners, b.learners) &&
    equal(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}
