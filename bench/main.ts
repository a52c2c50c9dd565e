/**
 * Our member beside another etcd, under the same loads in turn: `npm run bench -- --peer PATH_TO_ETCD`.
 *
 *   --peer CMD       the other server; Go etcd built by tests/interop/build.sh when absent
 *   --ours CMD       our server, `node bin/etcd` when absent
 *   --only TEXT      only rows whose name or group contains the text; may be repeated
 *   --runs N         alternating runs of each row, whose medians are shown (5)
 *   --seconds N      length of a run (3)
 *   --keys N         keys of the rows "new keys", RSS and boot (1 000 000)
 *   --directory DIR  where the data directories are made; must be on the disk to be measured
 *   --json           prints JSON instead of the table
 *   --check          exits with 1 if a target is missed
 *   --no-ceiling     leaves out the generator's own rate against the null server
 */

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Member, splitCommand } from "../tests/interop/support/member.js";
import type { LoopResult } from "./generator/closed-loop.js";
import { type Group, groups, type Row } from "./rows.js";
import { measureSdk, sdkRowName } from "./sdk.js";
import { type Server, Side } from "./side.js";
import { type Figures, isCalm, isMet, type Line, median, renderTable } from "./table.js";
import { Trio } from "./trio.js";

interface Options {
  readonly ours: readonly string[];
  readonly peer: readonly string[];
  readonly only: readonly string[];
  readonly runs: number;
  readonly seconds: number;
  readonly keys: number;
  readonly directory: string;
  readonly ceiling: boolean;
}

interface Pair {
  readonly ours: Side;
  readonly peer: Side;
}

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
// The default quota of 2 GB would end a run of the fast writer, not of the slow one.
const memberFlags = ["--quota-backend-bytes", String(8 * 2 ** 30)];

const { values } = parseArgs({
  options: {
    ours: { type: "string", default: `${process.execPath} ${join(root, "bin/etcd")}` },
    peer: { type: "string", default: join(root, "tests/interop/bin/etcd") },
    only: { type: "string", multiple: true, default: [] },
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    keys: { type: "string", default: "1000000" },
    directory: { type: "string", default: join(root, "build", "bench-data") },
    json: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    "no-ceiling": { type: "boolean", default: false },
  },
});

const options: Options = {
  ours: splitCommand(values.ours),
  peer: splitCommand(values.peer),
  only: values.only,
  runs: Number(values.runs),
  seconds: Number(values.seconds),
  keys: Number(values.keys),
  directory: values.directory,
  ceiling: !values["no-ceiling"],
};
mkdirSync(options.directory, { recursive: true });

const catchUpEntries = 100_000;
/** A follower is ready only when it has caught up. */
const catchUpMaxMs = 300_000;
/** By default the leader has only the last 5000 entries in memory, and sends its database to one further behind. */
const catchUps = [
  { name: "3 members: a follower 100 000 entries behind caught up, by a snapshot", flags: [] },
  {
    name: "3 members: a follower 100 000 entries behind caught up, from the log",
    flags: ["--snapshot-count", "1000000", "--snapshot-catchup-entries", "1000000"],
  },
];

const lines: Line[] = [];
for (const group of groups) {
  const rows = group.rows.filter((row) => isWanted(row.name, group.name));
  if (rows.length > 0) await measureGroup(group, rows);
}
if (isWanted("new keys RSS boot", "million")) {
  add(await measureMillion());
}
for (const { name, flags } of catchUps) {
  if (isWanted(name, "clusters")) add([await measureCatchUp(name, flags)]);
}
if (isWanted(sdkRowName, "sdk")) {
  progress(sdkRowName);
  add([await measureSdk({ ...options, command: options.ours, flags: memberFlags })]);
}
console.log(values.json ? JSON.stringify({ options, lines }, undefined, 2) : renderTable(lines));
process.exitCode = values.check && !lines.every((line) => isMet(line) && isCalm(line)) ? 1 : 0;

function isWanted(name: string, group: string): boolean {
  return options.only.length === 0 || options.only.some((text) => name.includes(text) || group.includes(text));
}

/** Tells the ratios at once: the table comes at the end, and a long run may not reach it. */
function add(measured: readonly Line[]): void {
  lines.push(...measured);
  for (const { name, ratio } of measured) progress(`  ${name}: ${ratio.toFixed(2)}`);
}

async function measureGroup(group: Group, rows: readonly Row[]): Promise<void> {
  const pair = await startPair(group.members ?? 1);
  const nullServer = options.ceiling ? await startNull() : undefined;
  try {
    await group.prepare(pair.ours);
    await group.prepare(pair.peer);
    if (nullServer !== undefined) {
      await group.prepare(nullServer.side);
    }
    for (const row of rows) {
      progress(row.name);
      add(await measureRow(row, pair, nullServer?.side));
    }
  } finally {
    nullServer?.close();
    await closePair(pair);
  }
}

