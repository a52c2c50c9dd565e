/**
 * The members as etcd's v2 store had them: members up to 3.6 demand this of a snapshot message, and read it again at
 * their next start. Members of 3.7 send it and do not look at it.
 *
 * Left out is what a reader does without: the history of events and the counters.
 *
 * Source: etcd server/etcdserver/cluster_util.go GetMembershipInfoInV2Format, api/v2store/{store,node}.go,
 * api/membership/storev2.go.
 */

import { encodeUtf8 } from "@etcd-ts/api";
import type { Member, Membership } from "@etcd-ts/store";
import { hexId } from "./identity.js";

/** A directory has children, a key has null. */
interface Node {
  readonly Path: string;
  readonly CreatedIndex: number;
  readonly ModifiedIndex: number;
  readonly ExpireTime: string;
  readonly Value: string;
  readonly Children: Record<string, Node> | null;
}

/** Go's zero time: never. */
const never = "0001-01-01T00:00:00Z";
/** Of the v2 store. */
const formatVersion = 2;

/** The JSON that goes into a snapshot message's `data`. */
export function v2Membership(membership: Pick<Membership, "clusterVersion" | "members" | "removedIds">): Uint8Array {
  const tree = new Tree();
  for (const member of membership.members()) {
    const path = `/0/members/${hexId(member.id)}`;
    tree.create(`${path}/raftAttributes`, raftAttributes(member));
    if (member.clientUrls.length > 0) tree.create(`${path}/attributes`, attributes(member));
  }
  for (const id of membership.removedIds()) tree.create(`/0/removed_members/${hexId(id)}`, "");
  const version = membership.clusterVersion();
  if (version !== undefined) tree.create("/0/version", version);
  return encodeUtf8(JSON.stringify({ Root: tree.root, CurrentIndex: tree.index, CurrentVersion: formatVersion }));
}

function raftAttributes({ peerUrls, isLearner }: Member): string {
  return JSON.stringify({ peerURLs: peerUrls, ...(isLearner && { isLearner }) });
}

function attributes({ name, clientUrls }: Member): string {
  return JSON.stringify({ ...(name !== "" && { name }), clientURLs: clientUrls });
}

class Tree {
  readonly root: Node = { ...node("/", 0), Children: { 0: directory("/0", 0), 1: directory("/1", 0) } };
  /** Number of the last change. */
  index = 0;

  /** Makes a key, and the directories above it that are missing. */
  create(path: string, value: string): void {
    this.index++;
    const names = path.split("/").slice(1);
    let above = this.root;
    names.forEach((name, i) => {
      const own = `/${names.slice(0, i + 1).join("/")}`;
      const isKey = i === names.length - 1;
      const children = above.Children ?? {};
      children[name] ??= isKey ? { ...node(own, this.index), Value: value } : directory(own, this.index);
      above = children[name];
    });
  }
}

function node(path: string, index: number): Node {
  return { Path: path, CreatedIndex: index, ModifiedIndex: index, ExpireTime: never, Value: "", Children: null };
}

function directory(path: string, index: number): Node {
  return { ...node(path, index), Children: {} };
}
