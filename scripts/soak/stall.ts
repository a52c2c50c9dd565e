/**
 * How long work that touches every key holds up the loop of a real member. A loop that is held up as long as a
 * heartbeat would have missed one.
 *
 *   node build/scripts/soak.js stall [--keys 1000000] [--limit-ms 50] [--only "delete,lease revoke"]
 *
 * The member carries a probe (support/loop-probe.ts) that tells what the loop was late for: on a busy machine the time
 * it waited for a core is shown, and not held against it.
 */

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Side } from "../../bench/side.js";
import { Member } from "../../tests/interop/support/member.js";
import { option } from "../../tests/robustness/support/options.js";
import type { LoopLog, LoopTick } from "./support/loop-probe.js";
import { type StallWork, stallWorks } from "./support/stall-work.js";

/** A request may take 25 s, so that a busy machine does not end the run. */
const patience = ["--heartbeat-interval", "1000", "--election-timeout", "10000"];
const limits = ["--quota-backend-bytes", String(16 * 2 ** 30), "--max-txn-ops", "10000"];
/** The probe writes once a second. */
const probeMs = 1500;

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

interface Phase {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const keys = option(args, "--keys", 1_000_000);
  const limitMs = option(args, "--limit-ms", 50);
  const only = args.includes("--only") ? args[args.indexOf("--only") + 1]?.split(",") : undefined;
  const directory = join(root, "build", "soak-data");
  mkdirSync(directory, { recursive: true });
  const log = join(directory, `loop-${process.pid}.json`);
  const probe = new URL(`support/loop-probe.js?file=${encodeURIComponent(log)}`, import.meta.url);
  const member = await Member.start({
    name: "stall",
    command: [process.execPath, "--import", probe.href, join(root, "bin/etcd")],
    flags: [...limits, "--max-request-bytes", String(16 * 2 ** 20), ...patience],
    directory,
  });
  const totals = { passed: 0, failed: 0 };
  console.log(`${keys} keys; milliseconds the loop was late, of them on a core + waiting for one (collecting garbage)`);
  try {
    const side = new Side(member);
    for (const work of stallWorks) {
      if (!(only?.some((text) => work.name.includes(text)) ?? true)) continue;
      const isHeld = await perform(work, side, keys).then(
        async (phase) => {
          await new Promise((resolve) => setTimeout(resolve, probeMs));
          return report(phase, readLog(log), limitMs);
        },
        (error: unknown) => {
          console.log(`FAILED ${work.name}: ${String(error)}`);
          return false;
        },
      );
      totals[isHeld ? "passed" : "failed"]++;
    }
    return totals;
  } finally {
    await member.close();
    rmSync(log, { force: true });
  }
}

function readLog(path: string): LoopLog {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const logs = lines.map((line) => JSON.parse(line) as LoopLog);
  return { ticks: logs.flatMap(({ ticks }) => ticks), pauses: logs.flatMap(({ pauses }) => pauses) };
}

async function perform(work: StallWork, side: Side, keys: number): Promise<Phase> {
  await work.prepare?.(side, keys);
  const from = performance.timeOrigin + performance.now();
  await work.run(side, keys);
  return { name: work.name, from, to: performance.timeOrigin + performance.now() };
}

/** How late the loop was, less the time it waited for a core. */
const ownMs = (tick: LoopTick): number => tick.late - Math.min(tick.late, tick.waiting);

/** Whether no tick was as late as the limit. */
function report({ name, from, to }: Phase, log: LoopLog, limitMs: number): boolean {
  const ticks = log.ticks.filter(({ at, late }) => at >= from && at - late <= to).sort((a, b) => ownMs(a) - ownMs(b));
  const own = (part: number): string => {
    const tick = ticks[Math.min(ticks.length - 1, Math.floor(ticks.length * part))];
    return (tick === undefined ? 0 : ownMs(tick)).toFixed(1);
  };
  const longest = ticks
    .slice(-4)
    .reverse()
    .map((tick) => describe(tick, log));
  const isHeld = ticks.length > 0 && ticks.every((tick) => ownMs(tick) < limitMs);
  console.log(
    `${isHeld ? "ok  " : "LATE"} ${name}, ${((to - from) / 1000).toFixed(1)} s: p99 ${own(0.99)}, p99.9 ${own(0.999)}, longest ${longest.join(", ")}`,
  );
  return isHeld;
}

function describe(tick: LoopTick, { pauses }: LoopLog): string {
  const { at, late, onCore, waiting } = tick;
  const collecting = pauses
    .filter((pause) => pause.at < at && pause.at + pause.took > at - late)
    .reduce((sum, pause) => sum + pause.took, 0);
  return `${late.toFixed(0)}=${onCore.toFixed(0)}+${waiting.toFixed(0)} (${collecting.toFixed(0)})`;
}
