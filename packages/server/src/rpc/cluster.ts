/** etcdserverpb.Cluster. Source: etcd server/etcdserver/api/v3rpc/member.go, server/etcdserver/server.go. */

import { cluster } from "@etcd-ts/api";
import type { MemberInit } from "@etcd-ts/api/etcdserverpb";
import type { ServerCall, ServiceTable } from "@etcd-ts/grpc";
import {
  addMemberChange,
  type Member as ClusterMember,
  type ConfChange,
  parseUrls,
  refuseAdd,
  refuseRemove,
  removeMemberChange,
  updateMemberChange,
} from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { promoteMember } from "../node/promotion.js";
import { unary } from "./method.js";
import { refuse } from "./status.js";

export interface ClusterServiceOptions {
  readonly strictReconfigCheck: boolean;
}

export function memberFields(member: ClusterMember): MemberInit {
  return {
    id: member.id,
    name: member.name,
    peerUrls: member.peerUrls,
    clientUrls: member.clientUrls,
    isLearner: member.isLearner,
  };
}

export function clusterServices(member: Member, options: ClusterServiceOptions): ServiceTable {
  const allMembers = (): MemberInit[] => member.membership.members().map(memberFields);

  /** Proposes a change and calls back once it is in force; the call's own deadline is the only one. */
  const change = (call: ServerCall, proposed: ConfChange, done: () => void): void => {
    const cancel = member.proposeConfChange(proposed, (outcome) => {
      if (outcome.kind === "refused") refuse(call, outcome.reason);
      else done();
    });
    call.onCancel(cancel);
  };

  return new Map([
    unary(cluster.memberList, (call, request, respond) => {
      const answer = (): void => respond({ header: member.headerFields(0), members: allMembers() });
      if (!request.linearizable) return answer();
      member.linearizableRead((refusal) => (refusal === undefined ? answer() : refuse(call, refusal)));
    }),

    unary(cluster.memberAdd, (call, request, respond) => {
      const urls = parseUrls(request.peerUrls);
      if (urls.kind === "invalid") return refuse(call, "memberBadURLs");
      if (options.strictReconfigCheck) {
        const reason = refuseAdd(member.membership.members(), request.isLearner, member.connections);
        if (reason !== undefined) return refuse(call, reason);
      }
      const { isLearner } = request;
      const id = member.newMemberId(urls.urls);
      const added: ClusterMember = { id, peerUrls: urls.urls, isLearner, name: "", clientUrls: [] };
      change(call, addMemberChange(added), () => {
        respond({ header: member.headerFields(0), member: memberFields(added), members: allMembers() });
      });
    }),

    unary(cluster.memberRemove, (call, { id }, respond) => {
      if (options.strictReconfigCheck) {
        const reason = refuseRemove(member.membership.members(), id, member.connections);
        if (reason !== undefined) return refuse(call, reason);
      }
      change(call, removeMemberChange(id), () => {
        respond({ header: member.headerFields(0), members: allMembers() });
      });
    }),

    unary(cluster.memberUpdate, (call, { id, peerUrls }, respond) => {
      // etcd takes what cannot be parsed, and its members crash on it.
      const urls = parseUrls(peerUrls);
      if (urls.kind === "invalid") return refuse(call, "memberBadURLs");
      change(call, updateMemberChange(id, urls.urls), () => {
        respond({ header: member.headerFields(0), members: allMembers() });
      });
    }),

    unary(cluster.memberPromote, (call, { id }, respond) => {
      const cancel = promoteMember(member, id, options, (refusal) => {
        if (refusal !== undefined) refuse(call, refusal);
        else respond({ header: member.headerFields(0), members: allMembers() });
      });
      call.onCancel(cancel);
    }),
  ]);
}
