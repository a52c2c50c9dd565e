/**
 * How long one large entry holds up the loop of a real member: puts keys, deletes all of them in one call, and asks all
 * the while, one serializable get after the other. A get that waits as long as a heartbeat means that a heartbeat would
 * have waited too.
 *
 *   node build/scripts/soak.js stall [--keys 1000000] [--limit-ms 50]
 */

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runClosedLoop, type Work } from "../../bench/generator/closed-loop.js";
import { KvPath } from "../../bench/generator/kv-work.js";
import { MessageWriter } from "../../bench/generator/message.js";
import { callOnce } from "../../bench/generator/one-call.js";
import { Side } from "../../bench/side.js";
import { Member } from "../../tests/interop/support/member.js";
import { option } from "../../tests/robustness/support/options.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const keys = option(args, "--keys", 1_000_000);
  const limitMs = option(args, "--limit-ms", 50);
  const directory = join(root, "build", "soak-data");
  mkdirSync(directory, { recursive: true });
  const member = await Member.start({
    name: "stall",
    command: [process.execPath, join(root, "bin/etcd")],
    flags: ["--quota-backend-bytes", String(8 * 2 ** 30)],
    directory,
  });
  try {
    const filled = await new Side(member).fill(keys);
    console.log(`${keys} puts in ${filled.seconds.toFixed(1)} s`);
    const idle = new Probe();
    await idle.during(member, () => new Promise((resolve) => setTimeout(resolve, 2000)));
    const probe = new Probe();
    const tookMs = await probe.during(member, () => deleteAll(member));
    const lag = (await member.get("/metrics"))?.body.match(/^nodejs_eventloop_lag_max_seconds \S+/m)?.[0] ?? "";
    console.log(`idle: ${idle.describe()}`);
    console.log(`deleting ${keys} keys in one call took ${tookMs.toFixed(0)} ms: ${probe.describe()}; ${lag}`);
    const isShort = probe.longestMs < limitMs;
    if (!isShort) console.log(`a get waited ${probe.longestMs.toFixed(1)} ms, the limit is ${limitMs} ms`);
    return { passed: isShort ? 1 : 0, failed: isShort ? 0 : 1 };
  } finally {
    await member.close();
  }
}

/** One caller of serializable gets, which need neither disk nor raft: only the loop can make them wait. */
class Probe implements Work {
  readonly #writer = new MessageWriter(64);
  readonly #waitsMs: number[] = [];
  #sentAt = 0;
  #over = false;

  /** Asks until `work` is done; returns the milliseconds that took. */
  async during(member: Member, work: () => Promise<unknown>): Promise<number> {
    const asking = runClosedLoop({
      host: member.host,
      port: member.port,
      connections: 1,
      streams: 1,
      work: () => this,
    });
    const startedAt = performance.now();
    await work();
    const tookMs = performance.now() - startedAt;
    this.#over = true;
    await asking;
    this.#waitsMs.sort((a, b) => a - b);
    return tookMs;
  }

  get longestMs(): number {
    return this.#waitsMs.at(-1) ?? 0;
  }

  describe(): string {
    const at = (part: number): string => (this.#waitsMs[Math.floor(this.#waitsMs.length * part)] ?? 0).toFixed(2);
    const longest = this.#waitsMs.slice(-5).map((ms) => ms.toFixed(1));
    return `${this.#waitsMs.length} gets, p50 ${at(0.5)} ms, p99.9 ${at(0.999)} ms, longest ${longest.join(" ")} ms`;
  }

  prepare(): ReturnType<Work["prepare"]> {
    if (this.#over) return undefined;
    this.#writer.reset().span(1, latin1("probe")).uint(7, 1);
    this.#sentAt = performance.now();
    return { path: KvPath.range, message: this.#writer.bytes, size: this.#writer.size };
  }

  check(): void {
    this.#waitsMs.push(performance.now() - this.#sentAt);
  }
}

/** DeleteRange of every key, in one request. */
function deleteAll(member: Member): Promise<void> {
  const message = new MessageWriter(64).span(1, latin1("/bench/")).span(2, latin1("/bench0")).finish();
  return callOnce(member, { path: "/etcdserverpb.KV/DeleteRange", message });
}
