/**
 * A key that is put again and again, and linearizable reads of it through every member: an answer that is older than a
 * put acknowledged before the read began is stale.
 *
 * Reads are begun at a fixed rate, whether those before were answered or not, and wait long: so a member that was
 * stopped finds reads that were begun meanwhile when it goes on.
 */

import type { ClusterMember } from "./cluster.js";

const key = "fresh";
const readEveryMs = 50;
const readsMax = 100;
const readTimeoutMs = 15_000;
const putTimeoutMs = 500;

export class FreshReads {
  readonly #members: readonly ClusterMember[];
  /** Puts go through these. */
  readonly #writers: readonly ClusterMember[];
  readonly #underWay = new Set<Promise<void>>();
  #timers: NodeJS.Timeout[] = [];
  #writing: Promise<void> = Promise.resolve();
  #stopping = false;
  /** Of the newest acknowledged put. */
  #revision = 0;
  /** Reads answered. */
  answered = 0;
  /** What was wrong. */
  readonly stale: string[] = [];

  constructor(members: readonly ClusterMember[], writers: readonly ClusterMember[]) {
    this.#members = members;
    this.#writers = writers;
  }

  start(): void {
    this.#writing = this.#write();
    this.#timers = this.#members.map((member) => setInterval(() => this.#begin(member), readEveryMs));
  }

  /** Ends when all reads have. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#writing;
    await Promise.all(this.#underWay);
  }

  async #write(): Promise<void> {
    for (let i = 0; !this.#stopping; i++) {
      const member = this.#writers[i % this.#writers.length];
      try {
        const answer = await member?.client.kv.put(key, `${i}`, { timeoutMs: putTimeoutMs });
        this.#revision = Math.max(this.#revision, answer?.header.revision ?? 0);
      } catch {
        // Not acknowledged: nothing is expected of it.
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #begin(member: ClusterMember): void {
    if (this.#underWay.size >= readsMax) return;
    const reading = this.#read(member).finally(() => this.#underWay.delete(reading));
    this.#underWay.add(reading);
  }

  async #read(member: ClusterMember): Promise<void> {
    const floor = this.#revision;
    const answer = await member.client.kv.get(key, { timeoutMs: readTimeoutMs }).catch(() => undefined);
    if (answer === undefined) return;
    this.answered++;
    const seen = answer.kvs[0]?.modRevision ?? 0;
    if (seen < floor) this.stale.push(`${member.name} read revision ${seen} after ${floor} was acknowledged`);
  }
}
