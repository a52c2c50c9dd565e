/**
 * The next segment, made ahead of need and no faster than that, so that its zeros do not hold up the syncs of the log:
 * `0.tmp` and `1.tmp` in turn, zeroed and synced. A zero length field is the end of
 * the log, so a leftover of an earlier run is never reused but removed.
 */

import type { Disk, DiskFile } from "../env.js";
import { joinPath } from "./names.js";

const zeroPieceBytes = 1 << 20;

export interface Spare {
  readonly path: string;
  readonly file: DiskFile;
}

export class SpareMaker {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #sizeBytes: number;
  #made = 0;
  #next: Promise<Spare> | undefined;
  #closed = false;
  /** How much of the one being made may be written by now. */
  #dueBytes = 0;
  #whenDue: (() => void) | undefined;

  constructor(disk: Disk, directory: string, sizeBytes: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#sizeBytes = sizeBytes;
  }

  /**
   * Begins to make the next one, unless that is under way, and goes on until `dueBytes` of it are written. A failure is
   * reported by `take`.
   */
  prepare(dueBytes: number): void {
    if (this.#closed) return;
    this.#dueBytes = dueBytes;
    this.#whenDue?.();
    if (this.#next !== undefined) return;
    this.#next = this.#make();
    this.#next.catch(() => undefined);
  }

  /** The next one, which then belongs to the caller. */
  async take(): Promise<Spare> {
    this.prepare(this.#sizeBytes);
    const next = this.#next ?? this.#make();
    const spare = await next;
    this.#next = undefined;
    return spare;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#whenDue?.();
    const spare = await this.#next?.catch(() => undefined);
    this.#next = undefined;
    if (spare === undefined) return;
    await spare.file.close();
    await this.#disk.remove(spare.path);
  }

  async #make(): Promise<Spare> {
    const path = joinPath(this.#directory, `${this.#made++ % 2}.tmp`);
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, "write");
    for (let at = 0; at < this.#sizeBytes && !this.#closed; at += zeroPieceBytes) {
      while (this.#dueBytes <= at && !this.#closed) await this.#untilDue();
      await file.zero(at, Math.min(zeroPieceBytes, this.#sizeBytes - at));
    }
    await file.syncData();
    return { path, file };
  }

  #untilDue(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenDue = resolve;
    });
  }
}
