/**
 * Power cuts at random points of a process that writes a log and a database, and of that process started again after a
 * failed sync: what was acknowledged is there, what is there was written.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PowerLoss, readShimLog } from "./power-loss.js";
import { cutPower } from "./support/cut-power.js";
import { repository, type ShimOptions, shimEnvironment } from "./support/shim.js";

let root: string;
let directory: string;
let log: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "etcd-ts-power-")));
  directory = join(root, "data");
  log = join(root, "shim.log");
  mkdirSync(directory);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function runWriter(
  entries: number,
  seed: number,
  options: Partial<ShimOptions> = {},
): { status: number | null; stderr: string } {
  const program = join(repository, "build/tests/robustness/programs/storage-writer.js");
  const environment = { ...process.env, ...shimEnvironment({ directory, log, ...options }) };
  const result = spawnSync(process.execPath, [program, directory, `${entries}`, `${seed}`], {
    env: environment,
    encoding: "utf8",
  });
  return { status: result.status, stderr: result.stderr };
}

test("the log of operations accounts for everything in the directory", () => {
  expect(runWriter(100, 1)).toEqual({ status: 0, stderr: "" });
  const loss = new PowerLoss(readShimLog(log), directory);
  loss.advanceTo(loss.length);
  const rebuilt = join(root, "rebuilt");
  loss.buildLive(rebuilt);
  const files = listFiles(directory).filter((name) => !name.endsWith("lock.mdb"));
  expect(listFiles(rebuilt)).toEqual(files);
  for (const name of files)
    expect(readFileSync(join(rebuilt, name)).equals(readFileSync(join(directory, name))), name).toBe(true);
});

test("nothing acknowledged is lost in a power cut, and nothing altered", async () => {
  expect(runWriter(150, 2).status).toBe(0);
  expect(runWriter(300, 3).status).toBe(0);
  const result = await cutPower({ log, directory, target: join(root, "left"), cuts: 40, seed: 4 });
  expect(result.failures).toEqual([]);
  expect(result.passed).toBe(40);
});

test("nor after a sync failed, the process stopped, and another one read what never reached the disk", async () => {
  for (let failSync = 20; failSync <= 100; failSync += 40) {
    const result = runWriter(1000, 5, { failSync });
    expect(result.status).not.toBe(0);
    expect(result.stderr).toContain("EIO");
  }
  expect(runWriter(60, 6).status).toBe(0);
  const result = await cutPower({ log, directory, target: join(root, "left"), cuts: 30, seed: 7 });
  expect(result.failures).toEqual([]);
});

function listFiles(at: string): readonly string[] {
  return readdirSync(at, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(at, name)).isFile())
    .sort();
}
