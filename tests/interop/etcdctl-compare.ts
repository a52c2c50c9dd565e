/**
 * Runs stock etcdctl against our member and against Go etcd, with the same session, and compares what it prints and how
 * it exits. Ids, times, sizes and raft's numbers are made equal first.
 *
 *   node build/tests/interop/etcdctl-compare.js [--ours CMD] [--peer CMD] [--etcdctl CMD]... [--ours-etcdctl CMD] [--part NAME]
 *
 * `--without-logs` leaves out what Go's client library logs. `--etcdctl` may be repeated: the session runs once with
 * each. With `--ours-etcdctl` our side uses that program, so that our own etcdctl can be held against the stock one.
 */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Part, parts, type Step } from "./etcdctl-script.js";
import { bin, ourServer, printDifference, type Totals } from "./support/comparison.js";
import { Member, splitCommand } from "./support/member.js";

interface Side {
  readonly member: Member;
  readonly etcdctl: readonly string[];
  readonly captured: Map<string, string>;
}

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: string;
}

const commandTimeoutMs = 20_000;
const hangTimeoutMs = 2_000;
/** What Go's client library logs is not compared. */
let withoutLogs = false;
/** How long a command must have been silent before it is interrupted. */
const quietMs = 250;

/** Runs the comparison; the arguments are those of the command line. Prints every difference. */
export async function run(args: string[]): Promise<Totals> {
  const { values } = parseArgs({
    args,
    options: {
      ours: { type: "string", default: ourServer },
      peer: { type: "string", default: join(bin, "etcd") },
      etcdctl: { type: "string", multiple: true },
      "ours-etcdctl": { type: "string" },
      "without-logs": { type: "boolean", default: false },
      part: { type: "string", multiple: true, default: [] },
    },
  });
  const debian = join(bin, "debian", "etcdctl");
  const programs = values.etcdctl ?? [join(bin, "etcdctl"), ...(existsSync(debian) ? [debian] : [])];
  const totals = { passed: 0, failed: 0 };
  withoutLogs = values["without-logs"];
  for (const program of programs) {
    for (const part of parts) {
      if (values.part.length === 0 || values.part.includes(part.name)) {
        const ours = { server: values.ours, etcdctl: values["ours-etcdctl"] ?? program };
        await comparePart(part, ours, { server: values.peer, etcdctl: program }, totals);
      }
    }
  }
  return totals;
}

interface Programs {
  readonly server: string;
  readonly etcdctl: string;
}

async function comparePart(part: Part, ours: Programs, peer: Programs, totals: { passed: number; failed: number }) {
  const before = { ...totals };
  const sides = [await startSide(part, ours), await startSide(part, peer)] as const;
  try {
    for (const step of part.steps) {
      const [a, b] = await Promise.all(sides.map((side) => runStep(step, side)));
      const [shownA, shownB] = [show(a, sides[0]), show(b, sides[1])];
      if (shownA === shownB && (b?.exit !== "timeout" || step.mayHang === true)) {
        totals.passed++;
      } else {
        totals.failed++;
        const input = step.stdin === undefined ? "" : ` <<< ${JSON.stringify(step.stdin.slice(0, 200))}`;
        printDifference(`${part.name}: ${peer.etcdctl} ${step.args.join(" ")}${input}`, shownA, shownB);
      }
    }
  } finally {
    await Promise.all(sides.map((side) => side.member.close()));
  }
  console.log(
    `${part.name} (${peer.etcdctl}): ${totals.passed - before.passed} equal, ${totals.failed - before.failed} not`,
  );
}

async function startSide(part: Part, programs: Programs): Promise<Side> {
  const member = await Member.start({
    // The name is printed by "member list".
    name: "m",
    command: splitCommand(programs.server),
    ...(part.flags === undefined ? {} : { flags: part.flags }),
  });
  return { member, etcdctl: splitCommand(programs.etcdctl), captured: new Map([["DIRECTORY", member.directory]]) };
}

async function runStep(step: Step, side: Side): Promise<Outcome> {
  const outcome = await runEtcdctl(side, step.args, step);
  if (step.capture !== undefined) {
    const value = step.capture.pattern.exec(outcome.stdout)?.[1];
    side.captured.set(step.capture.name, value ?? `no-${step.capture.name}`);
  }
  return outcome;
}

