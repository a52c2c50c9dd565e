/** Membership. Source: etcd client/v3/cluster.go. */

import { cluster } from "@etcd-ts/api";
import type {
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { Answer, Caller, CallOptions } from "./caller.js";

const repeatable = { repeatable: true };
const once = { repeatable: false };

export class ClusterClient {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** `linearizable: false` answers with what the asked member knows. Default true. */
  memberList(options: CallOptions & { readonly linearizable?: boolean } = {}): Promise<Answer<MemberListResponse>> {
    const { linearizable = true } = options;
    return this.#caller.unary(cluster.memberList, { linearizable }, repeatable, options);
  }

  memberAdd(
    peerUrls: readonly string[],
    options: CallOptions & { readonly learner?: boolean } = {},
  ): Promise<Answer<MemberAddResponse>> {
    return this.#caller.unary(cluster.memberAdd, { peerUrls, isLearner: options.learner }, once, options);
  }

  memberRemove(id: bigint, options: CallOptions = {}): Promise<Answer<MemberRemoveResponse>> {
    return this.#caller.unary(cluster.memberRemove, { id }, once, options);
  }

  memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<Answer<MemberUpdateResponse>> {
    return this.#caller.unary(cluster.memberUpdate, { id, peerUrls }, once, options);
  }

  /** Makes a learner a voter. */
  memberPromote(id: bigint, options: CallOptions = {}): Promise<Answer<MemberPromoteResponse>> {
    return this.#caller.unary(cluster.memberPromote, { id }, once, options);
  }
}
