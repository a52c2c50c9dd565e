/** etcdserverpb.Cluster. Source: etcd server/etcdserver/api/v3rpc/member.go. */

import { cluster } from "@etcd-ts/api";
import type { MemberInit } from "@etcd-ts/api/etcdserverpb";
import type { ServiceTable } from "@etcd-ts/grpc";
import type { Member as ClusterMember } from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { unary } from "./method.js";
import { refuse } from "./status.js";

export function memberFields(member: ClusterMember): MemberInit {
  return {
    id: member.id,
    name: member.name,
    peerUrls: member.peerUrls,
    clientUrls: member.clientUrls,
    isLearner: member.isLearner,
  };
}

export function clusterServices(member: Member): ServiceTable {
  return new Map([
    unary(cluster.memberList, (call, request, respond) => {
      const answer = (): void =>
        respond({ header: member.headerFields(0), members: member.membership.members().map(memberFields) });
      if (!request.linearizable) return answer();
      member.linearizableRead((refusal) => (refusal === undefined ? answer() : refuse(call, refusal)));
    }),
  ]);
}
