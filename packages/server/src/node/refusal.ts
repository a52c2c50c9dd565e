/** Why the member did not do what was asked. */

import { errorSpecs, type Reason } from "@etcd-ts/api";

/** A gRPC code and text that are not in etcd's error table: what Go's libraries answer with by themselves. */
export interface PlainStatus {
  readonly code: number;
  readonly message: string;
}

export type Refusal = Reason | PlainStatus;

/** The only place where an etcd reason meets its code and text. */
export function plainStatusOf(refusal: Refusal): PlainStatus {
  return typeof refusal === "string" ? errorSpecs[refusal] : refusal;
}

/** A proposal that raft never took: its context ran out first. Source: grpc-go. */
export const deadlineExceeded: PlainStatus = { code: 4, message: "context deadline exceeded" };
/** Source: etcd-io/raft ErrProposalDropped, which etcd does not map. */
export const proposalDropped: PlainStatus = { code: 2, message: "raft proposal dropped" };
