/**
 * `--force-new-cluster`: the way out when a majority is lost for good. What this member holds is taken as committed as
 * far as it was known to be, the rest of its log is dropped, and all other members are removed by entries that nobody
 * voted on.
 *
 * Source: etcd server/etcdserver/bootstrap.go bootstrapWALFromSnapshot, server/storage/util.go CreateConfigChangeEnts.
 */

import { messageBytes } from "@etcd-ts/api";
import { decodeConfChange, encodeConfChange, sizeConfChange } from "@etcd-ts/api/raftpb";
import { type ConfChange, ConfChangeType, type Entry, EntryType, type HardState } from "@etcd-ts/raft";
import type { Member } from "@etcd-ts/store";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { Env } from "../env.js";
import { hexId } from "../peers/identity.js";
import type { OpenedWal } from "../wal/wal.js";

interface Identity {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Members as of the last entry that the database has. */
  readonly applied: { readonly index: number; readonly members: readonly Member[] };
}

/** What raft starts from, durable in the log. Rejects with `BootstrapError` or `DiskError`. */
export async function forceNewCluster(
  env: Pick<Env, "logger">,
  opened: Pick<OpenedWal, "entries" | "hardState" | "wal">,
  { memberId, clusterId, applied }: Identity,
): Promise<{ readonly hardState: HardState; readonly entries: readonly Entry[] }> {
  const commit = Math.max(opened.hardState.commit, applied.index);
  const committed = opened.entries.filter(({ index }) => index <= commit);
  if (committed.length < opened.entries.length) {
    env.logger.log("info", "discarding uncommitted WAL entries", {
      "entry-index": commit + 1,
      "commit-index-from-wal": commit,
      "number-of-discarded-entries": opened.entries.length - committed.length,
    });
  }
  const ids = membersAfter(
    applied.members,
    committed.filter(({ index }) => index > applied.index),
  );
  if (ids.get(memberId) !== "voter") {
    // Nobody would be left to vote.
    throw new BootstrapError("--force-new-cluster needs the data of a voting member");
  }
  const others = [...ids.keys()].filter((id) => id !== memberId).sort((a, b) => (a < b ? -1 : 1));
  const { term } = opened.hardState;
  const removals = others.map((nodeId, i) => removal(nodeId, term, commit + 1 + i));
  const hardState = { ...opened.hardState, commit: commit + removals.length };
  if (removals.length > 0) await opened.wal.save(hardState, removals);
  env.logger.log("info", "forcing restart member", {
    "cluster-id": hexId(clusterId),
    "local-member-id": hexId(memberId),
    "wal-commit-index": opened.hardState.commit,
    "commit-index": hardState.commit,
  });
  return { hardState, entries: [...committed, ...removals] };
}

function membersAfter(members: readonly Member[], entries: readonly Entry[]): ReadonlyMap<bigint, "voter" | "learner"> {
  const ids = new Map<bigint, "voter" | "learner">();
  for (const { id, isLearner } of members) ids.set(id, isLearner ? "learner" : "voter");
  for (const { type, data } of entries) {
    if (type !== EntryType.confChange || data === undefined) continue;
    const { type: kind, nodeId } = decodeConfChange(data);
    if (kind === ConfChangeType.addNode) ids.set(nodeId, "voter");
    else if (kind === ConfChangeType.addLearnerNode) ids.set(nodeId, "learner");
    else if (kind === ConfChangeType.removeNode) ids.delete(nodeId);
  }
  return ids;
}

function removal(nodeId: bigint, term: number, index: number): Entry {
  const change: Pick<ConfChange, "nodeId" | "type"> = { type: ConfChangeType.removeNode, nodeId };
  const data = messageBytes({ size: sizeConfChange, encode: encodeConfChange }, change);
  return { type: EntryType.confChange, term, index, data };
}
