/**
 * `/health`, `/livez` and `/readyz`: whether this member is fit to be asked.
 * Source: etcd server/etcdserver/api/etcdhttp/health.go.
 */

import type { HttpHandler } from "@etcd-ts/grpc";
import type { Logger } from "../env.js";
import type { LabelledNumbers } from "../metrics/labelled.js";
import { answeringGet, type HttpAnswer, type HttpQuestion, plainError } from "./answer.js";

/** What the checks ask the member. */
export interface HealthProbe {
  /** Names of the alarms that are on, `NOSPACE` or `CORRUPT`, once for each member they are on at. */
  alarms(): readonly string[];
  hasLeader(): boolean;
  isLearner(): boolean;
  /** Reads any one key from this member's own data; undefined when that went well, else the error's text. */
  serializableRead(): Promise<string | undefined>;
  /** The same through the leader; ends within the request timeout. */
  linearizableRead(): Promise<string | undefined>;
}

/** What the checks count. */
export interface HealthCounts {
  healthSuccesses: number;
  healthFailures: number;
  readonly healthCheck: LabelledNumbers;
  readonly healthChecks: LabelledNumbers;
}

export interface HealthParts {
  readonly probe: HealthProbe;
  readonly counts: HealthCounts;
  readonly logger: Logger;
}

/** Routes of all health endpoints, sub-paths included. */
export function healthRoutes(parts: HealthParts): readonly (readonly [path: string, handler: HttpHandler])[] {
  const checks = createChecks(parts.probe);
  return [
    ["/health", answeringGet((question) => health(question, parts))],
    ...checkRoutes("livez", [checks.serializableRead], parts),
    ...checkRoutes(
      "readyz",
      [checks.dataCorruption, checks.serializableRead, checks.linearizableRead, checks.nonLearner],
      parts,
    ),
  ];
}

async function health({ query }: HttpQuestion, { probe, counts, logger }: HealthParts): Promise<HttpAnswer> {
  const reason = await unhealthyReason(probe, {
    excluded: new Set(query.getAll("exclude")),
    serializable: query.get("serializable") === "true",
  });
  const body = JSON.stringify({ health: String(reason === ""), reason });
  if (reason === "") {
    counts.healthSuccesses++;
    return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body };
  }
  counts.healthFailures++;
  logger.log("warn", "serving /health false", { reason });
  return plainError(503, body);
}

interface HealthQuestion {
  /** Alarms not to mind. */
  readonly excluded: ReadonlySet<string>;
  /** Whether this member alone is asked about. */
  readonly serializable: boolean;
}

async function unhealthyReason(probe: HealthProbe, { excluded, serializable }: HealthQuestion): Promise<string> {
  const alarm = probe.alarms().find((name) => !excluded.has(name));
  if (alarm !== undefined) return `ALARM ${alarm === "NOSPACE" || alarm === "CORRUPT" ? alarm : "UNKNOWN"}`;
  if (!serializable && !probe.hasLeader()) return "RAFT NO LEADER";
  const error = await (serializable ? probe.serializableRead() : probe.linearizableRead());
  return error === undefined ? "" : `RANGE ERROR:${error}`;
}

interface Check {
  readonly name: string;
  /** Undefined when all is well, else what is not. */
  readonly run: () => Promise<string | undefined>;
}

function createChecks(probe: HealthProbe) {
  return {
    serializableRead: { name: "serializable_read", run: () => probe.serializableRead() },
    linearizableRead: { name: "linearizable_read", run: () => probe.linearizableRead() },
    dataCorruption: {
      name: "data_corruption",
      run: async () => (probe.alarms().includes("CORRUPT") ? "alarm activated: CORRUPT" : undefined),
    },
    nonLearner: { name: "non_learner", run: async () => (probe.isLearner() ? "not supported for learner" : undefined) },
  };
}

/** The path of all checks, at which some may be excluded, and the path of each. */
function checkRoutes(
  type: "livez" | "readyz",
  checks: readonly Check[],
  parts: HealthParts,
): readonly (readonly [path: string, handler: HttpHandler])[] {
  return [
    [
      `/${type}`,
      answeringGet((question) => {
        const excluded = question.query.getAll("exclude");
        return runChecks(
          type,
          checks.filter(({ name }) => !excluded.includes(name)),
          question,
          parts,
        );
      }),
    ],
    ...checks.map(
      (check) =>
        [`/${type}/${check.name}`, answeringGet((question) => runChecks(type, [check], question, parts))] as const,
    ),
  ];
}

async function runChecks(
  type: "livez" | "readyz",
  checks: readonly Check[],
  question: HttpQuestion,
  { counts, logger }: HealthParts,
): Promise<HttpAnswer> {
  const errors = await Promise.all(checks.map((check) => check.run()));
  let lines = "";
  let failed = false;
  for (const [index, { name }] of checks.entries()) {
    const error = errors[index];
    counts.healthCheck.with(name, type).value = error === undefined ? 1 : 0;
    counts.healthChecks.with(name, error === undefined ? "success" : "error", type).value++;
    lines += error === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${error}\n`;
    failed ||= error !== undefined;
  }
  if (failed) {
    logger.log("warn", "Health check error", { path: `/${type}`, output: lines });
    return plainError(503, lines);
  }
  return plainError(200, `${question.query.has("verbose") ? lines : ""}ok`);
}
