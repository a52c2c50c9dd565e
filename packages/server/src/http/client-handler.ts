/** What a client listener, and a metrics listener, answer over HTTP. */

import type { HttpHandler } from "@etcd-ts/grpc";
import type { Logger } from "../env.js";
import { serverVersion } from "../version.js";
import { type AccessOptions, withAccess } from "./access.js";
import { answering, answeringGet, type HttpAnswer } from "./answer.js";
import { type HealthCounts, type HealthProbe, healthRoutes } from "./health.js";
import { createRouter } from "./router.js";

/** What the handlers ask the member. */
export interface MemberProbe extends HealthProbe {
  /** `major.minor.0`; undefined until the members have agreed on one. */
  clusterVersion(): string | undefined;
  /** `major.minor.0`; undefined while the data do not tell. */
  storageVersion(): string | undefined;
  raftStatus(): RaftStatus;
}

/** Ids of members; 0n means none. */
export interface RaftStatus {
  readonly id: bigint;
  readonly term: number;
  readonly vote: bigint;
  readonly commit: number;
  readonly lead: bigint;
  readonly raftState: "StateFollower" | "StateCandidate" | "StateLeader" | "StatePreCandidate";
  readonly applied: number;
  readonly leadTransferee: bigint;
  /** What a leader knows of the others; empty elsewhere. */
  readonly progress: readonly {
    readonly id: bigint;
    readonly match: number;
    readonly next: number;
    readonly state: string;
  }[];
}

/** What the process tells of itself at `/debug/vars`. */
export interface ProcessFacts {
  /** What runs the process, with its version. */
  readonly runtimeVersion: string;
  readonly commandLine: readonly string[];
  readonly fileDescriptorLimit: number;
  /** Bytes by name, as the runtime names them. */
  memory(): Readonly<Record<string, number>>;
}

export interface MetricsSource {
  readonly contentType: string;
  exposition(): Promise<string>;
}

export interface HandlerParts {
  readonly probe: MemberProbe;
  readonly counts: HealthCounts;
  readonly metrics: MetricsSource;
  readonly logger: Logger;
}

export interface ClientHandlerParts extends HandlerParts {
  readonly access: AccessOptions;
  readonly process: ProcessFacts;
  /** Undefined with `--enable-grpc-gateway=false`. */
  readonly gateway: HttpHandler | undefined;
}

/** For `--listen-client-urls` or `--listen-client-http-urls`. */
export function createClientHandler(parts: ClientHandlerParts): HttpHandler {
  const { probe, access, process, gateway } = parts;
  const routes = new Map<string, HttpHandler>([
    ...metricsRoutes(parts),
    ["/version", answeringGet(() => json("application/json", versionBody(probe)))],
    ["/debug/vars", answering(() => json("application/json; charset=utf-8", debugVars(process, probe.raftStatus())))],
  ]);
  if (gateway !== undefined) routes.set("/v3/", gateway);
  return withAccess(createRouter(routes), access);
}

/** For `--listen-metrics-urls`: no CORS, no version. */
export function createMetricsHandler(parts: HandlerParts): HttpHandler {
  return createRouter(new Map(metricsRoutes(parts)));
}

function metricsRoutes({ probe, counts, metrics, logger }: HandlerParts): readonly (readonly [string, HttpHandler])[] {
  return [
    ...healthRoutes({ probe, counts, logger }),
    [
      "/metrics",
      answering(async () => ({
        status: 200,
        headers: { "content-type": metrics.contentType },
        body: await metrics.exposition(),
      })),
    ],
  ];
}

/** Also what `GET /version` of the peer port answers. */
export function versionBody(probe: Pick<MemberProbe, "clusterVersion" | "storageVersion">): string {
  return JSON.stringify({
    etcdserver: serverVersion,
    etcdcluster: probe.clusterVersion() ?? "not_decided",
    storage: probe.storageVersion() ?? "unknown",
  });
}

/** Names and layout of Go's expvar; under `memstats` stands what this runtime knows. */
function debugVars(process: ProcessFacts, raft: RaftStatus): string {
  const progress = raft.progress.map(
    ({ id, match, next, state }) => [id.toString(16), { match, next, state }] as const,
  );
  const variables = {
    cmdline: process.commandLine,
    file_descriptor_limit: process.fileDescriptorLimit,
    memstats: process.memory(),
    "raft.status": {
      id: raft.id.toString(16),
      term: raft.term,
      vote: raft.vote.toString(16),
      commit: raft.commit,
      lead: raft.lead.toString(16),
      raftState: raft.raftState,
      applied: raft.applied,
      progress: Object.fromEntries(progress),
      leadtransferee: raft.leadTransferee.toString(16),
    },
  };
  const lines = Object.entries(variables).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

function json(contentType: string, body: string): HttpAnswer {
  return { status: 200, headers: { "content-type": contentType }, body };
}
