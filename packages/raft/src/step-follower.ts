import { describeId } from "./describe.js";
import { malformed, proposalDropped, type Refusal } from "./errors.js";
import type { Raft } from "./raft.js";
import { type Message, MessageType, none } from "./types.js";

/** What a follower or learner does with a message of its own term. */
export function stepFollower(raft: Raft, message: Message): Refusal | undefined {
  const { logger, name, term, lead } = raft;
  const { from } = message;
  switch (message.type) {
    case MessageType.prop:
      if (lead === none) {
        logger.info(`${name} no leader at term ${term}; dropping proposal`);
        return proposalDropped;
      }
      if (raft.config.disableProposalForwarding) {
        logger.info(`${name} not forwarding to leader ${describeId(lead)} at term ${term}; dropping proposal`);
        return proposalDropped;
      }
      raft.forwardToLeader(message);
      return undefined;
    case MessageType.app:
      raft.electionElapsed = 0;
      raft.lead = from;
      return raft.handleAppend(message);
    case MessageType.heartbeat:
      raft.electionElapsed = 0;
      raft.lead = from;
      return raft.handleHeartbeat(message);
    case MessageType.snap:
      raft.electionElapsed = 0;
      raft.lead = from;
      return raft.handleSnapshot(message);
    case MessageType.transferLeader:
      if (lead === none) logger.info(`${name} no leader at term ${term}; dropping leader transfer msg`);
      else raft.forwardToLeader(message);
      return undefined;
    case MessageType.forgetLeader:
      if (raft.config.readOnlyOption === "lease-based") {
        // Forgetting it could let another leader be elected while this one's lease still answers reads.
        logger.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
      } else if (lead !== none) {
        logger.info(`${name} forgetting leader ${describeId(lead)} at term ${term}`);
        raft.lead = none;
      }
      return undefined;
    case MessageType.timeoutNow:
      logger.info(
        `${name} [term ${term}] received MsgTimeoutNow from ${describeId(from)} and starts an election to get leadership.`,
      );
      // Leadership was offered: asking for pre-votes would only lose time.
      raft.hup("transfer");
      return undefined;
    case MessageType.readIndex:
      if (lead === none) logger.info(`${name} no leader at term ${term}; dropping index reading msg`);
      else raft.forwardToLeader(message);
      return undefined;
    case MessageType.readIndexResp: {
      const context = message.entries[0]?.data;
      if (message.entries.length !== 1 || context === undefined) {
        const count = message.entries.length;
        logger.error(`${name} invalid format of MsgReadIndexResp from ${describeId(from)}, entries count: ${count}`);
        return malformed("MsgReadIndexResp without one context");
      }
      raft.readStates.push({ index: message.index, requestContext: context });
      return undefined;
    }
    default:
      return undefined;
  }
}
