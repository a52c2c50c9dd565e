/**
 * The segment that is being written. Its blocks are filled with zeros ahead of the log, off the loop and a few MiB at a
 * time, because a sync that must also record new blocks or a new length takes nearly twice as long; a write waits for the
 * piece being filled only if it would run into it.
 */

import type { DiskFile, DiskLock } from "../env.js";
import type { SegmentName } from "./names.js";

const zeroPieceBytes = 4 << 20;

export class SegmentWriter {
  readonly name: SegmentName;
  readonly #file: DiskFile;
  readonly #lock: DiskLock;
  #offset: number;
  /** Everything below is written; nothing above is, but the piece being filled. */
  #filled: number;
  #filling: Promise<void> | undefined;
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
    this.#fillNext(size);
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
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fillNext(size: number): void {
    if (this.#stopped || this.#failure !== undefined || this.#filled >= size) return;
    const length = Math.min(zeroPieceBytes, size - this.#filled);
    const end = this.#filled + length;
    this.#filling = this.#file.zero(this.#filled, length).then(
      () => {
        this.#filling = undefined;
        this.#filled = end;
        this.#fillNext(size);
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
