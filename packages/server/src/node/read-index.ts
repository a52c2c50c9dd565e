/**
 * Linearizable reads: batches readers and confirms, by a round of raft's ReadIndex, that what this member will have
 * applied when it answers includes everything that was acknowledged before the read began.
 *
 * A reader joins the batch that has not been asked for yet; a batch is asked for once the one before it was confirmed
 * or failed, so that a confirmation never covers a reader who came after its request. Each request carries a fresh id,
 * and only an answer to an id of the running round counts: an old answer may be older than the readers (etcd issue
 * 20418). A change of leader always wins over a confirmation that arrives together with it.
 *
 * Source: etcd server/etcdserver/v3_server.go linearizableReadLoop.
 */

import type { Reason } from "@etcd-ts/api";
import type { Clock } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";

export type ReadDone = (refusal: Reason | undefined) => void;

export interface ReadIndexPorts {
  readonly clock: Clock;
  /** Hands a context of 8 bytes to raft's ReadIndex. The answer, if any, comes back through `confirmed`. */
  requestReadIndex(context: Uint8Array): void;
  nextRequestId(): bigint;
  appliedIndex(): number;
  readonly counts: Pick<MemberMetrics, "readIndexesFailed" | "slowReadIndexes">;
}

export interface ReadIndexLimits {
  /** A round without an answer fails after this long. */
  readonly timeoutMs: number;
  /** A round asks again, with a fresh id, each time this passes without an answer. */
  readonly retryMs: number;
  /** Readers waiting at most; one more is refused with "too many requests". */
  readonly readersMax: number;
}

interface Round {
  readonly readers: ReadDone[];
  readonly ids: Set<bigint>;
  readonly startedAt: number;
  askedAt: number;
}

/** Readers whose index is confirmed and not yet applied, in index order. */
interface Confirmed {
  readonly index: number;
  readonly readers: readonly ReadDone[];
}

export class ReadIndexLoop {
  readonly #ports: ReadIndexPorts;
  readonly #limits: ReadIndexLimits;
  #next: ReadDone[] = [];
  #round: Round | undefined;
  readonly #confirmed: Confirmed[] = [];
  #waiting = 0;
  #stopped = false;

  constructor(ports: ReadIndexPorts, limits: ReadIndexLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  /** Joins the next batch. `done` gets a refusal, or undefined once a read of the local state is linearizable. */
  read(done: ReadDone): void {
    if (this.#stopped) return done("stopped");
    if (this.#waiting >= this.#limits.readersMax) return done("requestTooManyRequests");
    this.#waiting++;
    this.#next.push(done);
  }

  /** True when a batch waits to be asked for: the node loop then calls `startRound` in its next turn. */
  get wantsRound(): boolean {
    return this.#round === undefined && this.#next.length > 0;
  }

  /** Returns how many readers the round has; 0 without one. */
  startRound(): number {
    if (!this.wantsRound) return 0;
    const readers = this.#next;
    this.#next = [];
    const now = this.#ports.clock.now();
    this.#round = { readers, ids: new Set(), startedAt: now, askedAt: now };
    this.#ask(this.#round);
    return readers.length;
  }

  /** Raft's answer. `context` is the one given to `requestReadIndex`. */
  confirmed(context: Uint8Array, index: number): void {
    const round = this.#round;
    if (round === undefined || context.length !== 8) return;
    if (!round.ids.has(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0))) {
      this.#ports.counts.slowReadIndexes++;
      return;
    }
    this.#endRound(round);
    this.#confirmed.push({ index, readers: round.readers });
    this.applied(this.#ports.appliedIndex());
  }

  /** To be called, before any confirmation of the same Ready, whenever the leader this member knows has changed. */
  leaderChanged(): void {
    if (this.#round !== undefined) this.#ports.counts.readIndexesFailed++;
    this.#fail("leaderChanged");
  }

  /** A new leader answers reads only after its first commit: ask again as soon as that is applied. */
  firstCommitInTerm(): void {
    if (this.#round !== undefined) this.#ask(this.#round);
  }

  /** To be called at every tick: asks again or gives up. Timers of its own would cost more than a round does. */
  tick(): void {
    const round = this.#round;
    if (round === undefined) return;
    const now = this.#ports.clock.now();
    if (now - round.startedAt >= this.#limits.timeoutMs) {
      this.#ports.counts.slowReadIndexes++;
      return this.#fail("timeout");
    }
    if (now - round.askedAt < this.#limits.retryMs) return;
    round.askedAt = now;
    this.#ask(round);
  }

  /** Releases the readers whose index is reached. */
  applied(index: number): void {
    while (this.#confirmed[0] !== undefined && this.#confirmed[0].index <= index) {
      const batch = this.#confirmed.shift();
      if (batch !== undefined) this.#release(batch.readers, undefined);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#fail("stopped");
    const next = this.#next;
    this.#next = [];
    this.#release(next, "stopped");
    for (const batch of this.#confirmed.splice(0)) this.#release(batch.readers, "stopped");
  }

  #ask(round: Round): void {
    const id = this.#ports.nextRequestId();
    round.ids.add(id);
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, id);
    this.#ports.requestReadIndex(context);
  }

  #fail(reason: Reason): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#endRound(round);
    this.#release(round.readers, reason);
  }

  #endRound(round: Round): void {
    if (this.#round === round) this.#round = undefined;
  }

  #release(readers: readonly ReadDone[], refusal: Reason | undefined): void {
    this.#waiting -= readers.length;
    for (const done of readers) done(refusal);
  }
}
