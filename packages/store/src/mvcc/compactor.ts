/**
 * The physical work of compactions, after they were accepted: a first-in first-out queue of jobs, each done in slices
 * between entries. A job first shrinks the index, then deletes the rows that the index no longer names, and hashes the
 * rows on its way. Source: server/storage/mvcc/kvstore_compaction.go.
 *
 * A crash or `abort` leaves the job unfinished: `meta/finishedCompactRev` is not written, and boot runs it again.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import type { Backend } from "../backend.js";
import { type Crc32c, type HashCache, KeyValueHasher } from "./hash.js";
import type { KeyIndex } from "./key-index.js";
import type { Pins } from "./pins.js";
import { recordKey } from "./record.js";
import { encodeRevisionKey } from "./revision-key.js";

/** Row of `meta`: the last accepted compaction. */
export const scheduledCompactKey: Uint8Array = bytesFromLatin1("scheduledCompactRev");
/** Row of `meta`: the last finished compaction. */
export const finishedCompactKey: Uint8Array = bytesFromLatin1("finishedCompactRev");

/** Tells when queued work has ended, also by being aborted. */
export class Completion {
  #done = false;
  #callbacks: (() => void)[] = [];

  get done(): boolean {
    return this.#done;
  }

  /** Calls back once the work has ended; at once when it has. */
  onDone(callback: () => void): void {
    if (this.#done) callback();
    else this.#callbacks.push(callback);
  }

  complete(): void {
    if (this.#done) return;
    this.#done = true;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  }
}

/** One compaction; without a `work` part only a place in the queue. */
interface Job {
  readonly completion: Completion;
  readonly work: Work | undefined;
}

interface Work {
  readonly revision: number;
  readonly previousCompactRevision: number;
  /** Whether the previous compaction had finished, so that the hash means something to other members. */
  readonly storesHash: boolean;
  /** Next key of the index phase; undefined = it has ended. */
  nextKey: string | undefined;
  keptCount: number;
  hasher: KeyValueHasher | undefined;
  nextMain: number;
  nextSub: number;
}

interface CompactorPorts {
  readonly backend: Backend;
  readonly index: KeyIndex;
  readonly pins: Pins;
  readonly hashes: HashCache;
  readonly crc32c: Crc32c;
}

export class Compactor {
  readonly #ports: CompactorPorts;
  readonly #jobs: Job[] = [];
  /** Of the jobs that have ended since `complete` was called. */
  #ended: Completion[] = [];

  constructor(ports: CompactorPorts) {
    this.#ports = ports;
  }

  /** Queues the work of a compaction. */
  add(revision: number, previous: { readonly compactRevision: number; readonly finished: boolean }): Completion {
    const completion = new Completion();
    const work: Work = {
      revision,
      previousCompactRevision: previous.compactRevision,
      storesHash: previous.finished,
      nextKey: "",
      keptCount: 0,
      hasher: undefined,
      nextMain: 0,
      nextSub: 0,
    };
    this.#jobs.push({ completion, work });
    return completion;
  }

  /** Queues nothing: completes after all that is queued now. */
  addBarrier(): Completion {
    const completion = new Completion();
    this.#jobs.push({ completion, work: undefined });
    return completion;
  }

  get pending(): boolean {
    return this.#jobs.length > 0;
  }

  /**
   * Does about `rowsMax` keys or rows of work; true when more remains. Does nothing while a reader in slices began
   * before the compaction. What it writes belongs to the next `sealEntry`; `complete` is to be called then.
   */
  step(rowsMax: number): boolean {
    const job = this.#jobs[0];
    if (job === undefined) return false;
    if (job.work === undefined || this.#stepWork(job.work, rowsMax)) {
      this.#jobs.shift();
      this.#ended.push(job.completion);
    }
    return this.#jobs.length > 0;
  }

  /** What the jobs that have ended wrote is sealed: tells those who wait for them. */
  complete(): void {
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    for (const completion of ended) completion.complete();
  }

  /** Gives up all jobs, since the database is closed or replaced. */
  abort(): void {
    this.complete();
    for (const job of this.#jobs.splice(0)) job.completion.complete();
  }

  /** True when the job has ended. */
  #stepWork(work: Work, rowsMax: number): boolean {
    if (this.#ports.pins.blocks(work.revision)) return false;
    if (work.nextKey !== undefined) {
      const { next, kept } = this.#ports.index.compact(work.nextKey, work.revision, rowsMax);
      work.nextKey = next;
      work.keptCount += kept;
      return false;
    }
    if (!this.#deleteRows(work, rowsMax)) return false;
    const { backend, hashes } = this.#ports;
    backend.put("meta", finishedCompactKey, encodeRevisionKey(work.revision, 0));
    if (work.storesHash && work.hasher !== undefined) {
      const { previousCompactRevision: compactRevision, revision: hashRevision } = work;
      hashes.add({ hash: work.hasher.hash, compactRevision, hashRevision });
    }
    return true;
  }

  /** True when all rows up to the revision have been looked at. */
  #deleteRows(work: Work, rowsMax: number): boolean {
    const { backend, index } = this.#ports;
    work.hasher ??= this.#newHasher(work);
    const hasher = work.hasher;
    const dropped: { main: number; sub: number; tombstone: boolean }[] = [];
    let visited = 0;
    backend.scanRecords(work.nextMain, work.nextSub, work.revision + 1, (main, sub, tombstone, value) => {
      hasher.write(main, sub, tombstone, value);
      const slot = index.slotOf(latin1FromBytes(recordKey(value)));
      if (slot < 0 || !index.contains(slot, main, sub)) dropped.push({ main, sub, tombstone });
      work.nextMain = main;
      work.nextSub = sub + 1;
      return ++visited < rowsMax;
    });
    for (const { main, sub, tombstone } of dropped) backend.deleteRecord(main, sub, tombstone);
    return visited < rowsMax;
  }

  #newHasher(work: Work): KeyValueHasher {
    const { index, crc32c } = this.#ports;
    const isKept = (key: string, main: number, sub: number): boolean => {
      const slot = index.slotOf(key);
      return slot >= 0 && index.contains(slot, main, sub);
    };
    const bounds = { compactRevision: work.previousCompactRevision, revision: work.revision };
    return new KeyValueHasher(crc32c, bounds, work.keptCount > 0 ? isKept : undefined);
  }
}
