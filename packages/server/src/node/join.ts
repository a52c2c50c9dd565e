/**
 * Joining a cluster that exists: the members it has are asked for the member table, in which this member must have been
 * added before.
 *
 * Source: etcd server/etcdserver/bootstrap.go bootstrapExistingClusterNoWAL, cluster_util.go, membership/cluster.go
 * ValidateClusterAndAssignIDs.
 */

import { decodeUtf8 } from "@etcd-ts/api";
import { type InitialCluster, type Member, memberFromJson, parseExact } from "@etcd-ts/store";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { Env } from "../env.js";
import { parseHexId } from "../peers/identity.js";

/** The cluster as one of its members described it. */
export interface ExistingCluster {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

const timeoutMs = 10_000;
const responseBytesMax = 16 * 1024 * 1024;

/** Asks the URLs in order; the first answer counts. Undefined when none answers. */
export async function fetchCluster(env: Env, urls: readonly string[]): Promise<ExistingCluster | undefined> {
  for (const url of urls) {
    const response = await env.network
      .post({ url: `${url}/members`, method: "GET", headers: {}, timeoutMs, responseBytesMax })
      .catch((error: unknown) => {
        env.logger.log("warn", "failed to get cluster response", { address: `${url}/members`, error: String(error) });
        return undefined;
      });
    const clusterId = parseHexId(response?.headers["x-etcd-cluster-id"]);
    const members = response?.status === 200 ? parseMembers(response.body) : undefined;
    if (clusterId !== undefined && members !== undefined) return { clusterId, members };
  }
  return undefined;
}

function parseMembers(body: Uint8Array): readonly Member[] | undefined {
  const text = decodeUtf8(body, 0, body.length);
  if (text === undefined) return undefined;
  let value: ReturnType<typeof parseExact>;
  try {
    value = parseExact(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const members: Member[] = [];
  for (const element of value) {
    const member = memberFromJson(element);
    if (member === undefined) return undefined;
    members.push(member);
  }
  return members;
}

/** This member as the cluster knows it. The configured cluster and the existing one must be the same, URL for URL. */
export async function joinCluster(
  env: Env,
  configured: InitialCluster,
  name: string,
): Promise<ExistingCluster & { readonly self: Member }> {
  const own = configured.get(name);
  if (own === undefined)
    throw new BootstrapError(`couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`);
  const remoteUrls = [...configured].filter(([other]) => other !== name).flatMap(([, urls]) => urls);
  const existing = await fetchCluster(env, remoteUrls.sort());
  if (existing === undefined) {
    throw new BootstrapError(
      "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
    );
  }
  if (existing.members.length !== configured.size) {
    throw new BootstrapError("error validating peerURLs: member count is unequal");
  }
  for (const urls of configured.values()) {
    if (!existing.members.some((member) => sameUrls(member.peerUrls, urls))) {
      throw new BootstrapError(
        `error validating peerURLs: unmatched member while checking PeerURLs (${urls.join(",")})`,
      );
    }
  }
  const self = existing.members.find((member) => sameUrls(member.peerUrls, own));
  if (self === undefined) throw new BootstrapError("error validating peerURLs: this member is not part of the cluster");
  return { ...existing, self };
}

function sameUrls(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}
