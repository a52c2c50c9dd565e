import { describeId, describeMessageType, describeState } from "./describe.js";
import { proposalDropped, type Refusal } from "./errors.js";
import type { Raft } from "./raft.js";
import { type Message, MessageType, none, RaftState } from "./types.js";

/** What a candidate or pre-candidate does with a message of its own term. */
export function stepCandidate(raft: Raft, message: Message): Refusal | undefined {
  const { logger, name, term } = raft;
  const preCandidate = raft.state === RaftState.preCandidate;
  switch (message.type) {
    case MessageType.prop:
      logger.info(`${name} no leader at term ${term}; dropping proposal`);
      return proposalDropped;
    // Whoever sends these has won the election of this term.
    case MessageType.app:
      raft.becomeFollower(message.term, message.from);
      return raft.handleAppend(message);
    case MessageType.heartbeat:
      raft.becomeFollower(message.term, message.from);
      return raft.handleHeartbeat(message);
    case MessageType.snap:
      raft.becomeFollower(message.term, message.from);
      return raft.handleSnapshot(message);
    case MessageType.preVoteResp:
      if (preCandidate) countVote(raft, message);
      return undefined;
    case MessageType.voteResp:
      if (!preCandidate) countVote(raft, message);
      return undefined;
    case MessageType.timeoutNow:
      logger.debug(
        `${name} [term ${term} state ${describeState(raft.state)}] ignored MsgTimeoutNow from ${describeId(message.from)}`,
      );
      return undefined;
    default:
      return undefined;
  }
}

function countVote(raft: Raft, { type, from, reject }: Message): void {
  const { logger, name, tracker } = raft;
  const typeName = describeMessageType(type);
  logger.info(
    `${name} received ${typeName}${reject ? " rejection" : ""} from ${describeId(from)} at term ${raft.term}`,
  );
  tracker.recordVote(from, !reject);
  const { granted, rejected, result } = tracker.tallyVotes();
  logger.info(`${name} has received ${granted} ${typeName} votes and ${rejected} vote rejections`);
  if (result === "lost") {
    raft.becomeFollower(raft.term, none);
  } else if (result === "won") {
    if (raft.state === RaftState.preCandidate) {
      raft.campaign("election");
    } else {
      raft.becomeLeader();
      raft.broadcastAppend();
    }
  }
}
