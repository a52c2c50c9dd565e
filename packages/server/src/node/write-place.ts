/**
 * Where a log write is done while this member is the only voter: in the loop, or on another thread.
 *
 * In the loop a write saves the way to another thread and back; but while it lasts, nothing is read from clients. So it is
 * done there while the disk is fast, and for the few entries of clients who wait for each other anyway; unless so many
 * reads are served beside the writes that together they would wait for longer than the way to the thread takes.
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
/** What the way to another thread and back costs whoever waits for the write. */
const handOverMs = 0.1;
/** Of the newest in the running averages. */
const averageWeight = 0.05;

export class WritePlace {
  // Running averages, of turns that write entries.
  #writeMs = 0;
  #entries = 0;
  #reads = 0;

  /** To be asked once for each turn's writes. */
  isLoop({ entries, reads }: TurnLoad): boolean {
    // A commit index alone is not written to the disk.
    if (entries === 0) return true;
    this.#entries += (entries - this.#entries) * averageWeight;
    this.#reads += (reads - this.#reads) * averageWeight;
    // A read that comes during the write waits for half of it.
    if ((this.#reads * this.#writeMs) / 2 > this.#entries * handOverMs) return false;
    return entries <= fewEntries || this.#writeMs < fastWriteMs;
  }

  /** What a write in the loop took that was synced. */
  measured(writeMs: number): void {
    this.#writeMs += (writeMs - this.#writeMs) * averageWeight;
  }
}
