/**
 * Asks our member and Go etcd the same over HTTP: the JSON gateway, health, version and metrics, rightly and wrongly,
 * and compares status, content type and body.
 *
 *   node build/tests/interop/gateway-compare.js [--ours CMD] [--peer CMD]
 */

import { request } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bin, ourServer, printDifference, type Totals } from "./support/comparison.js";
import { Member, splitCommand } from "./support/member.js";

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The answer does not end: read until so many lines have come, then hang up. */
  readonly lines?: number;
  /** Only status and headers are compared. */
  readonly bodyIgnored?: true;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const answerTimeoutMs = 3_000;
/** Headers that are part of the contract; the others are the HTTP library's. */
const comparedHeaders = [
  "content-type",
  "grpc-metadata-content-type",
  "allow",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "x-content-type-options",
];
/** Fields whose values are the cluster's or the moment's. */
const incomparable =
  /"(cluster_id|member_id|raft_term|leader|raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse|ID|blob|remaining_bytes|hash)":("[^"]*"|\d+)/g;

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function post(path: string, body: unknown, more: Partial<Question> = {}): Question {
  return { method: "POST", path, body: typeof body === "string" ? body : JSON.stringify(body), ...more };
}

function get(path: string, more: Partial<Question> = {}): Question {
  return { method: "GET", path, ...more };
}

const a = base64("a");
const b = base64("b");
const z = base64("z");

const keyValue: readonly Question[] = [
  post("/v3/kv/put", { key: a, value: b }),
  post("/v3/kv/put", { key: a, value: z, prev_kv: true }),
  post("/v3/kv/put", { key: b, value: a, prevKv: true }),
  post("/v3/kv/put", { value: b }),
  post("/v3/kv/put", { key: a, ignore_value: true, value: b }),
  post("/v3/kv/put", { key: a, lease: "12345" }),
  post("/v3/kv/put", { key: a, lease: 12345 }),
  post("/v3/kv/put", { key: a, value: b, nonsense: 1 }),
  post("/v3/kv/put", { key: "not base64!" }),
  post("/v3/kv/put", { key: 5 }),
  post("/v3/kv/put", { key: "_-8" }),
  post("/v3/kv/put", {}),
  post("/v3/kv/put", ""),
  post("/v3/kv/put", "{"),
  post("/v3/kv/put", "[]"),
  post("/v3/kv/put", "null"),
  post("/v3/kv/put", `{"key":"${a}"} trailing`),
  post("/v3/kv/put", `{"key":"${a}","key":"${b}"}`),
  post("/v3/kv/put", { key: a, value: base64("v".repeat(1_600_000)) }),
  post("/v3/kv/range", { key: a }),
  post("/v3/kv/range", { key: a, range_end: z }),
  post("/v3/kv/range", { key: a, rangeEnd: z, limit: "1" }),
  post("/v3/kv/range", { key: a, range_end: z, limit: 1, sort_order: "DESCEND", sort_target: "VALUE" }),
  post("/v3/kv/range", { key: a, range_end: z, sort_order: 1, sort_target: 3 }),
  post("/v3/kv/range", { key: a, sort_order: "NONSENSE" }),
  post("/v3/kv/range", { key: a, range_end: z, keys_only: true, count_only: false }),
  post("/v3/kv/range", { key: a, range_end: z, count_only: true }),
  post("/v3/kv/range", { key: a, revision: 999 }),
  post("/v3/kv/range", { key: a, revision: "abc" }),
  post("/v3/kv/range", { key: a, revision: 1.5 }),
  post("/v3/kv/range", { key: a, revision: "2" }),
  post("/v3/kv/range", { key: a, revision: 1e3 }),
  post("/v3/kv/range", { key: a, serializable: "true" }),
  post("/v3/kv/range", { key: null }),
  post("/v3/kv/range", {}),
  post("/v3/kv/txn", {
    compare: [{ key: a, result: "EQUAL", target: "VERSION", version: "2" }],
    success: [{ requestPut: { key: a, value: a } }, { request_range: { key: a } }],
    failure: [{ requestDeleteRange: { key: a } }],
  }),
  post("/v3/kv/txn", {
    compare: [{ key: a, target: "VALUE", value: z }],
    success: [],
    failure: [{ requestRange: { key: a } }],
  }),
  post("/v3/kv/txn", { success: [{ requestPut: { key: a } }, { requestPut: { key: a } }] }),
  post("/v3/kv/txn", { success: [{ requestTxn: { success: [{ requestDeleteRange: { key: b, prev_kv: true } }] } }] }),
  post("/v3/kv/txn", { success: [{ requestPut: { key: a }, requestRange: { key: a } }] }),
  post("/v3/kv/txn", {}),
  post("/v3/kv/deleterange", { key: a, prev_kv: true }),
  post("/v3/kv/deleterange", { key: a }),
  post("/v3/kv/deleterange", {}),
  post("/v3/kv/compaction", { revision: "4" }),
  post("/v3/kv/compaction", { revision: "4" }),
  post("/v3/kv/compaction", { revision: "400", physical: true }),
  post("/v3/kv/range", { key: a, revision: "2" }),
];

