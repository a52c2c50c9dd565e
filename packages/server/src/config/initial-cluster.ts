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
import { difference, type NameEnv } from "./peer-urls.js";

export interface InitialClusterFlags {
  readonly name: string;
  readonly initialCluster: string;
  readonly advertisedPeerUrls: readonly string[];
}

/** The cluster of a first start. Rejects with `BootstrapError`. */
export async function checkedInitialCluster(env: NameEnv, flags: InitialClusterFlags): Promise<InitialCluster> {
  const cluster = localCluster(flags);
  const own = cluster.get(flags.name) ?? [];
  const advertised = [...flags.advertisedPeerUrls].sort();
  const why = await difference(env, advertised, own);
  if (why === undefined) return cluster;
  const named = (urls: readonly string[]): string => urls.map((url) => `${flags.name}=${url}`).join(",");
  const missing = own.filter((url) => !advertised.includes(url));
  if (missing.length > 0) {
    const versus = `--initial-cluster has ${named(missing)} but missing from --initial-advertise-peer-urls=${advertised}`;
    throw new BootstrapError(`${versus} (${why})`);
  }
  const superfluous = advertised.filter((url) => !own.includes(url));
  throw new BootstrapError(
    `--initial-advertise-peer-urls has ${superfluous} but missing from --initial-cluster=${named(advertised)}`,
  );
}

/** The cluster as the flags have it, of which this member is one. Throws `BootstrapError`. */
export function localCluster(flags: Pick<InitialClusterFlags, "initialCluster" | "name">): InitialCluster {
  const parsed = parseInitialCluster(flags.initialCluster);
  if (parsed.kind === "invalid") throw new BootstrapError(`error setting up initial cluster: ${parsed.message}`);
  const { cluster } = parsed;
  if (!cluster.has(flags.name))
    throw new BootstrapError(
      `couldn't find local name ${JSON.stringify(flags.name)} in the initial cluster configuration`,
    );
  if (hasDuplicateUrls(cluster)) {
    throw new BootstrapError(`initial cluster ${formatInitialCluster(cluster)} has duplicate url`);
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
