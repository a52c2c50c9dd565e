/**
 * `npm run bench -- raft` or `node build/bench/raft.js`: committed entries a second of three nodes in memory, on one
 * core, beside Go's library on the same schedule (see raft/cluster.ts). Seconds are of processor time. Runs alternate;
 * medians are printed.
 *
 * The Go program is built from tests/interop/go/raftbench if Go is there; without it only our figures are printed.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCluster } from "./raft/cluster.js";

const self = fileURLToPath(import.meta.url);
const root = join(self, "..", "..", "..");
const runs = 5;
const size = 256;
const shapes = [
  { batch: 1, entries: 100_000 },
  { batch: 16, entries: 200_000 },
  { batch: 128, entries: 200_000 },
];

function buildGo(): string | undefined {
  const directory = join(root, "tests", "interop", "go");
  const binary = join(root, "tests", "interop", "bin", "raftbench");
  mkdirSync(join(binary, ".."), { recursive: true });
  const { status, stderr } = spawnSync("go", ["build", "-o", binary, "./raftbench"], { cwd: directory });
  if (status === 0) return binary;
  console.error(`no comparison with Go: ${stderr === null ? "go not found" : String(stderr).trim()}`);
  return undefined;
}

/** Pins a command to one core where the system can. */
function pinned(command: string, args: readonly string[]): string {
  const hasTaskset = spawnSync("taskset", ["--version"]).status === 0;
  const [program, list] = hasTaskset ? ["taskset", ["-c", "0", command, ...args]] : [command, [...args]];
  return execFileSync(program, list, { encoding: "utf8", env: { ...process.env, GOMAXPROCS: "1" } });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The processor time of this process, all its threads: what an unshared core would take, whoever else is busy. */
function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function main(): void {
  const go = buildGo();
  console.log(
    `three nodes, ${size}-byte entries, each its own proposal; committed entries a second of one core, median of ${runs}`,
  );
  console.log("proposals a round |     etcd-ts |  go.etcd.io/raft 3.7.0 | ratio");
  for (const { batch, entries } of shapes) {
    const ours: number[] = [];
    const theirs: number[] = [];
    const args = [String(entries), String(batch), String(size)];
    for (let run = 0; run < runs; run++) {
      ours.push(entries / Number(pinned(process.execPath, [self, "--child", ...args])));
      if (go !== undefined) theirs.push(entries / Number(pinned(go, args)));
    }
    const ratio = median(ours) / median(theirs);
    console.log(
      `${String(batch).padStart(17)} | ${median(ours).toFixed(0).padStart(11)} | ` +
        `${(go === undefined ? "" : median(theirs).toFixed(0)).padStart(22)} | ${go === undefined ? "" : ratio.toFixed(2)}`,
    );
  }
}

if (process.argv[2] === "--child") {
  const [entries = 0, batch = 0, bytes = 0] = process.argv.slice(3).map(Number);
  // The first run lets the engine compile the hot paths, as a server's does in its first second.
  runCluster({ entries: Math.min(entries, 20_000), batch, size: bytes }, cpuMilliseconds);
  console.log(runCluster({ entries, batch, size: bytes }, cpuMilliseconds));
} else {
  main();
}
