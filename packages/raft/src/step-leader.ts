import { type ConfChange, type ConfChangeV2, toConfChangeV2 } from "./conf-change.js";
import { entryConfChange } from "./conf-change-codec.js";
import { describeConfChange, describeConfig, describeId } from "./describe.js";
import { malformed, proposalDropped, type Refusal } from "./errors.js";
import type { Progress } from "./progress.js";
import type { Raft } from "./raft.js";
import { type Entry, EntryType, type Message, MessageType, none } from "./types.js";

/** Reads waiting for a leader's first commit or confirmation; above it they are dropped, as if lost on the way. */
const maxPendingReads = 1 << 16;

/** What a leader does with a message of its own term. */
export function stepLeader(raft: Raft, message: Message): Refusal | undefined {
  switch (message.type) {
    case MessageType.beat:
      raft.broadcastHeartbeat();
      return undefined;
    case MessageType.checkQuorum:
      checkQuorum(raft);
      return undefined;
    case MessageType.prop:
      return propose(raft, message.entries);
    case MessageType.readIndex:
      readIndex(raft, message);
      return undefined;
    case MessageType.appResp:
    case MessageType.heartbeatResp:
    case MessageType.snapStatus:
    case MessageType.unreachable:
    case MessageType.transferLeader:
      return stepPeer(raft, message);
    default:
      return undefined;
  }
}

/** The messages that concern one follower. */
function stepPeer(raft: Raft, message: Message): Refusal | undefined {
  const progress = raft.tracker.get(message.from);
  if (progress === undefined) {
    raft.logger.debug(`${raft.name} no progress available for ${describeId(message.from)}`);
    return undefined;
  }
  switch (message.type) {
    case MessageType.appResp:
      progress.recentActive = true;
      return message.reject ? handleRejection(raft, progress, message) : handleAck(raft, progress, message.index);
    case MessageType.heartbeatResp:
      handleHeartbeatResp(raft, progress, message);
      return undefined;
    case MessageType.snapStatus:
      handleSnapStatus(raft, progress, message);
      return undefined;
    case MessageType.unreachable:
      // With a message lost, the rest of the stream would only be rejected.
      if (progress.state === "replicate") progress.becomeProbe();
      raft.logger.debug(
        `${raft.name} failed to send message to ${describeId(progress.id)} because it is unreachable [${progress.describe()}]`,
      );
      return undefined;
    case MessageType.transferLeader:
      transferLeader(raft, progress);
      return undefined;
    default:
      return undefined;
  }
}

function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.logger.warning(`${raft.name} stepped down to follower since quorum is not active`);
    raft.becomeFollower(raft.term, none);
  }
  for (const progress of raft.tracker.progress) {
    if (progress.id !== raft.id) progress.recentActive = false;
  }
}

// ---- Proposals ------------------------------------------------------------------------------------------------------

/** Appends proposed entries to the log and sends them; terms and indexes of `proposed` do not matter. */
export function propose(raft: Raft, proposed: readonly Pick<Entry, "type" | "data">[]): Refusal | undefined {
  if (proposed.length === 0) return malformed("MsgProp without entries");
  // Removed, but still leading until another one takes over: nothing new is accepted.
  if (raft.tracker.get(raft.id) === undefined) return proposalDropped;
  if (raft.leadTransferee !== none) {
    raft.logger.debug(
      `${raft.name} [term ${raft.term}] transfer leadership to ${describeId(raft.leadTransferee)} is in progress; ` +
        "dropping proposal",
    );
    return proposalDropped;
  }
  const entries = proposed.every((entry) => entry.type === EntryType.normal) ? proposed : admitChanges(raft, proposed);
  if ("code" in entries) return entries;
  if (!raft.appendEntries(entries)) return proposalDropped;
  raft.broadcastAppend();
  return undefined;
}