async function measureRow(row: Row, pair: Pair, nullSide: Side | undefined): Promise<Line[]> {
  const ours: Run[] = [];
  const peer: Run[] = [];
  for (let run = 0; run < options.runs; run++) {
    // The order changes with each run, so that neither is always the one that meets the disk's backlog.
    const order = run % 2 === 0 ? ([ours, peer] as const) : ([peer, ours] as const);
    for (const runs of order) {
      runs.push(await measureRun(row, runs === ours ? pair.ours : pair.peer));
    }
  }
  const ceiling =
    nullSide === undefined || row.isLatencyBound === true ? undefined : await row.run(nullSide, options.seconds);
  const stallMs = await stallOf(serverOf(pair.ours));
  const line = { ...lineOf(row, summarize(ours), summarize(peer), ceiling), ...stallMs };
  if (row.name !== "put 256 B, 100 k keys, 10×10") {
    return [line];
  }
  return [line, cpuLine(line)];
}

interface Run extends Figures {
  readonly cpuSecondsPer100k: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssBytes: number;
}

async function measureRun(row: Row, side: Side): Promise<Run> {
  const server = serverOf(side);
  const cpuSeconds = server.cpuSeconds();
  const own = process.cpuUsage();
  const result = await row.run(side, options.seconds);
  const { user, system } = process.cpuUsage(own);
  const run = runOf(result, { server, cpuSeconds: server.cpuSeconds() - cpuSeconds });
  return { ...run, generatorCpuUs: (user + system) / result.calls };
}

function runOf(result: LoopResult, cost: { server: Server; cpuSeconds: number }): Run {
  return {
    value: result.calls / result.seconds,
    cpuSecondsPer100k: (cost.cpuSeconds / result.calls) * 100_000,
    p50Ms: result.latency.quantileMs(0.5),
    p99Ms: result.latency.quantileMs(0.99),
    rssBytes: cost.server.rssBytes(),
  };
}

function summarize(runs: readonly Run[]): Run {
  return {
    value: median(runs.map((run) => run.value)),
    cpuSecondsPer100k: median(runs.map((run) => run.cpuSecondsPer100k)),
    p50Ms: median(runs.map((run) => run.p50Ms)),
    p99Ms: median(runs.map((run) => run.p99Ms)),
    rssBytes: median(runs.map((run) => run.rssBytes)),
    ...generatorCpu(runs),
  };
}

/** Known of the rows that are measured in turns. */
function generatorCpu(runs: readonly Run[]): Pick<Run, "generatorCpuUs"> {
  const known = runs.flatMap(({ generatorCpuUs }) => generatorCpuUs ?? []);
  return known.length === 0 ? {} : { generatorCpuUs: median(known) };
}

function lineOf(row: Row, ours: Run, peer: Run, ceiling: LoopResult | undefined): Line {
  const isLatency = row.compared === "p50";
  return {
    name: row.name,
    unit: "/s",
    ours,
    peer,
    ratio: isLatency ? ours.p50Ms / peer.p50Ms : ours.value / peer.value,
    target: row.target,
    lessIsBetter: isLatency,
    ...(ceiling === undefined ? {} : { ceiling: ceiling.calls / ceiling.seconds }),
  };
}

function cpuLine(line: Line): Line {
  const ours = line.ours.cpuSecondsPer100k ?? 0;
  const peer = line.peer.cpuSecondsPer100k ?? 0;
  return {
    name: "CPU seconds per 100 k puts",
    unit: "s",
    ours: { value: ours },
    peer: { value: peer },
    ratio: ours / peer,
    target: 0.25,
    lessIsBetter: true,
  };
}

/** A member is away while the others take 100 000 puts: from its start until it has applied them. */
async function measureCatchUp(name: string, flags: readonly string[]): Promise<Line> {
  const ours: number[] = [];
  const peer: number[] = [];
  for (let run = 0; run < options.runs; run++) {
    progress(`${name}, run ${run + 1}`);
    ours.push(await catchUpRun("ours", flags));
    peer.push(await catchUpRun("peer", flags));
  }
  const [value, peerValue] = [median(ours), median(peer)];
  return {
    ...{ name, unit: "ms", ours: { value }, peer: { value: peerValue } },
    ...{ ratio: value / peerValue, target: 1, lessIsBetter: true },
  };
}

async function catchUpRun(name: "ours" | "peer", flags: readonly string[]): Promise<number> {
  const trio = await Trio.start({
    ...{ name, command: options[name], flags: [...memberFlags, ...flags], directory: options.directory },
    readyTimeoutMs: catchUpMaxMs,
  });
  try {
    const [follower] = trio.followers;
    if (follower === undefined) throw new Error("three members have two followers");
    await follower.stop();
    await new Side(trio).fill(catchUpEntries);
    const startedMs = performance.now();
    await follower.boot();
    await trio.caughtUp(follower);
    return performance.now() - startedMs;
  } finally {
    await trio.close();
  }
}

interface MillionRun {
  readonly put: Run;
  readonly bootMs: number;
  readonly bootCpuSeconds: number;
  /** Since the boot. */
  readonly stallMs?: number;
}

