/**
 * Power cuts at random points of a process that writes a log and a database, killed or stopped by a failed sync and
 * started again: what was acknowledged is there, what is there was written. The full count is `npm run soak --
 * power-loss`.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PowerLoss, readShimLog } from "./power-loss.js";
import { Lives } from "./support/lives.js";

let lives: Lives;

beforeEach(() => {
  lives = new Lives();
});

afterEach(() => lives.remove());

const finished = { status: 0, stderr: "" };

test("the log of operations accounts for everything in the directory", () => {
  expect(lives.run({ entries: 100, seed: 1 })).toEqual(finished);
  const loss = new PowerLoss(readShimLog(lives.log), lives.directory);
  loss.advanceTo(loss.length);
  const rebuilt = lives.beside("rebuilt");
  loss.buildLive(rebuilt);
  const files = listFiles(lives.directory).filter((name) => !name.endsWith("lock.mdb"));
  expect(listFiles(rebuilt)).toEqual(files);
  for (const name of files) {
    expect(readFileSync(join(rebuilt, name)).equals(readFileSync(join(lives.directory, name))), name).toBe(true);
  }
});

test("nothing acknowledged is lost in a power cut, and nothing altered", async () => {
  expect(lives.run({ entries: 150, seed: 2 })).toEqual(finished);
  expect(lives.run({ entries: 300, seed: 3 })).toEqual(finished);
  expect(await lives.cut(40, 4)).toEqual({ passed: 40, failures: [] });
});

test("nor after a sync failed, the process stopped, and another one read what never reached the disk", async () => {
  for (let failSync = 20; failSync <= 100; failSync += 40) {
    const { status, stderr } = lives.run({ entries: 1000, seed: 5, failSync });
    expect(status).not.toBe(0);
    expect(stderr).toContain("EIO");
  }
  expect(lives.run({ entries: 60, seed: 6 })).toEqual(finished);
  expect(await lives.cut(30, 7)).toEqual({ passed: 30, failures: [] });
});

test("nor when a process was killed in the middle of what it did, and started again", async () => {
  for (const [i, killAt] of [25, 8, 61, 130, 3, 17].entries()) {
    expect(lives.run({ entries: 300, seed: i, killAt }).status).toBeNull();
  }
  expect(lives.run({ entries: 60, seed: 9 })).toEqual(finished);
  expect(await lives.cut(30, 10)).toEqual({ passed: 30, failures: [] });
});

function listFiles(at: string): readonly string[] {
  return readdirSync(at, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(at, name)).isFile())
    .sort();
}
