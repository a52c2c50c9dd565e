/** Runs programs on two servers side by side and finds the first operation whose outcomes differ. */

import { isDeepStrictEqual } from "node:util";
import { Member, type MemberOptions } from "../interop/support/member.js";
import { Avoidance } from "./avoidance.js";
import { Endpoint, type Outcome } from "./endpoint.js";
import { knownDifferences } from "./known-differences.js";
import { absolute, leaseIds, namespace, type Operation, type Program } from "./program.js";
import type { Schema } from "./schema.js";

export interface Difference {
  /** The operation whose outcomes differ; absent when it is what the watchers saw. */
  readonly operation?: Operation;
  readonly ours: unknown;
  readonly peer: unknown;
}

/** Neither server is ever without a leader here: it has crashed. */
const unavailable = 14;
/** How long watchers of both servers have to agree after all their events should be there. */
const settleTimeoutMs = 10_000;
/** How long their states may differ after the start. */
const startTimeoutMs = 30_000;

/** Two fresh servers with the same history. After a difference their histories may differ: make a new pair. */
export class ServerPair {
  readonly #members: readonly [Member, Member];
  readonly #ours: Endpoint;
  readonly #peer: Endpoint;
  readonly #avoidance = new Avoidance();
  /** What relative revisions refer to. */
  #baseRevision = 0;
  /** Names of the known differences met. */
  readonly met: Set<string> = new Set();

  private constructor(members: readonly [Member, Member], schema: Schema) {
    this.#members = members;
    this.#ours = new Endpoint(schema, members[0].endpoint);
    this.#peer = new Endpoint(schema, members[1].endpoint);
  }

  static async start(
    schema: Schema,
    commands: { ours: readonly string[]; peer: readonly string[] },
  ): Promise<ServerPair> {
    const common: Omit<MemberOptions, "command"> = { name: "m" };
    const ours = await Member.start({ ...common, command: commands.ours });
    try {
      const pair = new ServerPair([ours, await Member.start({ ...common, command: commands.peer })], schema);
      await pair.#untilSettled();
      return pair;
    } catch (error) {
      await ours.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#ours.close();
    this.#peer.close();
    await Promise.all(this.#members.map((member) => member.close()));
  }

  /** The storage version follows the cluster's some seconds after the start. */
  async #untilSettled(): Promise<void> {
    const status: Operation = { kind: "call", path: "/etcdserverpb.Maintenance/Status", request: {} };
    const deadlineMs = performance.now() + startTimeoutMs;
    for (;;) {
      const [ours, peer] = await this.#both(status);
      if (isDeepStrictEqual(ours, peer) || performance.now() > deadlineMs) {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Runs the program and returns the first unexplained difference. */
  async run(program: Program): Promise<Difference | undefined> {
    try {
      return (await this.#clean()) ?? (await this.#runOperations(program)) ?? (await this.#compareWatches());
    } finally {
      this.#ours.endProgram();
      this.#peer.endProgram();
    }
  }

  /** Empties the namespace, revokes the leases, and takes the revision that programs refer to. */
  async #clean(): Promise<Difference | undefined> {
    for (const id of leaseIds) {
      const difference = await this.#step({
        kind: "call",
        path: "/etcdserverpb.Lease/LeaseRevoke",
        request: { ID: id },
      });
      if (difference !== undefined) {
        return difference;
      }
    }
    const request = { key: Buffer.from(namespace), range_end: Buffer.from("p0") };
    const wipe: Operation = { kind: "call", path: "/etcdserverpb.KV/DeleteRange", request };
    const [ours, peer] = await this.#both(wipe);
    const revision = revisionOf(peer);
    if (!isDeepStrictEqual(ours, peer) || revision === undefined) {
      return { operation: wipe, ours, peer };
    }
    this.#baseRevision = revision;
    this.#avoidance.startProgram();
    return undefined;
  }

  async #runOperations(program: Program): Promise<Difference | undefined> {
    for (const relative of program.operations) {
      const operation = absolute(relative, this.#baseRevision);
      const difference = this.#avoidance.avoids(operation) ? undefined : await this.#runOperation(operation);
      if (difference !== undefined) {
        return difference;
      }
    }
    return undefined;
  }

  async #runOperation(operation: Operation): Promise<Difference | undefined> {
    const preparation = this.#avoidance.preparation(operation);
    return (
      (preparation === undefined ? undefined : await this.#step(preparation)) ??
      (isOrderedWithEvents(operation) ? await this.#syncWatches() : undefined) ??
      (await this.#step(operation))
    );
  }

  async #step(operation: Operation): Promise<Difference | undefined> {
    const [ours, peer] = await this.#both(operation);
    this.#avoidance.observe(operation, peer);
    if (isDeepStrictEqual(ours, peer) && peer.code !== unavailable) {
      return undefined;
    }
    const known = knownDifferences.find((difference) => difference.explains(operation, ours, peer));
    if (known !== undefined) {
      this.met.add(known.name);
      return undefined;
    }
    return { operation, ours, peer };
  }

  async #both(operation: Operation): Promise<[Outcome, Outcome]> {
    return Promise.all([this.#ours.perform(operation), this.#peer.perform(operation)]);
  }

  /**
   * Waits until all watchers of both servers have caught up. Progress at a revision made for the purpose is none from
   * before the last watcher was created.
   */
  async #syncWatches(): Promise<Difference | undefined> {
    if (this.#peer.watchStreams.size === 0) {
      return undefined;
    }
    const difference = await this.#step(newRevision);
    const streams = [...this.#ours.watchStreams.values(), ...this.#peer.watchStreams.values()];
    await Promise.all(streams.map((stream) => stream.sync(this.#avoidance.revision)));
    return difference;
  }

  async #compareWatches(): Promise<Difference | undefined> {
    const difference = await this.#syncWatches();
    if (difference !== undefined) {
      return difference;
    }
    for (const [index, stream] of this.#peer.watchStreams) {
      const deadlineMs = performance.now() + settleTimeoutMs;
      const ours = this.#ours.watchStreams.get(index);
      // Nothing says when a cancellation by compaction will come.
      while (!isDeepStrictEqual(ours?.record(), stream.record())) {
        if (performance.now() > deadlineMs) {
          return { ours: ours?.record(), peer: stream.record() };
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    return undefined;
  }
}

const newRevision: Operation = {
  kind: "call",
  path: "/etcdserverpb.KV/Put",
  request: { key: Buffer.from("watchers caught up") },
};

/** Whether what watchers see depends on how far they have come when the operation is made. */
function isOrderedWithEvents(operation: Operation): boolean {
  return operation.kind === "cancel" || (operation.kind === "call" && operation.path.endsWith("/Compact"));
}

function revisionOf(outcome: Outcome): number | undefined {
  const answer = outcome.answers[0] as { header?: { revision?: string } } | undefined;
  return answer?.header?.revision === undefined ? undefined : Number(answer.header.revision);
}
