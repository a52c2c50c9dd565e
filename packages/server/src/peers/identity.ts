/**
 * Who the two ends of a peer connection are, as told in HTTP headers, and whether they may talk.
 *
 * Source: etcd server/etcdserver/api/rafthttp/http.go, util.go.
 */

import { minClusterVersion, serverVersion } from "../version.js";

/** This member, as its peers know it. */
export interface LocalIdentity {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Own advertised peer URLs. */
  peerUrls(): readonly string[];
}

export function hexId(id: bigint): string {
  return id.toString(16);
}

/** Undefined for what is not 1 to 16 hexadecimal digits. */
export function parseHexId(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

export function requestHeaders(local: LocalIdentity): Record<string, string> {
  return {
    "x-server-from": hexId(local.memberId),
    "x-server-version": serverVersion,
    "x-min-cluster-version": minClusterVersion,
    "x-etcd-cluster-id": hexId(local.clusterId),
    "x-peerurls": local.peerUrls().join(","),
  };
}

interface MinorVersion {
  readonly major: number;
  readonly minor: number;
}

function parseVersion(text: string): MinorVersion | undefined {
  const match = /^(\d+)\.(\d+)\.\d+/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

function isBelow(a: MinorVersion, b: MinorVersion): boolean {
  return a.major < b.major || (a.major === b.major && a.minor < b.minor);
}

/** Why a request of a peer is refused with 412; undefined when it is not. */
export function incompatibility(
  headers: Readonly<Record<string, string>>,
  local: LocalIdentity,
): "incompatible version" | "cluster ID mismatch" | undefined {
  const remoteVersion = parseVersion(headers["x-server-version"] || "2.0.0");
  const remoteMinimum = parseVersion(headers["x-min-cluster-version"] || "2.0.0");
  const ownVersion = parseVersion(serverVersion);
  const ownMinimum = parseVersion(minClusterVersion);
  if (
    remoteVersion === undefined ||
    remoteMinimum === undefined ||
    ownVersion === undefined ||
    ownMinimum === undefined
  ) {
    return "incompatible version";
  }
  if (isBelow(remoteVersion, ownMinimum) || isBelow(ownVersion, remoteMinimum)) return "incompatible version";
  return headers["x-etcd-cluster-id"] === hexId(local.clusterId) ? undefined : "cluster ID mismatch";
}
