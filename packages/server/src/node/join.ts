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
import { difference, isSameText } from "../config/peer-urls.js";
import type { Env } from "../env.js";
import { hexId, parseHexId } from "../peers/identity.js";
import { serverVersion } from "../version.js";

/** The cluster as one of its members described it. */
export interface ExistingCluster {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

const timeoutMs = 10_000;
/** Source: etcd config.go BootstrapTimeoutEffective. */
const bootstrapTimeoutMs = 1000;
const responseBytesMax = 16 * 1024 * 1024;

/** Asks the URLs in order; the first answer counts. Undefined when none answers. */
export async function fetchCluster(
  env: Env,
  urls: readonly string[],
  options: { readonly timeoutMs: number; readonly logsFailures: boolean } = { timeoutMs, logsFailures: true },
): Promise<ExistingCluster | undefined> {
  for (const url of urls) {
    const response = await env.network
      .post({ url: `${url}/members`, method: "GET", headers: {}, timeoutMs: options.timeoutMs, responseBytesMax })
      .catch((error: unknown) => {
        const fields = { address: `${url}/members`, error: String(error) };
        if (options.logsFailures) env.logger.log("warn", "failed to get cluster response", fields);
        return undefined;
      });
    const clusterId = parseHexId(response?.headers["x-etcd-cluster-id"]);
    const members = response?.status === 200 ? parseMembers(response.body) : undefined;
    if (clusterId !== undefined && members !== undefined) return { clusterId, members };
  }
  return undefined;
}

/** Of the other members, sorted. */
function otherUrls(cluster: InitialCluster, name: string): readonly string[] {
  return [...cluster]
    .filter(([other]) => other !== name)
    .flatMap(([, urls]) => urls)
    .sort();
}

/**
 * Refuses a first start when the others know this member already, with the URLs that it announced: it has lost its
 * data, and must not vote again as if it had never voted. Rejects with `BootstrapError`.
 */
export async function checkNotBootstrapped(env: Env, self: Member, cluster: InitialCluster): Promise<void> {
  const options = { timeoutMs: bootstrapTimeoutMs, logsFailures: false };
  const existing = await fetchCluster(env, otherUrls(cluster, self.name), options);
  const known = existing?.members.find(({ id }) => id === self.id);
  if (known === undefined || known.clientUrls.length === 0) return;
  throw new BootstrapError(`member ${hexId(self.id)} has already been bootstrapped`);
}

/** Throws `BootstrapError`. */
export function checkLearners(members: readonly Member[], learnersMax: number): void {
  if (members.filter(({ isLearner }) => isLearner).length <= learnersMax) return;
  throw new BootstrapError("membership: too many learner members in cluster");
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

/**
 * This member as the cluster knows it. The configured cluster and the existing one, as one of its members tells it,
 * must be the same, and of a version that this member can follow. Rejects with `BootstrapError`, for what the first one
 * told.
 */
export async function joinCluster(
  env: Env,
  configured: InitialCluster,
  options: { readonly name: string; readonly maxLearners: number },
): Promise<ExistingCluster & { readonly self: Member }> {
  let reason: unknown;
  for (const url of otherUrls(configured, options.name)) {
    const existing = await fetchCluster(env, [url]);
    if (existing === undefined) continue;
    try {
      return await asConfigured(env, configured, existing, options);
    } catch (error) {
      // A member that lags behind does not know of this one yet, and may not catch up before this one votes.
      reason ??= error;
    }
  }
  throw (
    reason ??
    new BootstrapError(
      "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
    )
  );
}

async function asConfigured(
  env: Env,
  configured: InitialCluster,
  existing: ExistingCluster,
  { name, maxLearners }: { readonly name: string; readonly maxLearners: number },
): Promise<ExistingCluster & { readonly self: Member }> {
  if (existing.members.length !== configured.size) {
    throw new BootstrapError("error validating peerURLs: member count is unequal");
  }
  const names = new Map<Member, string>();
  for (const member of existing.members) names.set(member, await nameIn(env, configured, member));
  const self = existing.members.find((member) => names.get(member) === name);
  if (self === undefined) throw new BootstrapError("error validating peerURLs: this member is not part of the cluster");
  const others = existing.members.filter((member) => member !== self);
  if (!(await isCompatible(env, others))) throw new BootstrapError("incompatible with current running cluster");
  checkLearners(existing.members, maxLearners);
  return { ...existing, self };
}

/** The configured name of a member. Names of hosts are looked up only when no list of URLs is the same as it stands. */
async function nameIn(env: Env, configured: InitialCluster, { id, peerUrls }: Member): Promise<string> {
  let last: string | undefined;
  for (const [name, urls] of configured) if (isSameText(peerUrls, urls)) return name;
  for (const [name, urls] of configured) {
    last = await difference(env, peerUrls, urls);
    if (last === undefined) return name;
  }
  const which = `(${hexId(id)}, [${peerUrls.join(" ")}])`;
  throw new BootstrapError(
    `error validating peerURLs: PeerURLs: no match found for existing member ${which}, last resolver error (${last})`,
  );
}

/** At least one of the others must say a cluster version that this member can run at, and none another. */
async function isCompatible(env: Env, others: readonly Member[]): Promise<boolean> {
  const [, minorText = "0"] = serverVersion.split(".");
  // While the cluster goes down by one, members of the version below join it, and no others.
  const urls = others.flatMap(({ peerUrls }) => peerUrls);
  const isGoingDown = (await askAny(env, urls, "/downgrade/enabled"))?.trim() === "true";
  const minor = Number(minorText) + (isGoingDown ? 1 : 0);
  const lowest = isGoingDown ? minor : 0;
  let isKnown = false;
  for (const member of others) {
    const answer = await askAny(env, member.peerUrls, "/version");
    const version = /"etcdcluster"\s*:\s*"(\d+)\.(\d+)\./.exec(answer ?? "");
    if (version === null) continue;
    const fits = version[1] === "3" && Number(version[2]) >= lowest && Number(version[2]) <= minor;
    if (!fits) {
      const fields = { "remote-member-id": hexId(member.id), "remote-member-cluster-version": version[0] };
      env.logger.log("warn", "cluster version of remote member is not compatible", fields);
      return false;
    }
    isKnown = true;
  }
  return isKnown;
}

/** Text of the first answer. */
async function askAny(env: Env, urls: readonly string[], path: string): Promise<string | undefined> {
  for (const url of urls) {
    const response = await env.network
      .post({ url: `${url}${path}`, method: "GET", headers: {}, timeoutMs, responseBytesMax })
      .catch(() => undefined);
    if (response?.status === 200) return decodeUtf8(response.body, 0, response.body.length);
  }
  return undefined;
}
