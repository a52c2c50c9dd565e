/**
 * Making a learner a voter: only the leader knows whether it has caught up, so other members forward the request.
 *
 * Source: etcd server/etcdserver/server.go PromoteMember, promoteMember, mayPromoteMember.
 */

import { isLearnerReady, promoteMemberChange, refusePromote } from "@etcd-ts/store";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import type { Member } from "./member.js";
import { plainStatusOf, type Refusal } from "./refusal.js";

const appliedWaitMs = 1000;

export interface PromotionOptions {
  readonly strictReconfigCheck: boolean;
}

/** `done` gets a refusal, or undefined once the learner votes. Returns a function that gives up the wait. */
export function promoteMember(
  member: Member,
  id: bigint,
  options: PromotionOptions,
  done: (refusal: Refusal | undefined) => void,
): () => void {
  let cancel: (() => void) | undefined;
  let cancelled = false;
  member.waitApplied(appliedWaitMs, (reached) => {
    if (cancelled) return;
    if (!reached) return done("timeoutWaitAppliedIndex");
    if (member.isLeader) cancel = promoteHere(member, id, options, done);
    else member.forwardPromotion(id, counted(member.metrics, done));
  });
  return () => {
    cancelled = true;
    cancel?.();
  };
}

/** On the leader. */
export function promoteHere(
  member: Member,
  id: bigint,
  options: PromotionOptions,
  done: (refusal: Refusal | undefined) => void,
): () => void {
  const end = counted(member.metrics, done);
  const reason = refusalHere(member, id, options);
  if (reason !== undefined) {
    end(reason);
    return () => {};
  }
  return member.proposeConfChange(promoteMemberChange(id), (outcome) => {
    end(outcome.kind === "refused" ? outcome.reason : undefined);
  });
}

function counted(metrics: MemberMetrics, done: (refusal: Refusal | undefined) => void): typeof done {
  return (refusal) => {
    if (refusal === undefined) metrics.learnerPromoteSuccesses++;
    else metrics.learnerPromoteFailures.with(plainStatusOf(refusal).message).value++;
    done(refusal);
  };
}

function refusalHere(member: Member, id: bigint, options: PromotionOptions): Refusal | undefined {
  const { progress } = member.raftStatus();
  const learner = progress.find((one) => one.id === id);
  const leader = progress.find((one) => one.id === member.memberId);
  if (learner === undefined || leader === undefined) return "memberNotFound";
  if (!learner.isLearner) return "memberNotLearner";
  if (!isLearnerReady(learner.match, leader.match)) return "learnerNotReady";
  return options.strictReconfigCheck ? refusePromote(member.membership.members()) : undefined;
}
