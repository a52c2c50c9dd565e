/**
 * Where a log write is done while this member is the only voter: in the loop, or on another thread.
 *
 * In the loop a write saves the way to another thread and back; but while it lasts, nothing is read from clients. So it
 * is done there while the disk is fast, or the way takes longer than the disk does, as it may on a busy machine; and
 * for the few entries of clients who wait for each other anyway. Unless so many reads are served beside the writes that
 * together they would wait for longer than the way takes.
 *
 * What the disk alone takes is seen in the loop only: now and then a write is done there that otherwise would not be.
 */

/** What a turn has to write, and what else it does. */
export interface TurnLoad {
  readonly entries: number;
  /** Reads that are served in the turn. */
  readonly reads: number;
}

const fewEntries = 4;
/** A disk that takes longer is slow. */
const fastWriteMs = 0.8;
/** The way to the thread and back on an idle machine. */
const handOverMsMin = 0.1;
/** Of the newest in the running averages. */
const averageWeight = 0.05;
/** Writes on the thread from one in the loop to the next. */
const probeInterval = 64;

export class WritePlace {
  // Running averages, of turns that write entries.
  #entries = 0;
  #reads = 0;
  /** What a write takes in the loop. */
  #writeMs = 0;
  /** What it takes longer on the thread; forgotten while that is not used. */
  #handOverMs = handOverMsMin;
  #sinceLoop = 0;

  /** To be asked once for each turn's writes. */
  isLoop({ entries, reads }: TurnLoad): boolean {
    // A commit index alone is not written to the disk.
    if (entries === 0) return true;
    this.#entries += (entries - this.#entries) * averageWeight;
    this.#reads += (reads - this.#reads) * averageWeight;
    if (this.#isLoopBetter(entries) || ++this.#sinceLoop >= probeInterval) {
      this.#sinceLoop = 0;
      return true;
    }
    return false;
  }

  #isLoopBetter(entries: number): boolean {
    // A read that comes during the write waits for half of it.
    if ((this.#reads * this.#writeMs) / 2 > this.#entries * this.#handOverMs) return false;
    return entries <= fewEntries || this.#writeMs < Math.max(fastWriteMs, this.#handOverMs);
  }

  /** What a synced write in the loop took. */
  tookInLoop(ms: number): void {
    this.#writeMs += (ms - this.#writeMs) * averageWeight;
    this.#handOverMs += (handOverMsMin - this.#handOverMs) * averageWeight;
  }

  /** What a synced write on the thread took until the loop knew of it. */
  tookOnThread(ms: number): void {
    // In the loop it would have taken no longer.
    if (ms < this.#writeMs) this.#writeMs += (ms - this.#writeMs) * averageWeight;
    const handOverMs = Math.max(ms - this.#writeMs, handOverMsMin);
    this.#handOverMs += (handOverMs - this.#handOverMs) * averageWeight;
  }
}
