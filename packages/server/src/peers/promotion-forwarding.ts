/**
 * Asks the leader's peer port to promote a learner. Source: etcd server/etcdserver/cluster_util.go promoteMemberHTTP.
 */

import type { Refusal } from "../node/refusal.js";
import { askLeader, type LeaderLookup } from "./leader-requests.js";

interface Answer {
  readonly refusal: Refusal | undefined;
}

export async function forwardPromotion(lookup: LeaderLookup, id: bigint): Promise<Refusal | undefined> {
  const request = { path: `/members/promote/${id}`, headers: {}, body: new Uint8Array(0), pauseMs: 50 };
  try {
    const { refusal } = await askLeader<Answer>(lookup, request, ({ status, body }) => {
      if (status === 200) return { refusal: undefined };
      if (status === 404) return { refusal: "memberNotFound" };
      if (status !== 412) return undefined;
      const isReady = !String.fromCharCode(...body.subarray(0, 256)).includes("in sync with leader");
      return { refusal: isReady ? "memberNotLearner" : "learnerNotReady" };
    });
    return refusal;
  } catch (error) {
    return error as Refusal;
  }
}
