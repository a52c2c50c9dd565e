/** A leader whose disk hangs for half a minute, with the others well, and with one of them gone. */

import { kv } from "@etcd-ts/api";
import { describe, expect, test } from "vitest";
import { Caller, type CallOutcome } from "./client.js";
import { Cluster, type Node } from "./cluster.js";
import { drawOptions } from "./options.js";
import { SimRandom } from "./random.js";
import { quietDisk } from "./sim-disk.js";
import { bytesOf } from "./text.js";
import { World } from "./world.js";

const electionMs = 1000;
const stallMs = 30_000;

class Story {
  readonly world = new World();
  readonly cluster: Cluster;
  readonly #caller: Caller;
  readonly #violations: string[] = [];

  constructor(seed: number) {
    const random = new SimRandom(seed, "stall");
    const drawn = drawOptions(seed, { members: 3, faults: [], operations: [] });
    const options = { ...drawn, heartbeatMs: 100, electionMs };
    this.cluster = new Cluster(this.world, random.split("cluster"), options, {
      violation: (reason) => this.#violations.push(reason),
      turned: () => {},
      log: () => {},
    });
    this.#caller = new Caller(this.world, random.split("caller"), 0.3);
    this.cluster.start();
  }

  put(node: Node, timeoutMs = 1000): Promise<CallOutcome<unknown>> {
    return this.#await((done) =>
      this.#caller.unary(node, kv.put, { key: bytesOf("k"), value: bytesOf("v") }, timeoutMs, done),
    );
  }

  get(node: Node): Promise<CallOutcome<unknown>> {
    return this.#await((done) => this.#caller.unary(node, kv.range, { key: bytesOf("k") }, 1000, done));
  }

  /** Runs until the condition holds, and fails after `limitMs`. */
  async until(what: string, limitMs: number, holds: () => boolean): Promise<void> {
    const deadline = this.world.now + limitMs;
    while (!holds()) {
      expect(this.world.now, `${what}, within ${limitMs} ms`).toBeLessThan(deadline);
      await this.world.runUntil(this.world.now + 20);
    }
    expect(this.#violations).toEqual([]);
  }

  async leader(): Promise<Node> {
    await this.until("a leader", 20_000, () => this.cluster.leader?.serving === true);
    return this.cluster.leader as Node;
  }

  /** Its disk takes up nothing more. */
  hang(node: Node): void {
    node.diskFaults = { ...quietDisk, latencyMs: 0, stallChance: 1, stallMs: 1e9 };
  }

  async #await<T>(start: (done: (outcome: T) => void) => void): Promise<T> {
    const outcomes: T[] = [];
    start((outcome) => outcomes.push(outcome));
    while (outcomes.length === 0) await this.world.runUntil(this.world.now + 5);
    return outcomes[0] as T;
  }
}

describe.each([1, 2, 3, 4, 5])("the leader's disk hangs, seed %i", (seed) => {
  test("another member leads soon, puts go on, and the old leader follows", async () => {
    const story = new Story(seed);
    const old = await story.leader();
    story.hang(old);
    const hungAt = story.world.now;
    const followers = story.cluster.nodes.filter((node) => node !== old);
    // Somebody must write for a disk to be late.
    void story.put(old, 100);
    await story.until("another leader", 3 * electionMs, () => followers.some((node) => node.member?.isLeader === true));
    for (const node of followers) expect(await story.put(node)).toMatchObject({ kind: "ok" });
    while (story.world.now < hungAt + stallMs) {
      await story.world.runUntil(story.world.now + 500);
      for (const node of followers) expect(await story.put(node)).toMatchObject({ kind: "ok" });
      expect(old.member?.isLeader).toBe(false);
    }
  });

  test("with nobody to take over it says so", async () => {
    const story = new Story(seed);
    const old = await story.leader();
    const [other, gone] = story.cluster.nodes.filter((node) => node !== old);
    story.cluster.crash(gone as Node, { losesPower: false, downMs: 1e9 });
    expect(await story.put(old)).toMatchObject({ kind: "ok" });
    story.hang(old);
    void story.put(old, 100);
    await story.until("no leader", 3 * electionMs, () => old.member?.leader === 0n);
    expect(await story.put(old, 3 * electionMs)).toMatchObject({ kind: "refused", message: "etcdserver: no leader" });
    expect(await story.get(old)).toMatchObject({ kind: "refused", message: "etcdserver: no leader" });
    await story.until("its follower noticed", 5 * electionMs, () => other?.member?.leader === 0n);
  });
});
