/** What the services that propose share: the answer to a request that had no result. */

import type { ServerCall } from "@etcd-ts/grpc";
import type { ProposalOutcome } from "../node/proposals.js";
import { refuse } from "./status.js";

/**
 * Ends a call whose proposal was refused or failed. An outcome of another request's kind cannot be met: ids are unique.
 */
export function refuseProposal(call: ServerCall, outcome: ProposalOutcome): void {
  if (outcome.kind === "refused") refuse(call, outcome.reason);
  else if (outcome.kind === "failed") refuse(call, outcome.refusal);
  else throw new Error(`assertion failed: a proposal's outcome is its own, not that of a ${outcome.kind}`);
}