const streams: readonly Question[] = [
  post("/v3/kv/put", { key: a, value: b }),
  post("/v3/watch", { create_request: { key: a, start_revision: "5" } }, { lines: 2 }),
  post("/v3/watch", { create_request: { key: a, range_end: z, start_revision: "5", prev_kv: true } }, { lines: 2 }),
  post("/v3/watch", { create_request: { key: a, start_revision: "2" } }, { lines: 2 }),
  post("/v3/watch", { create_request: { key: a, filters: ["NOPUT"] } }, { lines: 1 }),
  post("/v3/watch", { nonsense: {} }),
  post("/v3/lease/keepalive", { ID: "77" }, { lines: 1 }),
  post("/v3/maintenance/snapshot", {}, { lines: 1, bodyIgnored: true }),
];

const leases: readonly Question[] = [
  post("/v3/lease/grant", { TTL: 600, ID: 77 }),
  post("/v3/lease/grant", { TTL: "600", ID: "77" }),
  post("/v3/lease/grant", { TTL: "9000000001" }),
  post("/v3/lease/grant", { TTL: 0, ID: 78 }),
  post("/v3/kv/put", { key: a, value: a, lease: "77" }),
  post("/v3/lease/leases", {}),
  post("/v3/kv/lease/leases", {}),
  post("/v3/lease/timetolive", { ID: "99" }),
  post("/v3/kv/lease/timetolive", { ID: "99", keys: true }),
  post("/v3/lease/keepalive", { ID: "77" }, { lines: 1 }),
  post("/v3/lease/revoke", { ID: "77" }),
  post("/v3/kv/lease/revoke", { ID: "77" }),
];

const administration: readonly Question[] = [
  post("/v3/cluster/member/list", {}),
  post("/v3/cluster/member/list", { linearizable: true }),
  post("/v3/cluster/member/add", { peerURLs: ["nonsense"] }),
  post("/v3/cluster/member/add", {}),
  post("/v3/cluster/member/remove", { ID: "5" }),
  post("/v3/cluster/member/update", { ID: "5", peerURLs: ["http://127.0.0.1:1"] }),
  post("/v3/cluster/member/promote", { ID: "5" }),
  post("/v3/maintenance/alarm", {}),
  post("/v3/maintenance/alarm", { action: "GET", alarm: "NOSPACE" }),
  post("/v3/maintenance/alarm", { action: "NONSENSE" }),
  post("/v3/maintenance/status", {}),
  post("/v3/maintenance/status", ""),
  post("/v3/maintenance/defragment", {}),
  post("/v3/maintenance/hash", {}),
  post("/v3/maintenance/hashkv", {}),
  post("/v3/maintenance/hashkv", { revision: "500" }),
  post("/v3/maintenance/transfer-leadership", { targetID: "5" }),
  post("/v3/maintenance/downgrade", { action: "VALIDATE", version: "3.6.0" }),
  post("/v3/maintenance/downgrade", { action: "CANCEL" }),
  post("/v3/auth/status", {}),
  post("/v3/auth/enable", {}),
  post("/v3/auth/disable", {}),
  post("/v3/auth/authenticate", { name: "root", password: "x" }),
  post("/v3/auth/user/add", { name: "u", password: "p" }),
  post("/v3/auth/user/add", { name: "u", password: "p" }),
  post("/v3/auth/user/get", { name: "u" }),
  post("/v3/auth/user/get", { name: "missing" }),
  post("/v3/auth/user/list", {}),
  post("/v3/auth/user/changepw", { name: "u", password: "q" }),
  post("/v3/auth/role/add", { name: "r" }),
  post("/v3/auth/role/grant", { name: "r", perm: { permType: "READWRITE", key: a, range_end: z } }),
  post("/v3/auth/role/get", { role: "r" }),
  post("/v3/auth/role/list", {}),
  post("/v3/auth/user/grant", { user: "u", role: "r" }),
  post("/v3/auth/user/revoke", { name: "u", role: "r" }),
  post("/v3/auth/role/revoke", { role: "r", key: a, range_end: z }),
  post("/v3/auth/role/delete", { role: "r" }),
  post("/v3/auth/user/delete", { name: "u" }),
  post("/v3/election/leader", { name: a }),
  post("/v3/election/proclaim", { leader: { name: a, key: b, rev: "1", lease: "1" }, value: a }),
  post("/v3/election/resign", { leader: { name: a, key: b, rev: "1", lease: "1" } }),
  post("/v3/lock/unlock", { key: a }),
  post("/v3/lock/lock", { name: a, lease: "999" }),
];

