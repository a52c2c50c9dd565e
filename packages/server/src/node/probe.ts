/** What the HTTP endpoints ask of the member. */

import { errorSpecs } from "@etcd-ts/api";
import { RaftState } from "@etcd-ts/raft";
import type { MemberProbe, RaftStatus } from "../http/client-handler.js";
import type { Member } from "./member.js";
import type { Refusal } from "./refusal.js";

const alarmNames: Readonly<Record<number, string>> = { 1: "NOSPACE", 2: "CORRUPT" };
const stateNames = {
  [RaftState.follower]: "StateFollower",
  [RaftState.candidate]: "StateCandidate",
  [RaftState.leader]: "StateLeader",
  [RaftState.preCandidate]: "StatePreCandidate",
} as const;

function textOf(refusal: Refusal): string {
  return typeof refusal === "string" ? errorSpecs[refusal].message : refusal.message;
}

export function memberProbe(member: Member): MemberProbe {
  return {
    alarms: () => member.alarms.get(0).map((alarm) => alarmNames[alarm.alarm] ?? "UNKNOWN"),
    hasLeader: () => member.leader !== 0n,
    isLearner: () => member.isLearner,
    serializableRead: () => Promise.resolve(undefined),
    linearizableRead: () =>
      new Promise((resolve) => {
        member.linearizableRead((refusal) => resolve(refusal === undefined ? undefined : textOf(refusal)));
      }),
    clusterVersion: () => member.membership.clusterVersion(),
    storageVersion: () => member.storageVersion || undefined,
    raftStatus: (): RaftStatus => {
      const { id, hardState, softState, applied, leadTransferee, progress } = member.raftStatus();
      const { term, vote, commit } = hardState;
      const { lead } = softState;
      return {
        id,
        term,
        vote,
        commit,
        lead,
        raftState: stateNames[softState.raftState],
        applied,
        leadTransferee,
        progress,
      };
    },
  };
}
