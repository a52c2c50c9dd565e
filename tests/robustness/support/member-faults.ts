/** The real member under load: killed and started again, or its disk cut off at points of its own log of operations. */

import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Member } from "../../interop/support/member.js";
import { freePort } from "../../interop/support/ports.js";
import { type Draw, PowerLoss, readShimLog } from "../power-loss.js";
import { KvLoad } from "./kv-load.js";
import { LeftMember, type MemberPorts } from "./left-member.js";
import { seededDraw } from "./random.js";
import { repository, type ShimOptions, shimEnvironment } from "./shim.js";

export interface FaultOptions {
  /** Kills, or cuts. */
  readonly count: number;
  readonly draw: Draw;
  /** Called after each with what was wrong. */
  readonly report: (number: number, wrong: readonly string[]) => void;
  /** Faults of the disk besides the cuts; with `noSync` something is expected to be wrong. */
  readonly shim?: Pick<ShimOptions, "noSync">;
}

const launcher = ["node", join(repository, "bin/etcd")];
/** Small, so that segments are cut, released and purged all the time. */
const memberSizes = { "snapshot-count": "200", "max-wals": "2" };
const memberFlags = Object.entries(memberSizes).flatMap(([name, value]) => [`--${name}`, value]);
/** A member alone elects itself; what is waited for is only time. */
const fastTicks = { "heartbeat-interval": "10", "election-timeout": "100" };
const loadMsMax = 400;
/** Milliseconds that a member is given to meet the failure of its disk. */
const failureMsMax = 3000;
const bootAttemptsMax = 10;

/** Kills the member `count` times under load; after each start everything acknowledged so far must be there. */
export async function killMember(options: FaultOptions): Promise<void> {
  const member = await Member.start({ name: "killed", command: launcher, flags: memberFlags });
  const load = new KvLoad({ port: member.port, writers: 16, paddingMax: 2000 });
  try {
    for (let number = 1; number <= options.count; number++) {
      load.start();
      await delay(options.draw() * loadMsMax);
      await member.stop({ force: true });
      await load.stop();
      let wrong: readonly string[];
      try {
        await bootAgain(member);
        wrong = await load.check(process.hrtime.bigint());
      } catch (error) {
        wrong = [error instanceof Error ? error.message : String(error)];
      }
      options.report(number, wrong);
      if (wrong.length > 0) return;
    }
  } finally {
    await member.close();
  }
}

/** Other programs on the machine may hold the member's port for a moment after it was killed. */
async function bootAgain(member: Member): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await member.boot();
      return;
    } catch (error) {
      if (attempt === bootAttemptsMax || !String(error).includes("EADDRINUSE")) throw error;
      await delay(2000);
    }
  }
}

/** Part of the cuts that fall into the member's first start. */
const startShare = 0.2;

/**
 * Runs a member under load for a while, then boots what each of `count` power cuts during that time could have left.
 */
export async function cutMember(options: FaultOptions): Promise<void> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "etcd-ts-member-")));
  const watched = join(root, "data");
  const log = join(root, "shim.log");
  mkdirSync(watched, { mode: 0o700 });
  const ports = { clientPort: await freePort(), peerPort: await freePort() };
  const variables = Object.entries(shimEnvironment({ directory: watched, log, ...options.shim })).map(
    ([name, value]) => `${name}=${value}`,
  );
  const booted = new LeftMember(ports, { ...memberSizes, ...fastTicks });
  try {
    const load = new KvLoad({ port: ports.clientPort, writers: 16, paddingMax: 2000 });
    const member = await Member.start({
      name: "cut",
      command: ["env", ...variables, ...launcher],
      flags: [...memberFlags, "--data-dir", watched],
      ...ports,
    });
    const readyNs = process.hrtime.bigint();
    try {
      load.start();
      await delay(1000 + options.draw() * 2000);
      await load.stop();
    } finally {
      await member.stop({ force: true });
    }
    const operations = readShimLog(log);
    const loss = new PowerLoss(operations, watched);
    const first = operations.findIndex(({ timeNs }) => timeNs >= readyNs);
    const draws = Array.from({ length: options.count }, () => options.draw());
    // The first start has few operations and many ways to be cut short.
    const positions = draws.map((drawn) =>
      drawn < startShare
        ? Math.floor((drawn / startShare) * first)
        : first + Math.floor(((drawn - startShare) / (1 - startShare)) * (loss.length - first + 1)),
    );
    const left = join(root, "left");
    for (const [i, position] of positions.sort((a, b) => a - b).entries()) {
      loss.advanceTo(position);
      const seed = Math.floor(options.draw() * 2 ** 32);
      loss.build(left, seededDraw(seed));
      const wrong = await booted.check(left, () => load.check(loss.timeNs));
      if (wrong.length === 0 || options.shim !== undefined) {
        options.report(i + 1, wrong);
        continue;
      }
      // Booting has changed it.
      loss.build(left, seededDraw(seed));
      options.report(i + 1, [...wrong, `what was left is kept in ${keep(left)}`]);
    }
    await member.close();
  } finally {
    booted.end();
    rmSync(root, { recursive: true, force: true });
  }
}

/**
 * Runs a member under load on a disk that fails it, by a sync or by being full, and boots it on a good disk; what is
 * wrong. A defragmentation may meet the failure instead: then the member goes on, and is killed after a while.
 */
export async function failDisk(shim: Pick<ShimOptions, "failSync" | "fullAt">): Promise<readonly string[]> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "etcd-ts-disk-")));
  const watched = join(root, "data");
  mkdirSync(watched, { mode: 0o700 });
  const ports = { clientPort: await freePort(), peerPort: await freePort() };
  const environment = shimEnvironment({ directory: watched, log: join(root, "shim.log"), ...shim });
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const load = new KvLoad({ port: ports.clientPort, writers: 16, paddingMax: 2000 });
  const flags = [...memberFlags, "--data-dir", watched];
  try {
    let log: string | undefined;
    try {
      const member = await Member.start({
        name: "cut",
        command: ["env", ...variables, ...launcher],
        flags,
        ...ports,
      });
      load.start();
      log = await Promise.race([member.ended(), delay(failureMsMax)]);
      await member.stop({ force: true });
      await load.stop();
      await member.close();
    } catch (error) {
      // It could not even start.
      log = error instanceof Error ? error.message : String(error);
    }
    const fatal = log?.split("\n").filter((line) => line.includes('"level":"fatal"'));
    const code = shim.failSync === undefined ? "ENOSPC" : "EIO";
    const isSaid = fatal === undefined || (fatal.length === 1 && fatal[0]?.includes(code) === true);
    const wrong = isSaid ? [] : [`it does not say why it ended: ${log}`];
    return [...wrong, ...(await bootLeft(watched, ports, load, process.hrtime.bigint()))];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Puts aside what was left. */
function keep(left: string): string {
  const kept = mkdtempSync(join(tmpdir(), "etcd-ts-failed-"));
  renameSync(left, join(kept, "data"));
  return kept;
}

async function bootLeft(left: string, ports: MemberPorts, load: KvLoad, timeNs: bigint): Promise<readonly string[]> {
  try {
    const member = await Member.start({
      name: "cut",
      command: launcher,
      flags: [...memberFlags, "--data-dir", left],
      ...ports,
    });
    try {
      return await load.check(timeNs);
    } finally {
      await member.stop({ force: true });
      await member.close();
    }
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
