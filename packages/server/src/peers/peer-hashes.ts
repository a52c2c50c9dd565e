/** Asks the other members for the hash of their data. Source: etcd server/etcdserver/corrupt.go HashByRev. */

import { decodeUtf8, encodeUtf8 } from "@etcd-ts/api";
import type { MemberConfig } from "../config/member-config.js";
import type { Env, Network } from "../env.js";
import type { CorruptionMonitorOptions, PeerHash } from "../node/corruption-monitor.js";
import type { Member } from "../node/member.js";
import { hexId } from "./identity.js";

export interface PeerHashPorts {
  readonly network: Network;
  readonly clusterId: bigint;
  /** Milliseconds for each URL. */
  readonly timeoutMs: number;
  /** Told why a member's answer is missing. */
  failed(id: bigint, reason: string): void;
}

/** What a member's corruption checks need, as configured. */
export function corruptionOptions(
  env: Pick<Env, "network" | "logger">,
  member: Member,
  config: Pick<MemberConfig, "corruptCheckMs" | "compactHashCheckMs" | "featureGates">,
): CorruptionMonitorOptions {
  const ports: PeerHashPorts = {
    network: env.network,
    clusterId: member.clusterId,
    timeoutMs: member.requestTimeoutMs,
    failed: (id, error) => {
      env.logger.log("warn", "failed hash kv request", { "remote-peer-id": id.toString(16), error });
    },
  };
  return {
    member,
    peerHashes: (revision) => {
      const others = member.membership.members().filter(({ id }) => id !== member.memberId);
      return askPeerHashes(ports, others, revision);
    },
    allEveryMs: config.corruptCheckMs,
    compactionsEveryMs: config.featureGates.CompactHashCheck ? config.compactHashCheckMs : 0,
  };
}

const answerBytesMax = 64 * 1024;

/** The answers of those members that could be asked for their hash at `revision`. */
export async function askPeerHashes(
  ports: PeerHashPorts,
  peers: readonly { readonly id: bigint; readonly peerUrls: readonly string[] }[],
  revision: number,
): Promise<readonly PeerHash[]> {
  const answers = await Promise.all(peers.map(({ id, peerUrls }) => askOne(ports, id, peerUrls, revision)));
  return answers.filter((answer) => answer !== undefined);
}

async function askOne(
  { network, clusterId, timeoutMs, failed }: PeerHashPorts,
  id: bigint,
  urls: readonly string[],
  revision: number,
): Promise<PeerHash | undefined> {
  for (const url of urls) {
    try {
      const { status, body } = await network.post({
        url: `${url}/members/hashkv`,
        method: "GET",
        headers: { "content-type": "application/json", "x-etcd-cluster-id": hexId(clusterId) },
        body: encodeUtf8(revision === 0 ? "{}" : `{"revision":${revision}}`),
        timeoutMs,
        responseBytesMax: answerBytesMax,
      });
      const text = decodeUtf8(body, 0, body.length) ?? "";
      const answer = status === 200 ? parse(id, text) : undefined;
      if (answer !== undefined) return answer;
      failed(id, `${url}: ${status} ${text.trim()}`);
    } catch (error) {
      failed(id, `${url}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return undefined;
}

/** Fields that are 0 are left out. */
function parse(id: bigint, text: string): PeerHash | undefined {
  try {
    const answer = JSON.parse(text) as {
      readonly header?: { readonly revision?: unknown };
      readonly hash?: unknown;
      readonly compact_revision?: unknown;
    };
    const [revision, hash, compactRevision] = [
      answer.header?.revision ?? 0,
      answer.hash ?? 0,
      answer.compact_revision ?? 0,
    ];
    if (typeof revision !== "number" || typeof hash !== "number" || typeof compactRevision !== "number")
      return undefined;
    return { id, revision, hash, compactRevision };
  } catch {
    return undefined;
  }
}
