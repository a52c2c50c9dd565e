/** What the services that propose share: the bytes of a request, and the answer to one that had no result. */

import type { MessageCodec } from "@etcd-ts/api";
import type { ServerCall } from "@etcd-ts/grpc";
import type { ProposalOutcome } from "../node/proposals.js";
import { refuse } from "./status.js";

export function encodeRequest<M, Init>(codec: MessageCodec<M, Init>, request: Init): Uint8Array {
  const bytes = new Uint8Array(codec.size(request));
  codec.encode(request, bytes, 0);
  return bytes;
}

/** Ends a call whose proposal was refused or failed. An outcome of another request's kind cannot be met: ids are unique. */
export function refuseProposal(call: ServerCall, outcome: ProposalOutcome): void {
  if (outcome.kind === "refused") refuse(call, outcome.reason);
  else if (outcome.kind === "failed") refuse(call, outcome.refusal);
  else throw new Error(`assertion failed: a proposal's outcome is its own, not that of a ${outcome.kind}`);
}
