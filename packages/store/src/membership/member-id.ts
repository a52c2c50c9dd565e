/**
 * How ids of members and clusters come about: they are hashes, so that every member of a new cluster computes the same
 * ones from the same flags. Source: server/etcdserver/api/membership/member.go (computeMemberID), cluster.go (genID).
 */

import { encodeUtf8 } from "@etcd-ts/api";
import { assert } from "../assert.js";

/** SHA-1: 20 bytes. */
export type Sha1 = (bytes: Uint8Array) => Uint8Array;

export interface MemberIdInput {
  readonly peerUrls: readonly string[];
  /** `--initial-cluster-token`; empty for a member added at run time. */
  readonly clusterToken: string;
  /** When a member is added at run time; absent in a bootstrap. */
  readonly unixSeconds?: number;
}

export function computeMemberId(sha1: Sha1, input: MemberIdInput): bigint {
  const time = input.unixSeconds === undefined ? "" : String(input.unixSeconds);
  return firstEightBytes(sha1(encodeUtf8([...input.peerUrls].sort().join("") + input.clusterToken + time)));
}

export function computeClusterId(sha1: Sha1, memberIds: readonly bigint[]): bigint {
  const ascending = [...memberIds].sort((left, right) => (left < right ? -1 : 1));
  const bytes = new Uint8Array(8 * ascending.length);
  const view = new DataView(bytes.buffer);
  for (const [index, id] of ascending.entries()) view.setBigUint64(8 * index, id);
  return firstEightBytes(sha1(bytes));
}

function firstEightBytes(digest: Uint8Array): bigint {
  assert(digest.length === 20, "a SHA-1 digest has 20 bytes");
  return new DataView(digest.buffer, digest.byteOffset, digest.byteLength).getBigUint64(0);
}
