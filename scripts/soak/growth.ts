/**
 * What many puts leave behind: over a fixed set of keys, compacted every so often, the segments of the log stay
 * within `--max-wals` and the memory of the member stays flat. Pages of the database that the system has mapped are
 * shown apart: the file grows to what the rounds between two compactions need, and stays.
 *
 *   node build/scripts/soak.js growth [--puts 5000000] [--keys 100000]
 */

import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runClosedLoop } from "../../bench/generator/closed-loop.js";
import { PutWork, Steps } from "../../bench/generator/kv-work.js";
import { MessageWriter } from "../../bench/generator/message.js";
import { callOnce } from "../../bench/generator/one-call.js";
import { Side } from "../../bench/side.js";
import { Member } from "../../tests/interop/support/member.js";
import { option } from "../../tests/robustness/support/options.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const rounds = 10;
const maxWals = 5;
/** A request may take 25 s, so that a busy machine does not end the run. */
const patience = ["--heartbeat-interval", "1000", "--election-timeout", "10000"];
/** The segment being written and the one made ready are no leftovers. */
const segmentsMax = maxWals + 2;
/** Of the most that the first third of the rounds needed. */
const growthMax = 1.25;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const puts = option(args, "--puts", 5_000_000);
  const keys = option(args, "--keys", 100_000);
  const directory = join(root, "build", "soak-data");
  mkdirSync(directory, { recursive: true });
  const member = await Member.start({
    name: "growth",
    command: [process.execPath, join(root, "bin/etcd")],
    flags: ["--quota-backend-bytes", String(8 * 2 ** 30), "--max-wals", String(maxWals), ...patience],
    directory,
  });
  try {
    const side = new Side(member);
    await side.fill(keys);
    const anonymous: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const steps = new Steps({ first: keys + ((round - 1) * puts) / rounds, end: keys + (round * puts) / rounds });
      const load = { ...side.load, steps };
      const work = (): PutWork => new PutWork(load);
      const { seconds } = await runClosedLoop({ ...side.target, connections: 10, streams: 10, work });
      const message = new MessageWriter(16).uint(1, side.revisions.newest).finish();
      await callOnce(member, { path: "/etcdserverpb.KV/Compact", message });
      const memory = readMemory(member);
      anonymous.push(memory.anonymous);
      const rate = (puts / rounds / seconds).toFixed(0);
      console.log(`${(round * puts) / rounds} puts: ${rate}/s, ${describe(memory)}, ${segments(member)} segments`);
    }
    // Purging comes around every 30 s.
    await new Promise((resolve) => setTimeout(resolve, 35_000));
    const left = segments(member);
    const early = Math.max(...anonymous.slice(0, Math.ceil(rounds / 3)));
    const growth = (anonymous.at(-1) ?? 0) / early;
    console.log(`${left} segments are left, at most ${segmentsMax}; memory grew by a factor of ${growth.toFixed(2)}`);
    const held = [left <= segmentsMax, growth <= growthMax];
    return { passed: held.filter(Boolean).length, failed: held.filter((is) => !is).length };
  } finally {
    await member.close();
  }
}

/** Megabytes of the process in memory. */
interface Memory {
  /** Its own: heaps, buffers, stacks. */
  readonly anonymous: number;
  /** Pages of files, nearly all of the database, which the system takes back when it needs them. */
  readonly mapped: number;
}

function readMemory(member: Member): Memory {
  const status = readFileSync(`/proc/${member.pid}/status`, "latin1");
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
  return { anonymous: megabytes("RssAnon"), mapped: megabytes("RssFile") };
}

function describe({ anonymous, mapped }: Memory): string {
  return `memory ${anonymous.toFixed(0)} MB of its own, ${mapped.toFixed(0)} MB of mapped files`;
}

/** Files of the log, those being made included. */
function segments(member: Member): number {
  return readdirSync(join(member.dataDirectory, "member", "wal")).length;
}
