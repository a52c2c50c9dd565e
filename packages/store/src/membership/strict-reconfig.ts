/**
 * What `--strict-reconfig-check` refuses before a change of the member table is proposed: one that would leave the
 * cluster without a quorum of started, connected voters. Functions of the member table and of what the leader sees; a
 * refusal is a `Reason`. Source: server/etcdserver/server.go (AddMember, mayRemoveMember, mayPromote),
 * api/membership/cluster.go (IsReadyTo…).
 */

import type { Reason } from "@etcd-ts/api";
import { isStarted, type Member } from "./member.js";

/** What the asked member knows of the connections to its peers. */
export interface Connections {
  /** The member asked. */
  readonly self: bigint;
  /** Connected without interruption for at least the health interval, 5 s. Not asked for `self`. */
  isHealthy(id: bigint): boolean;
  /** Connected at this moment. Not asked for `self`. */
  isActive(id: bigint): boolean;
}

export function refuseAdd(
  members: readonly Member[],
  isLearner: boolean,
  connections: Connections,
): Reason | undefined {
  const voters = members.filter((member) => !member.isLearner);
  const started = voters.filter(isStarted).length;
  // The second member of a cluster of one has no other way in: until it starts, one of two is started.
  const isFirstAdd = started === 1 && voters.length === 1;
  if (!isLearner && !isFirstAdd && started < quorum(voters.length + 1)) return "memberNotEnoughStarted";
  if (voters.length !== 1 && countHealthy(voters, connections) < quorum(voters.length + 1)) return "unhealthy";
  return undefined;
}

export function refuseRemove(members: readonly Member[], id: bigint, connections: Connections): Reason | undefined {
  const target = members.find((member) => member.id === id);
  if (target?.isLearner === true) return undefined;
  const voters = members.filter((member) => !member.isLearner);
  const others = voters.filter((member) => member.id !== id);
  if (others.filter(isStarted).length < quorum(others.length)) return "memberNotEnoughStarted";
  // A member that is down is not part of the active quorum: its removal takes nothing from it.
  if (id !== connections.self && !connections.isActive(id)) return undefined;
  const healthy = countHealthy(voters, connections);
  return healthy - 1 < 1 + Math.floor((voters.length - 1) / 2) ? "unhealthy" : undefined;
}

export function refusePromote(members: readonly Member[]): Reason | undefined {
  const voters = members.filter((member) => !member.isLearner);
  // The promoted learner counts as started: it has caught up.
  const started = voters.filter(isStarted).length + 1;
  return started < quorum(voters.length + 1) ? "memberNotEnoughStarted" : undefined;
}

/** A learner is in sync when it has this share of the leader's log. */
const learnerReadyShare = 0.9;

/** Whether a learner, with the indexes raft knows of it and of the leader, may be promoted. */
export function isLearnerReady(learnerMatch: number, leaderMatch: number): boolean {
  return learnerMatch >= leaderMatch * learnerReadyShare;
}

function quorum(count: number): number {
  return Math.floor(count / 2) + 1;
}

function countHealthy(voters: readonly Member[], connections: Connections): number {
  return voters.filter((member) => member.id === connections.self || connections.isHealthy(member.id)).length;
}