/** Replaces configuration changes that must not be proposed now by empty entries, and notes the others. */
function admitChanges(
  raft: Raft,
  proposed: readonly Pick<Entry, "type" | "data">[],
): readonly Pick<Entry, "type" | "data">[] | Refusal {
  const admitted: Pick<Entry, "type" | "data">[] = [];
  const last = raft.log.lastIndex();
  for (const { type, data } of proposed) {
    const entry = { type, data };
    if (type !== EntryType.normal) {
      const change = entryConfChange({ term: 0, index: 0, type, data });
      if (change === undefined) return malformed("MsgProp with an undecodable configuration change");
      const reason = reasonAgainst(raft, change);
      if (reason !== undefined && !raft.config.disableConfChangeValidation) {
        const config = describeConfig(raft.tracker.config);
        raft.logger.info(
          `${raft.name} ignoring conf change ${describeConfChange(change)} at config ${config}: ${reason}`,
        );
        admitted.push({ type: EntryType.normal, data: undefined });
        continue;
      }
      raft.pendingConfIndex = last + admitted.length + 1;
    }
    admitted.push(entry);
  }
  return admitted;
}

function reasonAgainst(raft: Raft, change: ConfChange | ConfChangeV2): string | undefined {
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied) {
    return `possible unapplied conf change at index ${raft.pendingConfIndex} (applied to ${applied})`;
  }
  const wantsToLeave = toConfChangeV2(change).changes.length === 0;
  if (raft.tracker.isJoint && !wantsToLeave) return "must transition out of joint config first";
  if (!raft.tracker.isJoint && wantsToLeave) return "not in joint state; refusing empty conf change";
  return undefined;
}

// ---- Replication ----------------------------------------------------------------------------------------------------