const wrong: readonly Question[] = [
  ...["GET", "PUT", "DELETE", "PATCH", "HEAD"].map((method) => ({ method, path: "/v3/kv/range" })),
  post("/v3/nonsense", {}),
  post("/v3/kv/range/", { key: a }),
  post("/v3//kv/range", { key: a }),
  post("/v3/KV/range", { key: a }),
  post("/v3", {}),
  post("/v3/", {}),
  post("/v3beta/kv/range", { key: a }),
  post("/v3alpha/kv/range", { key: a }),
  get("/"),
  get("/nonsense"),
  get("/v2/keys"),
  post("/v3/kv/range?key=YQ==", ""),
  post("/v3/kv/range", { key: a }, { headers: { "Content-Type": "text/plain" } }),
  post("/v3/kv/range", { key: a }, { headers: { Accept: "application/xml" } }),
  post("/v3/kv/range", { key: a }, { headers: { Authorization: "nonsense" } }),
  post("/v3/kv/range", { key: a }, { headers: { "Grpc-Timeout": "10S" } }),
  post("/v3/kv/range", { key: a }, { headers: { "Grpc-Timeout": "nonsense" } }),
  post("/v3/kv/range", { key: a }, { headers: { Origin: "http://example.com" } }),
  { method: "OPTIONS", path: "/v3/kv/range", headers: { Origin: "http://example.com" } },
  { method: "OPTIONS", path: "/v3/kv/range" },
];

const checks = ["", "/data_corruption", "/serializable_read", "/linearizable_read", "/non_learner", "/nonsense"];

const health: readonly Question[] = [
  get("/health"),
  get("/health?serializable=true"),
  get("/health?serializable=nonsense"),
  get("/health?exclude=NOSPACE"),
  get("/health?exclude=NONSENSE&exclude=CORRUPT"),
  post("/health", ""),
  { method: "HEAD", path: "/health" },
  ...["/livez", "/readyz"].flatMap((path) => [
    ...checks.flatMap((check) => [get(path + check), get(`${path}${check}?verbose`)]),
    get(`${path}?exclude=serializable_read`),
    get(`${path}?exclude=serializable_read&verbose`),
    get(`${path}?exclude=nonsense`),
    get(`${path}?exclude=nonsense&verbose`),
    post(path, ""),
  ]),
  get("/version"),
  post("/version", ""),
  { method: "HEAD", path: "/version" },
  get("/version/"),
  get("/metrics", { bodyIgnored: true }),
  post("/metrics", "", { bodyIgnored: true }),
  get("/debug/vars", { bodyIgnored: true }),
  get("/debug/pprof/"),
  get("/config/local/log"),
];

/** Runs the comparison; the arguments are those of the command line. Prints every difference. */
export async function run(args: string[]): Promise<Totals> {
  const { values } = parseArgs({
    args,
    options: {
      ours: { type: "string", default: ourServer },
      peer: { type: "string", default: join(bin, "etcd") },
    },
  });
  const totals = { passed: 0, failed: 0 };
  const ours = await Member.start({ name: "m", command: splitCommand(values.ours) });
  try {
    const peer = await Member.start({ name: "m", command: splitCommand(values.peer) });
    try {
      for (const question of [
        ...keyValue,
        ...leases.slice(0, 1),
        ...streams,
        ...leases,
        ...administration,
        ...wrong,
        ...health,
      ]) {
        const answers = await Promise.all([ask(ours, question), ask(peer, question)]);
        const [shownOurs = "", shownPeer = ""] = answers.map((answer) => render(question, answer));
        count(
          totals,
          `${question.method} ${question.path} ${question.body?.slice(0, 200) ?? ""}`,
          shownOurs,
          shownPeer,
        );
      }
      await compareMetricNames(ours, peer, totals);
    } finally {
      await peer.close();
    }
  } finally {
    await ours.close();
  }
  return totals;
}

