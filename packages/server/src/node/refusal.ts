/** Why the member did not do what was asked. */

import type { Reason } from "@etcd-ts/api";

/** A gRPC code and text that are not in etcd's error table: what Go's libraries answer with by themselves. */
export interface PlainStatus {
  readonly code: number;
  readonly message: string;
}

export type Refusal = Reason | PlainStatus;

/** A proposal that raft never took: its context ran out first. Source: grpc-go. */
export const deadlineExceeded: PlainStatus = { code: 4, message: "context deadline exceeded" };
/** Source: etcd-io/raft ErrProposalDropped, which etcd does not map. */
export const proposalDropped: PlainStatus = { code: 2, message: "raft proposal dropped" };