/** The follower has everything up to `index`. */
function handleAck(raft: Raft, progress: Progress, index: number): Refusal | undefined {
  if (index > raft.log.lastIndex()) return malformed(`MsgAppResp for entry ${index}, which is beyond the log`);
  const isNews = progress.acknowledge(index);
  // Without news a probe still ends: the follower has answered.
  if (!isNews && !(progress.match === index && progress.state === "probe")) return undefined;
  const isPeer = progress.id !== raft.id;
  if (progress.state === "probe") {
    progress.becomeReplicate();
  } else if (progress.state === "replicate") {
    progress.inflights.freeTo(index);
  } else if (progress.match + 1 >= raft.log.firstIndex()) {
    // Whatever snapshot it got, it can go on from our log now.
    raft.logger.debug(
      `${raft.name} recovered from needing snapshot, resumed sending replication messages ` +
        `to ${describeId(progress.id)} [${progress.describe()}]`,
    );
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  if (raft.maybeCommit()) {
    releaseReads(raft);
    raft.broadcastAppend();
  } else if (isPeer && progress.canBumpCommit(raft.log.committed)) {
    raft.sendAppend(progress);
  }
  if (!isPeer) return undefined;
  // The window has room again: send as much as goes.
  while (raft.maybeSendAppend(progress, { evenIfEmpty: false }));
  if (progress.id === raft.leadTransferee && progress.match === raft.log.lastIndex()) {
    raft.logger.info(`${raft.name} sent MsgTimeoutNow to ${describeId(progress.id)} after received MsgAppResp`);
    raft.sendTimeoutNow(progress.id);
  }
  return undefined;
}

/** The follower's log does not match at `message.index`. */
function handleRejection(raft: Raft, progress: Progress, message: Message): Refusal | undefined {
  const { index, rejectHint, logTerm } = message;
  raft.logger.debug(
    `${raft.name} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) ` +
      `from ${describeId(progress.id)} for index ${index}`,
  );
  // Skip the entries of ours whose terms are above the hint's: they cannot be in the follower's log. The hint is
  // bounded by our log, so that a wrong one costs no long search.
  const hint = logTerm > 0 ? raft.log.findConflictByTerm(Math.min(rejectHint, index), logTerm).index : rejectHint;
  if (!progress.reject(index, hint)) return undefined;
  raft.logger.debug(`${raft.name} decreased progress of ${describeId(progress.id)} to [${progress.describe()}]`);
  if (progress.state === "replicate") progress.becomeProbe();
  raft.sendAppend(progress);
  return undefined;
}

function handleHeartbeatResp(raft: Raft, progress: Progress, { context }: Message): void {
  progress.recentActive = true;
  progress.flowPaused = false;
  // Also when the window is full: the empty append that goes then finds out whether all of it was lost.
  if (progress.match < raft.log.lastIndex() || progress.state === "probe") raft.sendAppend(progress);
  if (raft.config.readOnlyOption !== "safe" || context === undefined) return;
  const position = raft.readOnly.position(context);
  if (position !== undefined) confirmReads(raft, progress.id, position);
}

function handleSnapStatus(raft: Raft, progress: Progress, { reject }: Message): void {
  if (progress.state !== "snapshot") return;
  if (reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  raft.logger.debug(
    `${raft.name} snapshot ${reject ? "failed" : "succeeded"}, resumed sending replication messages ` +
      `to ${describeId(progress.id)} [${progress.describe()}]`,
  );
  // After a success the answer to the snapshot is due; after a failure a heartbeat's answer tells when to try again.
  progress.flowPaused = true;
}

// ---- Reads ----------------------------------------------------------------------------------------------------------

function readIndex(raft: Raft, message: Message): void {
  if (raft.readsBeforeFirstCommit.length + raft.readOnly.pendingCount >= maxPendingReads) return;
  // Until then the leader does not know how far its predecessors have committed (thesis §6.4).
  if (!raft.committedInOwnTerm()) raft.readsBeforeFirstCommit.push(message);
  else confirmAndAnswer(raft, message);
}

function confirmAndAnswer(raft: Raft, message: Message): void {
  const index = raft.log.committed;
  if (raft.tracker.isOnlyVoter(raft.id) || raft.config.readOnlyOption === "lease-based") {
    raft.answerRead(message, index);
    return;
  }
  const position = raft.readOnly.add({ request: message, index });
  confirmReads(raft, raft.id, position);
  raft.broadcastHeartbeat();
}

function confirmReads(raft: Raft, id: Progress["id"], position: number): void {
  for (const { request, index } of raft.readOnly.acknowledge(id, position, raft.tracker)) {
    raft.answerRead(request, index);
  }
}

/** Answers the reads that waited for the first commit of this term. */
function releaseReads(raft: Raft): void {
  if (raft.readsBeforeFirstCommit.length === 0) return;
  if (!raft.committedInOwnTerm()) {
    raft.logger.error("pending MsgReadIndex should be released only after first commit in current term");
    return;
  }
  const messages = raft.readsBeforeFirstCommit;
  raft.readsBeforeFirstCommit = [];
  for (const message of messages) confirmAndAnswer(raft, message);
}

// ---- Leadership transfer --------------------------------------------------------------------------------------------

/** Source: thesis §3.10. */
function transferLeader(raft: Raft, transferee: Progress): void {
  const { logger, name, term } = raft;
  const peer = describeId(transferee.id);
  if (transferee.isLearner) {
    logger.debug(`${name} is learner. Ignored transferring leadership`);
    return;
  }
  if (raft.leadTransferee === transferee.id) {
    logger.info(
      `${name} [term ${term}] transfer leadership to ${peer} is in progress, ignores request to same node ${peer}`,
    );
    return;
  }
  if (raft.leadTransferee !== none) {
    const previous = describeId(raft.leadTransferee);
    raft.abortLeaderTransfer();
    logger.info(`${name} [term ${term}] abort previous transferring leadership to ${previous}`);
  }
  if (transferee.id === raft.id) {
    logger.debug(`${name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  logger.info(`${name} [term ${term}] starts to transfer leadership to ${peer}`);
  // It has an election timeout to take over.
  raft.electionElapsed = 0;
  raft.leadTransferee = transferee.id;
  if (transferee.match === raft.log.lastIndex()) {
    raft.sendTimeoutNow(transferee.id);
    logger.info(`${name} sends MsgTimeoutNow to ${peer} immediately as ${peer} already has up-to-date log`);
  } else {
    raft.sendAppend(transferee);
  }
}
