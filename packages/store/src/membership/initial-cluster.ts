/**
 * The flag `--initial-cluster`: `name=url,name=url`, a name repeated for each of its URLs.
 * Source: client/pkg/types/urlsmap.go, server/etcdserver/api/membership/cluster.go (NewClusterFromURLsMap).
 */

import type { Member } from "./member.js";
import { computeClusterId, computeMemberId, type Sha1 } from "./member-id.js";
import { parseUrls } from "./urls.js";

/** Peer URLs, sorted, by member name. */
export type InitialCluster = ReadonlyMap<string, readonly string[]>;

export type InitialClusterResult =
  | { readonly kind: "valid"; readonly cluster: InitialCluster }
  | { readonly kind: "invalid"; readonly message: string };

export type InitialMembersResult =
  | { readonly kind: "valid"; readonly clusterId: bigint; readonly members: readonly Member[] }
  | { readonly kind: "invalid"; readonly message: string };

export function parseInitialCluster(text: string): InitialClusterResult {
  const lists = new Map<string, string[]>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const url = equals < 0 ? "" : part.slice(equals + 1);
    const list = lists.get(name);
    if (list === undefined) lists.set(name, [url]);
    else list.push(url);
  }
  const cluster = new Map<string, readonly string[]>();
  for (const [name, list] of lists) {
    if (list[0] === "") return { kind: "invalid", message: `empty URL given for ${JSON.stringify(name)}` };
    const result = parseUrls(list);
    if (result.kind === "invalid") return result;
    cluster.set(name, result.urls);
  }
  return { kind: "valid", cluster };
}

/** `name=url,…`, sorted, as the flag is printed. */
export function formatInitialCluster(cluster: InitialCluster): string {
  const pairs: string[] = [];
  for (const [name, urls] of cluster) pairs.push(...urls.map((url) => `${name}=${url}`));
  return pairs.sort().join(",");
}

/** The members and the id of a new cluster; members ascend by id. */
export function initialMembers(sha1: Sha1, cluster: InitialCluster, clusterToken: string): InitialMembersResult {
  const members: Member[] = [];
  for (const [name, peerUrls] of cluster) {
    const id = computeMemberId(sha1, { peerUrls, clusterToken });
    if (members.some((member) => member.id === id)) {
      return { kind: "invalid", message: `member exists with identical ID ${id.toString(16)}` };
    }
    if (id === 0n) return { kind: "invalid", message: "cannot use 0 as member id" };
    members.push({ id, peerUrls, isLearner: false, name, clientUrls: [] });
  }
  members.sort((left, right) => (left.id < right.id ? -1 : 1));
  return {
    kind: "valid",
    clusterId: computeClusterId(
      sha1,
      members.map((member) => member.id),
    ),
    members,
  };
}

/** Whether some URL is given twice, to one member or to two. */
export function hasDuplicateUrls(cluster: InitialCluster): boolean {
  const urls = [...cluster.values()].flat();
  return new Set(urls).size !== urls.length;
}
