/**
 * The segment that is being written. Its blocks are filled with zeros ahead of the log, off the loop and a piece at a
 * time, because a sync that must also record new blocks or a new length takes nearly twice as long; a write waits for
 * the piece being filled only if it would run into it. No more is filled than will be written soon: a sync of the log
 * must also wait for the zeros that are on their way to the disk.
 */

import type { DiskFile, DiskLock } from "../env.js";
import type { SegmentName } from "./names.js";

const zeroPieceBytes = 1 << 20;
/** How far the zeros are to be ahead of the log. */
const aheadBytes = 8 << 20;

export class SegmentWriter {
  readonly name: SegmentName;
  readonly #file: DiskFile;
  readonly #lock: DiskLock;
  #offset: number;
  /** Everything below is written; nothing above is, but the piece being filled. */
  #filled: number;
  #filling: Promise<void> | undefined;
  /** Where the zeros are to end; 0 until `startFilling`. */
  #fillTo = 0;
  #failure: unknown;
  #stopped = false;

  /** The file's bytes from `offset` on are zeros or do not exist. */
  constructor(options: {
    readonly name: SegmentName;
    readonly file: DiskFile;
    readonly lock: DiskLock;
    readonly offset: number;
  }) {
    this.name = options.name;
    this.#file = options.file;
    this.#lock = options.lock;
    this.#offset = options.offset;
    this.#filled = options.offset;
  }

  /** Where the log ends in this file. */
  get offset(): number {
    return this.#offset;
  }

  /** Fills the file up to `size`, in the background. */
  startFilling(size: number): void {
    this.#fillTo = size;
    this.#fillNext();
  }

  /** Whether `bytes` more can be written without waiting. */
  canWriteNow(bytes: number): boolean {
    return this.#filling === undefined || this.#offset + bytes <= this.#filled;
  }

  async writeAndSync(parts: readonly Uint8Array[]): Promise<void> {
    const size = totalSize(parts);
    while (!this.canWriteNow(size)) await this.#filling;
    this.#check();
    await this.#file.writeAndSync(this.#offset, parts);
    this.#advance(size);
  }

  writeAndSyncNow(parts: readonly Uint8Array[]): void {
    this.#check();
    this.#file.writeAndSyncNow(this.#offset, parts);
    this.#advance(totalSize(parts));
  }

  /** Ends the file right behind the last record, durably. Nothing can be written after this. */
  async finish(): Promise<void> {
    await this.#stopFilling();
    await this.#file.truncate(this.#offset);
    await this.#file.syncData();
  }

  async close(): Promise<void> {
    await this.#stopFilling();
    await this.#file.close();
  }

  /** The lock on the file, which outlives the writer: the caller's from now on. */
  handOverLock(): DiskLock {
    return this.#lock;
  }

  #advance(size: number): void {
    this.#offset += size;
    this.#filled = Math.max(this.#filled, this.#offset);
    if (this.#filling === undefined) this.#fillNext();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fillNext(): void {
    const due = Math.min(this.#fillTo, this.#offset + aheadBytes);
    if (this.#stopped || this.#failure !== undefined || this.#filled >= due) return;
    const length = Math.min(zeroPieceBytes, this.#fillTo - this.#filled);
    const end = this.#filled + length;
    this.#filling = this.#file.zero(this.#filled, length).then(
      () => {
        this.#filling = undefined;
        this.#filled = end;
        this.#fillNext();
      },
      (error: unknown) => {
        this.#filling = undefined;
        this.#failure = error;
      },
    );
  }

  async #stopFilling(): Promise<void> {
    this.#stopped = true;
    await this.#filling;
  }
}

export function totalSize(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
