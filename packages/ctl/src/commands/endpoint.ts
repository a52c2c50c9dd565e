import { maintenance } from "@etcd-ts/api";
import type { HashKVResponse, StatusResponse } from "@etcd-ts/api/etcdserverpb";
import { type Answer, isEtcdError } from "@etcd-ts/client";
import { type Command, type Context, intFlag } from "../command.js";
import { CtlError, ExitCode, messageOf } from "../exit.js";
import type { FlagSpec } from "../flags.js";
import { formatDuration, hexId, humanBytes } from "../go-text.js";
import { jsonLine, table } from "../printer.js";

export const clusterFlag: FlagSpec = {
  name: "cluster",
  type: "bool",
  default: "false",
  help: "use all endpoints from the cluster member list",
};

export const endpointCommand: Command = {
  name: "endpoint",
  short: "Endpoint related commands",
  group: "Cluster maintenance commands",
  flags: [clusterFlag],
  commands: [
    {
      name: "hashkv",
      short: "Prints the KV history hash for each endpoint in --endpoints",
      flags: [clusterFlag, intFlag("rev", "maximum revision to hash (default: latest revision)")],
      run: hashKv,
    },
    {
      name: "health",
      short: "Checks the healthiness of endpoints specified in `--endpoints` flag",
      flags: [clusterFlag],
      run: health,
    },
    {
      name: "status",
      short: "Prints out the status of endpoints specified in `--endpoints` flag",
      flags: [clusterFlag],
      run: status,
    },
  ],
};

interface Health {
  readonly endpoint: string;
  readonly isHealthy: boolean;
  readonly took: string;
  readonly error: string;
}

async function health(context: Context): Promise<void> {
  const results: Health[] = [];
  await Promise.all(context.endpoints.map(async (endpoint) => void results.push(await healthOf(endpoint, context))));
  const shown = ({ endpoint, isHealthy, took, error }: Health): string =>
    isHealthy
      ? `${endpoint} is healthy: successfully committed proposal: took = ${took}\n`
      : `${endpoint} is unhealthy: failed to commit proposal: ${error}\n`;
  const asJson = ({ endpoint, isHealthy, took, error }: Health): string =>
    JSON.stringify({ endpoint, health: isHealthy, took, ...(error === "" ? {} : { error }) });
  context.printer.print({
    simple: () => results.map(shown).join(""),
    fields: () =>
      results
        .map(({ endpoint, isHealthy, took, error }) => {
          const first = `"Endpoint" : ${JSON.stringify(endpoint)}\n"Health" : ${isHealthy}\n`;
          return `${first}"Took" : ${took}\n"Error" : ${error}\n\n`;
        })
        .join(""),
    json: () => `[${results.map(asJson).join(",")}]\n`,
    table: () => {
      const rows = results.map(({ endpoint, isHealthy, took, error }) => [endpoint, String(isHealthy), took, error]);
      return table(["endpoint", "health", "took", "error"], rows);
    },
  });
  if (results.some(({ isHealthy }) => !isHealthy)) throw new CtlError(ExitCode.error, "unhealthy cluster");
}

/** A get, which needs a quorum, and the alarms. */
async function healthOf(endpoint: string, { clientOf, timed }: Context): Promise<Health> {
  const client = clientOf(endpoint);
  const startedAt = performance.now();
  let error = "";
  try {
    try {
      await client.kv.get("health", timed);
    } catch (thrown) {
      // To be refused takes a quorum too.
      if (!isEtcdError(thrown) || thrown.reason !== "permissionDenied") throw thrown;
    }
    const { alarms } = await client.maintenance.alarmList(timed);
    const names = alarms.map(({ alarm }) => alarmNames[alarm] ?? String(alarm));
    if (names.length > 0) error = `Active Alarm(s): ${names.join(", ")}`;
  } catch (thrown) {
    error = messageOf(thrown);
  }
  const took = formatDuration(performance.now() - startedAt);
  return { endpoint, isHealthy: error === "", took, error };
}

export const alarmNames: Readonly<Record<number, string>> = { 0: "NONE", 1: "NOSPACE", 2: "CORRUPT" };

interface Answered<T> {
  readonly endpoint: string;
  readonly answer: T;
}

/** Asks one endpoint after the other; says which did not answer. */
async function askAll<T>(
  { endpoints, io }: Context,
  what: string,
  ask: (endpoint: string) => Promise<T>,
): Promise<{ readonly answers: readonly Answered<T>[]; readonly failure: string | undefined }> {
  const answers: Answered<T>[] = [];
  let failure: string | undefined;
  for (const endpoint of endpoints) {
    try {
      answers.push({ endpoint, answer: await ask(endpoint) });
    } catch (error) {
      failure = messageOf(error);
      io.error(`Failed to get the ${what} of endpoint ${endpoint} (${failure})\n`);
    }
  }
  return { answers, failure };
}