/** Why a line may differ, by the beginning of its title. One that is equal is taken off the list. */
const knownDifferences: readonly (readonly [title: string, reason: string])[] = [
  ["POST /v3/auth/", "authentication is not served yet"],
  ["metric etcd_debugging_disk_backend_commit_rebalance", "a step of bbolt's commits that ours do not have"],
  ["metric etcd_debugging_disk_backend_commit_spill", "a step of bbolt's commits that ours do not have"],
  ["metric etcd_debugging_snap_save_", "of .snap files, which we do not write"],
  ["metric etcd_snap_fsync_duration_seconds", "of .snap files, which we do not write"],
];

/** Known differences have to differ: an entry of the list that no longer does is a failure. */
function count(totals: { passed: number; failed: number }, title: string, ours: string, peer: string): void {
  if (knownDifferences.some(([known]) => title.startsWith(known))) {
    if (ours !== peer) return;
    totals.failed++;
    console.log(`✗ ${title}: does not differ any more`);
    return;
  }
  if (ours === peer) {
    totals.passed++;
  } else {
    totals.failed++;
    printDifference(title, ours, peer);
  }
}

/** Names and types of etcd's own metrics; those of Go's runtime are left out. */
async function compareMetricNames(
  ours: Member,
  peer: Member,
  totals: { passed: number; failed: number },
): Promise<void> {
  const [oursTypes, peerTypes] = await Promise.all([metricTypes(ours), metricTypes(peer)]);
  for (const [name, type] of peerTypes) {
    count(totals, `metric ${name}`, oursTypes.get(name) ?? "missing", type);
  }
}

async function metricTypes(member: Member): Promise<Map<string, string>> {
  const text = (await member.get("/metrics"))?.body ?? "";
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type] as const);
  return new Map(types.filter(([name]) => /^(etcd|grpc)_/.test(name)));
}

function ask(member: Member, question: Question): Promise<Answer> {
  return new Promise((resolve) => {
    const headers = {
      ...(question.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...question.headers,
    };
    const call = request(
      { host: member.host, port: member.port, method: question.method, path: question.path, headers, agent: false },
      (response) => {
        let body = "";
        const finish = (): void => {
          clearTimeout(timer);
          call.destroy();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        };
        const timer = setTimeout(() => {
          body += "\n(no end)";
          finish();
        }, answerTimeoutMs);
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          body += text;
          if (question.lines !== undefined && body.split("\n").length > question.lines) {
            body = body.split("\n").slice(0, question.lines).join("\n");
            finish();
          }
        });
        response.on("end", finish);
        response.on("error", finish);
      },
    );
    call.setTimeout(answerTimeoutMs, () => call.destroy(new Error("no answer")));
    // After an answer was taken this comes too late to matter.
    call.on("error", (error) => resolve({ status: 0, headers: {}, body: error.message }));
    call.end(question.body);
  });
}

function render(question: Question, answer: Answer): string {
  const headers = comparedHeaders
    .filter((name) => answer.headers[name] !== undefined)
    .map((name) => `${name}: ${answer.headers[name]}`);
  const body = question.bodyIgnored === true ? "" : normalize(answer.body);
  return [`status ${answer.status}`, ...headers, "", body].join("\n");
}

function normalize(body: string): string {
  return (
    body
      .replace(incomparable, '"$1":X')
      .replace(/127\.0\.0\.1:\d{4,5}/g, "ENDPOINT")
      // What a JSON parser says is its own, and Go's changes a blank from build to build.
      .replace(/proto:[\s\u00a0](\(line[^)]*\): )?[^"]*/g, "proto: SOMETHING")
      .replace(/"TTL":"(59\d|600)"/g, '"TTL":"600"')
      // The checks come in the order of a Go map.
      .replace(/(\[[+-]\].*\n)+/g, (lines) => lines.split("\n").sort().join("\n"))
  );
}

if (import.meta.filename === process.argv[1]) {
  const { passed, failed } = await run(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