/**
 * Puts over new keys only, then the memory they take and the time to boot with them, to the first linearizable read.
 */
async function measureMillion(): Promise<Line[]> {
  const ours: MillionRun[] = [];
  const peer: MillionRun[] = [];
  for (let run = 0; run < options.runs; run++) {
    progress(`${options.keys} new keys, run ${run + 1}`);
    ours.push(await millionRun("ours", options.ours));
    peer.push(await millionRun("peer", options.peer));
  }
  const putOurs = summarize(ours.map((run) => run.put));
  const putPeer = summarize(peer.map((run) => run.put));
  const bootOurs = median(ours.map((run) => run.bootMs));
  const bootPeer = median(peer.map((run) => run.bootMs));
  const cpuOurs = median(ours.map((run) => run.bootCpuSeconds));
  const cpuPeer = median(peer.map((run) => run.bootCpuSeconds));
  const stalls = ours.flatMap(({ stallMs }) => stallMs ?? []);
  const megabytes = (run: Run): number => run.rssBytes / 2 ** 20;
  const keys = `${options.keys.toLocaleString("en-US").replaceAll(",", " ")} keys`;
  return [
    {
      ...{ name: `put 256 B, ${keys}, all new, 10×10`, unit: "/s", ours: putOurs, peer: putPeer },
      ...{ ratio: putOurs.value / putPeer.value, target: 4, lessIsBetter: false },
    },
    {
      ...{
        name: `RSS with ${keys}`,
        unit: "MB",
        ours: { value: megabytes(putOurs) },
        peer: { value: megabytes(putPeer) },
      },
      ...{ ratio: putOurs.rssBytes / putPeer.rssBytes, target: 1, lessIsBetter: true },
    },
    {
      ...{ name: `boot with ${keys}`, unit: "ms", ours: { value: bootOurs }, peer: { value: bootPeer } },
      ...{ ratio: bootOurs / bootPeer, target: 0.4, lessIsBetter: true },
      ...(stalls.length === 0 ? {} : { stallMs: Math.max(...stalls) }),
    },
    {
      // On a busy machine this says more than the time.
      ...{ name: `boot with ${keys}, CPU seconds`, unit: "s", ours: { value: cpuOurs }, peer: { value: cpuPeer } },
      ...{ ratio: cpuOurs / cpuPeer, target: 0.4, lessIsBetter: true },
    },
  ];
}

async function millionRun(name: string, command: readonly string[]): Promise<MillionRun> {
  const member = await Member.start({ name, command, flags: memberFlags, directory: options.directory });
  try {
    const side = new Side(member);
    const cpuSeconds = member.cpuSeconds();
    const result = await side.fill(options.keys);
    const put = runOf(result, { server: member, cpuSeconds: member.cpuSeconds() - cpuSeconds });
    await member.stop();
    const bootMs = await member.boot();
    const bootCpuSeconds = member.cpuSeconds();
    await sampleGets(side);
    return { put, bootMs, bootCpuSeconds, ...(await stallOf(member)) };
  } finally {
    await member.close();
  }
}

/** What was written must be there after the boot. */
async function sampleGets(side: Side): Promise<void> {
  const reads = groups.flatMap((group) => group.rows).find((row) => row.name.startsWith("get, linearizable"));
  await reads?.run(side, Math.min(1, options.seconds));
}

async function startPair(members: 1 | 3): Promise<Pair> {
  const ours = await startServer("ours", members);
  try {
    return { ours: new Side(ours), peer: new Side(await startServer("peer", members)) };
  } catch (error) {
    await ours.close();
    throw error;
  }
}

function startServer(name: "ours" | "peer", members: 1 | 3): Promise<Server> {
  const server = { name, command: options[name], flags: memberFlags, directory: options.directory };
  return members === 1 ? Member.start(server) : Trio.start(server);
}

async function closePair(pair: Pair): Promise<void> {
  await serverOf(pair.ours).close();
  await serverOf(pair.peer).close();
}

function serverOf(side: Side): Server {
  if (side.server === undefined) {
    throw new Error("the null server is not a member");
  }
  return side.server;
}

/** The null server runs as a process of its own, as the members do. */
async function startNull(): Promise<{ side: Side; close: () => void }> {
  const program = fileURLToPath(new URL("generator/null-server.js", import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => reject(new Error("the null server ended")));
    child.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())));
  });
  return { side: new Side({ host: "127.0.0.1", port }), close: () => child.kill() };
}

/** How late our server's event loop was; a server that does not tell has none. */
async function stallOf(server: Server): Promise<Pick<Line, "stallMs">> {
  const metrics = (await server.get("/metrics"))?.body ?? "";
  const seconds = /^etcd_ts_event_loop_delay_seconds\{quantile="0\.999"\} (\S+)$/m.exec(metrics)?.[1];
  return seconds === undefined ? {} : { stallMs: Number(seconds) * 1000 };
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