async function status(context: Context): Promise<void> {
  const { printer, clientOf, timed } = context;
  const { answers, failure } = await askAll(context, "status", (endpoint) =>
    clientOf(endpoint).maintenance.status(timed),
  );
  const rows = answers.map(({ endpoint, answer }) => statusRow(endpoint, answer));
  printer.print({
    simple: () => rows.map((row) => `${row.join(", ")}\n`).join(""),
    table: () => table(statusHeads, rows),
    json: () => {
      const list = answers.map(({ endpoint, answer }) => {
        const text = jsonLine(maintenance.status.response, answer).trimEnd();
        return `{"Endpoint":${JSON.stringify(endpoint)},"Status":${text}}`;
      });
      return `[${list.join(",")}]\n`;
    },
    fields: () => answers.map(({ endpoint, answer }) => statusFields(endpoint, answer, printer)).join(""),
  });
  if (failure !== undefined) throw new CtlError(ExitCode.error, "");
}

const statusHeads = [
  "endpoint",
  "ID",
  "version",
  "storage version",
  "db size",
  "in use",
  "percentage not in use",
  "quota",
  "is leader",
  "is learner",
  "raft term",
  "raft index",
  "raft applied index",
  "errors",
  "downgrade target version",
  "downgrade enabled",
];

function statusRow(endpoint: string, answer: Answer<StatusResponse>): string[] {
  const { dbSize, dbSizeInUse, dbSizeQuota, downgradeInfo } = answer;
  const unused = dbSize === 0 ? 0 : Math.trunc(100 - (dbSizeInUse / dbSize) * 100);
  return [
    endpoint,
    hexId(answer.header.memberId),
    answer.version,
    answer.storageVersion,
    humanBytes(dbSize),
    humanBytes(dbSizeInUse),
    `${unused}%`,
    humanBytes(dbSizeQuota),
    String(answer.leader === answer.header.memberId),
    String(answer.isLearner),
    String(answer.raftTerm),
    String(answer.raftIndex),
    String(answer.raftAppliedIndex),
    answer.errors.join(", "),
    downgradeInfo?.targetVersion ?? "",
    String(downgradeInfo?.enabled ?? false),
  ];
}

function statusFields(endpoint: string, answer: Answer<StatusResponse>, printer: Context["printer"]): string {
  const { downgradeInfo } = answer;
  return [
    printer.header(answer.header),
    `"Version" : "${answer.version}"\n"StorageVersion" : "${answer.storageVersion}"\n`,
    `"DBSize" : ${answer.dbSize}\n"DBSizeInUse" : ${answer.dbSizeInUse}\n"DBSizeQuota" : ${answer.dbSizeQuota}\n`,
    `"Leader" : ${printer.id(answer.leader)}\n"IsLearner" : ${answer.isLearner}\n`,
    `"RaftIndex" : ${answer.raftIndex}\n"RaftAppliedIndex" : ${answer.raftAppliedIndex}\n`,
    `"Errors" : [${answer.errors.map((error) => JSON.stringify(error)).join(" ")}]\n`,
    `"Endpoint" : ${JSON.stringify(endpoint)}\n`,
    `"DowngradeTargetVersion" : ${JSON.stringify(downgradeInfo?.targetVersion ?? "")}\n`,
    `"DowngradeEnabled" : ${downgradeInfo?.enabled ?? false}\n\n`,
  ].join("");
}

async function hashKv(context: Context): Promise<void> {
  const { printer, clientOf, timed, flags } = context;
  const revision = flags.number("rev");
  const { answers, failure } = await askAll(context, "hash", (endpoint) =>
    clientOf(endpoint).maintenance.hashKv({ ...timed, revision }),
  );
  const rows = answers.map(({ endpoint, answer }) => [endpoint, String(answer.hash), String(answer.hashRevision)]);
  printer.print({
    simple: () => rows.map((row) => `${row.join(", ")}\n`).join(""),
    table: () => table(["endpoint", "hash", "hash_revision"], rows),
    json: () => {
      const list = answers.map(({ endpoint, answer }) => {
        const text = jsonLine(maintenance.hashKv.response, answer).trimEnd();
        return `{"Endpoint":${JSON.stringify(endpoint)},"HashKV":${text}}`;
      });
      return `[${list.join(",")}]\n`;
    },
    fields: () => answers.map(({ endpoint, answer }) => hashFields(endpoint, answer, printer)).join(""),
  });
  if (failure !== undefined) throw new CtlError(ExitCode.error, failure);
}

function hashFields(endpoint: string, answer: Answer<HashKVResponse>, printer: Context["printer"]): string {
  const { header, hash, hashRevision } = answer;
  const first = `${printer.header(header)}"Endpoint" : ${JSON.stringify(endpoint)}\n`;
  return `${first}"Hash" : ${hash}\n"HashRevision" : ${hashRevision}\n\n`;
}
