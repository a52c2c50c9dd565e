/**
 * Announces this member's name and client URLs to the cluster until it has been applied: only then is the member ready
 * to be asked. Source: etcd server/etcdserver/server.go publishV3.
 */

import { InternalField, messageBytes } from "@etcd-ts/api";
import { encodeClusterMemberAttrSetRequest, sizeClusterMemberAttrSetRequest } from "@etcd-ts/api/membershippb";
import type { Member } from "./member.js";

const retryMs = 100;

export async function publishAttributes(
  member: Member,
  attributes: { readonly name: string; readonly clientUrls: readonly string[] },
  isStopped: () => boolean,
): Promise<void> {
  const request = { memberId: member.memberId, memberAttributes: attributes };
  const bytes = messageBytes(
    { size: sizeClusterMemberAttrSetRequest, encode: encodeClusterMemberAttrSetRequest },
    request,
  );
  while (!isStopped()) {
    const refusal = await new Promise<unknown>((resolve) => {
      member.propose(InternalField.clusterMemberAttrSet, bytes, (outcome) => {
        resolve(outcome.kind === "clusterMemberAttrSet" ? undefined : outcome);
      });
    });
    if (refusal === undefined) {
      member.logger.log("info", "published local member to cluster through raft", {
        "local-member-id": member.memberId.toString(16),
        "cluster-id": member.clusterId.toString(16),
      });
      return;
    }
    if (isStopped()) return;
    member.logger.log("warn", "failed to publish local member to cluster through raft", {
      error: JSON.stringify(refusal),
    });
    await new Promise<void>((resolve) => void member.clock.setTimer(retryMs, resolve));
  }
}
