/**
 * The leader's automatic compaction: by time, keeping what was current a period ago, or by count, keeping so many
 * revisions. Each compaction is an entry as a client's is, so all members compact alike; a member that does not lead
 * only keeps its samples up to date.
 *
 * Source: etcd server/etcdserver/api/v3compactor/periodic.go, revision.go.
 */

import type { AutoCompaction } from "../config/auto-compaction.js";
import type { Clock, Logger, Timer } from "../env.js";

export interface AutoCompactorPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  isLeader(): boolean;
  currentRevision(): number;
  /** Proposes a compaction; `done` with true when it was applied, or refused because it was compacted before. */
  compact(revision: number, done: (isCompacted: boolean) => void): void;
}

const hourMs = 3_600_000;
/** Attempts in one interval. Source: periodic.go retryDivisor. */
const attemptsPerInterval = 10;
/** Milliseconds. Source: revision.go revInterval. */
const revisionCheckMs = 300_000;

/** Undefined when automatic compaction is off. */
export function createAutoCompactor(ports: AutoCompactorPorts, mode: AutoCompaction): AutoCompactor | undefined {
  switch (mode.kind) {
    case "off":
      return undefined;
    case "periodic":
      return new AutoCompactor(ports, new PeriodicRule(mode.periodMs, ports.clock.now()));
    case "revision":
      return new AutoCompactor(ports, new RevisionRule(mode.retention));
  }
}

/** Decides what is compacted. */
interface Rule {
  readonly name: string;
  readonly intervalMs: number;
  /** Called when an interval begins. */
  begin(revision: number): void;
  /** The revision to compact at its end, if any. */
  due(now: number, revision: number): number | undefined;
  attempted(revision: number, now: number, isCompacted: boolean): void;
}

export class AutoCompactor {
  readonly #ports: AutoCompactorPorts;
  readonly #rule: Rule;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(ports: AutoCompactorPorts, rule: Rule) {
    this.#ports = ports;
    this.#rule = rule;
  }

  start(): void {
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #wait(): void {
    if (this.#stopped) return;
    const { clock, currentRevision } = this.#ports;
    this.#rule.begin(currentRevision());
    this.#timer = clock.setTimer(this.#rule.intervalMs, () => this.#attempt());
  }

  #attempt(): void {
    const { clock, logger, isLeader, currentRevision, compact } = this.#ports;
    const revision = isLeader() ? this.#rule.due(clock.now(), currentRevision()) : undefined;
    if (revision === undefined) return this.#wait();
    const startedAt = clock.now();
    logger.log("info", `starting auto ${this.#rule.name} compaction`, { revision });
    compact(revision, (isCompacted) => {
      this.#rule.attempted(revision, clock.now(), isCompacted);
      const level = isCompacted ? "info" : "warn";
      const outcome = isCompacted ? "completed" : "failed";
      logger.log(level, `${outcome} auto ${this.#rule.name} compaction`, { revision, tookMs: clock.now() - startedAt });
      this.#wait();
    });
  }
}

/** Revisions are sampled ten times an interval, and the oldest sample is a period old. */
class PeriodicRule implements Rule {
  readonly name = "periodic";
  readonly intervalMs: number;
  readonly #compactionMs: number;
  readonly #samplesMax: number;
  readonly #samples: number[] = [];
  /** Milliseconds since `#lastAt` before the next compaction. */
  #waitMs: number;
  #lastAt: number;
  #compacted = 0;

  constructor(periodMs: number, now: number) {
    this.#compactionMs = Math.min(periodMs, hourMs);
    this.intervalMs = this.#compactionMs / attemptsPerInterval;
    this.#samplesMax = Math.floor((periodMs * attemptsPerInterval) / this.#compactionMs) + 1;
    this.#waitMs = periodMs;
    this.#lastAt = now;
  }

  begin(revision: number): void {
    this.#samples.push(revision);
    if (this.#samples.length > this.#samplesMax) this.#samples.shift();
  }

  due(now: number): number | undefined {
    const oldest = this.#samples[0];
    if (now - this.#lastAt < this.#waitMs || oldest === undefined || oldest === this.#compacted) return undefined;
    this.#waitMs = this.#compactionMs;
    return oldest;
  }

  attempted(revision: number, now: number, isCompacted: boolean): void {
    if (!isCompacted) return;
    this.#lastAt = now;
    this.#compacted = revision;
  }
}

class RevisionRule implements Rule {
  readonly name = "revision";
  readonly intervalMs: number = revisionCheckMs;
  readonly #retention: number;
  #compacted = 0;

  constructor(retention: number) {
    this.#retention = retention;
  }

  begin(): void {}

  due(_now: number, current: number): number | undefined {
    const revision = current - this.#retention;
    return revision <= 0 || revision === this.#compacted ? undefined : revision;
  }

  attempted(revision: number, _now: number, isCompacted: boolean): void {
    if (isCompacted) this.#compacted = revision;
  }
}
