/**
 * Deletes very many keys in one call on three members: applying that must not keep the leader from its heartbeats, nor
 * a follower from hearing them, so that nobody else leads afterwards.
 *
 *   node build/scripts/soak.js mass-delete [--keys 1000000]
 */

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageWriter } from "../../bench/generator/message.js";
import { callOnce } from "../../bench/generator/one-call.js";
import { Side } from "../../bench/side.js";
import { Trio } from "../../bench/trio.js";
import type { Member } from "../../tests/interop/support/member.js";
import { option } from "../../tests/robustness/support/options.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const keys = option(args, "--keys", 1_000_000);
  const directory = join(root, "build", "soak-data");
  mkdirSync(directory, { recursive: true });
  const trio = await Trio.start({
    name: "mass",
    command: [process.execPath, join(root, "bin/etcd")],
    flags: ["--quota-backend-bytes", String(8 * 2 ** 30)],
    directory,
  });
  try {
    const filled = await new Side(trio).fill(keys);
    for (const follower of trio.followers) await trio.caughtUp(follower);
    const before = await leaderChanges(trio.members);
    const startedMs = performance.now();
    const range = new MessageWriter(64).span(1, Buffer.from("/bench/")).span(2, Buffer.from("/bench0")).finish();
    await callOnce(trio, { path: "/etcdserverpb.KV/DeleteRange", message: range });
    const answeredMs = performance.now() - startedMs;
    for (const follower of trio.followers) await trio.caughtUp(follower);
    const appliedMs = performance.now() - startedMs;
    const after = await leaderChanges(trio.members);
    console.log(
      `${keys} puts in ${filled.seconds.toFixed(0)} s; deleted in one call, answered after ${answeredMs.toFixed(0)} ms, ` +
        `applied by all after ${appliedMs.toFixed(0)} ms; leader changes seen before ${before}, after ${after}`,
    );
    const isSame = before.join() === after.join();
    return { passed: isSame ? 1 : 0, failed: isSame ? 0 : 1 };
  } finally {
    await trio.close();
  }
}

function leaderChanges(members: readonly Member[]): Promise<number[]> {
  return Promise.all(
    members.map(async (member) => {
      const text = (await member.get("/metrics"))?.body ?? "";
      return Number(/^etcd_server_leader_changes_seen_total (\d+)$/m.exec(text)?.[1]);
    }),
  );
}