function runEtcdctl(side: Side, args: readonly string[], step: Omit<Step, "args">): Promise<Outcome> {
  const [program, ...first] = side.etcdctl;
  const replaced = args.map((arg) => arg.replace(/\$([A-Z][A-Z0-9]*)/g, (all, name) => side.captured.get(name) ?? all));
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? "", [...first, ...replaced], {
      env: {
        PATH: process.env["PATH"],
        ETCDCTL_API: "3",
        ETCDCTL_ENDPOINTS: side.member.endpoint,
        ...step.environment,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    let stderr = "";
    let isTimeout = false;
    const timer = setTimeout(
      () => {
        isTimeout = true;
        child.kill("SIGKILL");
      },
      step.mayHang === true ? hangTimeoutMs : commandTimeoutMs,
    );
    let quiet: ReturnType<typeof setTimeout> | undefined;
    child.stdout.on("data", (chunk: Buffer) => {
      stdout.push(chunk);
      if (step.until?.output.test(Buffer.concat(stdout).toString()) === true) {
        // etcdctl writes an event in several pieces.
        clearTimeout(quiet);
        quiet = setTimeout(() => child.kill("SIGINT"), quietMs);
      }
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      clearTimeout(quiet);
      const exit = isTimeout ? "timeout" : String(code ?? signal);
      resolve({
        stdout: render(Buffer.concat(stdout), step),
        stderr: normalizeText(withoutLogs ? dropLogs(stderr) : stderr, step),
        exit,
      });
    });
    // A command that fails early closes its input.
    child.stdin.on("error", () => {});
    child.stdin.write(step.stdin ?? "");
    if (step.until === undefined) {
      child.stdin.end();
    } else {
      runDuring(side, step.until.during ?? []).catch(reject);
    }
  });
}

/** Makes the steps that the running command is to see, once the server has its watcher. */
async function runDuring(side: Side, during: readonly (readonly string[])[]): Promise<void> {
  if (during.length === 0) {
    return;
  }
  const deadlineMs = performance.now() + 3_000;
  while (performance.now() < deadlineMs) {
    const metrics = (await side.member.get("/metrics"))?.body ?? "";
    if (Number(/^etcd_debugging_mvcc_watcher_total (\S+)$/m.exec(metrics)?.[1] ?? 0) > 0) {
      break;
    }
  }
  for (const args of during) {
    await runEtcdctl(side, args, {});
  }
}

function render(stdout: Buffer, step: Omit<Step, "args">): string {
  switch (step.output) {
    case "ignored":
      return stdout.length > 0 ? "(some output)" : "";
    case "protobuf":
      return withoutHeader(stdout);
    default:
      return normalizeText(stdout.toString(), step);
  }
}

/** Drops field 1, the response header with its ids, and shows the rest as hex. */
function withoutHeader(bytes: Buffer): string {
  if (bytes[0] !== 0x0a) {
    return bytes.toString("hex");
  }
  return bytes.subarray(2 + (bytes[1] ?? 0)).toString("hex");
}

function dropLogs(text: string): string {
  return text.replace(/^\{"level":"warn".*\n/gm, "");
}

function normalizeText(text: string, step: Omit<Step, "args">): string {
  let result = text
    // Addresses in the trace of a panicking etcdctl.
    .replace(/goroutine 1 \[running\][\s\S]*/, "TRACE")
    .replace(/"ts":("[^"]*"|[0-9.]+)/g, '"ts":TIME')
    .replace(/"size":"[^"]*"/g, '"size":SIZE')
    .replace(/\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d\S*/g, "TIME")
    .replace(/etcd-endpoints:\/\/0x[0-9a-f]+|endpoint:\/\/client-[0-9a-f-]+/g, "ENDPOINTS")
    .replace(/"caller":"[^"]*"/g, '"caller":CALLER')
    .replace(/"?raft_?term"?( ?: ?)\d+/gi, "RAFTTERM$1N")
    .replace(/took(":"?|: | = |\s)[0-9.]+(ns|µs|ms|s)?/gi, "took TIME")
    .replace(/\/tmp\/etcd-[\w-]+/g, "DIRECTORY")
    .replace(/127\.0\.0\.1:\d{4,5}/g, "ENDPOINT")
    .replace(/remaining\(\d+s\)/g, "remaining(N)")
    .replace(/("ttl"|"TTL") ?: ?\d+/g, "$1 : N")
    .replace(/\b(?:[0-9a-f]{13,16}|\d{15,20})\b/g, "ID");
  if (step.numbers === "ignored") {
    result = result
      .replace(/\b\d+(\.\d+)? ?([kMGT]i?)?B\b/g, "SIZE")
      .replace(/[0-9.]+%/g, "N%")
      .replace(/\b[0-9.]+(ns|µs|ms|s)\b/g, "TIME")
      .replace(/(?<![.\d])\d+(?![.\d])/g, "N");
  }
  // Tables are as wide as the ids they hold.
  return result.replace(/[-─]{3,}/g, "---").replace(/ +/g, " ");
}

function show(outcome: Outcome | undefined, side: Side): string {
  if (outcome === undefined) {
    throw new Error("a step has no outcome");
  }
  let text = `exit ${outcome.exit}\n--- stdout\n${outcome.stdout}\n--- stderr\n${outcome.stderr}`;
  for (const [name, value] of side.captured) {
    text = text.replaceAll(value, name);
  }
  return text;
}

if (import.meta.filename === process.argv[1]) {
  const { passed, failed } = await run(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
