/** Configuration changes: their data, and what they ask for. Source: raftpb ConfChange, ConfChangeV2; thesis §4. */

import type { NodeId } from "./types.js";

export const ConfChangeType = { addNode: 0, removeNode: 1, updateNode: 2, addLearnerNode: 3 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

export const ConfChangeTransition = { auto: 0, jointImplicit: 1, jointExplicit: 2 } as const;
/**
 * How to get to the new configuration. `auto`: directly when that is safe, else as `jointImplicit`. `jointImplicit`:
 * through a joint configuration that the leader leaves by itself. `jointExplicit`: through one that is left by
 * proposing an empty change.
 */
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

/** One step of a change. `nodeId` 0 is skipped; `updateNode` changes nothing in Raft. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly nodeId: NodeId;
}

/** A change of one node, the only kind that etcd proposes. `id` and `context` are the application's. */
export interface ConfChange extends ConfChangeSingle {
  readonly id: bigint;
  readonly context: Uint8Array | undefined;
}

/** A change of any number of nodes. Without changes and with transition `auto` it leaves a joint configuration. */
export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Uint8Array | undefined;
}

/** Whether `change` is of the second kind. */
export function isConfChangeV2(change: ConfChange | ConfChangeV2): change is ConfChangeV2 {
  return "changes" in change;
}

/** The same change in the second form. */
export function toConfChangeV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if (isConfChangeV2(change)) return change;
  return {
    transition: ConfChangeTransition.auto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** Whether the change asks to leave a joint configuration. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === ConfChangeTransition.auto && change.changes.length === 0;
}

/** Whether the change needs a joint configuration, and whether the leader is to leave that by itself. */
export function entersJoint(change: ConfChangeV2): { readonly joint: boolean; readonly autoLeave: boolean } {
  const joint = change.transition !== ConfChangeTransition.auto || change.changes.length > 1;
  return { joint, autoLeave: joint && change.transition !== ConfChangeTransition.jointExplicit };
}
