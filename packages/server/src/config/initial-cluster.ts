/**
 * What `--initial-cluster` and its companions say of a cluster, checked. Used by the first start of a member and by the
 * restore of a snapshot.
 *
 * Source: etcd server/config/config.go VerifyBootstrap, advertiseMatchesCluster.
 */

import {
  type Member as ClusterMember,
  formatInitialCluster,
  hasDuplicateUrls,
  type InitialCluster,
  initialMembers,
  parseInitialCluster,
} from "@etcd-ts/store";
import type { Digest } from "../env.js";
import { BootstrapError } from "./bootstrap-error.js";

export interface InitialClusterFlags {
  readonly name: string;
  readonly initialCluster: string;
  readonly advertisedPeerUrls: readonly string[];
}

/** Throws `BootstrapError`. */
export function checkedInitialCluster(flags: InitialClusterFlags): InitialCluster {
  const parsed = parseInitialCluster(flags.initialCluster);
  if (parsed.kind === "invalid") throw new BootstrapError(parsed.message);
  const { cluster } = parsed;
  const own = cluster.get(flags.name);
  if (own === undefined)
    throw new BootstrapError(
      `couldn't find local name ${JSON.stringify(flags.name)} in the initial cluster configuration`,
    );
  if (hasDuplicateUrls(cluster)) {
    throw new BootstrapError(`initial cluster ${formatInitialCluster(cluster)} has duplicate url`);
  }
  const advertised = [...flags.advertisedPeerUrls].sort();
  if (advertised.join() !== [...own].sort().join()) {
    const versus = `--initial-cluster has ${own.join(",")} but missing from --initial-advertise-peer-urls=${advertised.join(",")}`;
    throw new BootstrapError(versus);
  }
  return cluster;
}

export interface NewCluster {
  readonly clusterId: bigint;
  /** Ascending by id. */
  readonly members: readonly ClusterMember[];
  readonly self: ClusterMember;
}

/** The ids of a cluster that begins now. Throws `BootstrapError`. */
export function newCluster(
  digest: Digest,
  cluster: InitialCluster,
  local: { readonly name: string; readonly token: string },
): NewCluster {
  const result = initialMembers((bytes) => digest.sha1(bytes), cluster, local.token);
  if (result.kind === "invalid") throw new BootstrapError(result.message);
  const { members, clusterId } = result;
  const self = members.find((member) => member.name === local.name);
  if (self === undefined) throw new BootstrapError(`member ${local.name} is not in the initial cluster`);
  return { clusterId, members, self };
}
