/**
 * Reads the records of one segment in order. Bytes are read in windows, so that what a record's data keeps in memory is
 * its window and not the whole segment; parsing within a window is synchronous.
 */

import type { Digest, DiskFile } from "../env.js";
import { alignFrame, frameAlignment, isZeroFrame, type ParsedRecord, parseRecord, readFrame } from "./record.js";

const windowSizeBytes = 1 << 20;

/** Why `next` returned no record: the file or the log ended cleanly, or the bytes at `offset` are no record. */
export type Stop = "endOfFile" | "zero" | "unreadable";

export class SegmentReader {
  readonly #file: DiskFile;
  readonly #size: number;
  readonly #digest: Digest;
  #window: Uint8Array = new Uint8Array(0);
  #windowOffset = 0;
  #offset = 0;
  #crc: number;
  #stop: Stop | undefined;

  /** `crc` is the running checksum of the segments before; 0 accepts whatever the segment starts with. */
  constructor(file: DiskFile, size: number, crc: number, digest: Digest) {
    this.#file = file;
    this.#size = size;
    this.#crc = crc;
    this.#digest = digest;
  }

  /** Where the next record starts, or what could not be read. */
  get offset(): number {
    return this.#offset;
  }

  get crc(): number {
    return this.#crc;
  }

  /** Set once no more records follow. */
  get stop(): Stop | undefined {
    return this.#stop;
  }

  /**
   * The next record if it lies in the window; undefined when `fill` must be called first, or `stop` is set. Its data is
   * a view that stays valid.
   */
  next(): ParsedRecord | undefined {
    if (this.#stop !== undefined) return undefined;
    const at = this.#offset - this.#windowOffset;
    const available = this.#window.length - at;
    if (this.#offset === this.#size) return this.#end("endOfFile");
    if (this.#size - this.#offset < frameAlignment) return this.#end("unreadable");
    if (available < frameAlignment) return undefined;
    if (isZeroFrame(this.#window, at)) return this.#end("zero");
    const size = readFrame(this.#window, at);
    if (size === undefined) return this.#end("unreadable");
    const length = alignFrame(frameAlignment + size);
    if (this.#offset + length > this.#size) return this.#end("unreadable");
    if (available < length) return undefined;
    const end = at + frameAlignment + size;
    const record = parseRecord(this.#window, at + frameAlignment, end);
    if (record === undefined || record.end !== end || !this.#advance(record)) return this.#end("unreadable");
    this.#offset += length;
    return record;
  }

  /** Reads on, at least the record at `offset` if its length is known. */
  async fill(): Promise<void> {
    const at = this.#offset - this.#windowOffset;
    const known = this.#window.length - at >= frameAlignment ? readFrame(this.#window, at) : undefined;
    const wanted = Math.max(windowSizeBytes, known === undefined ? 0 : alignFrame(frameAlignment + known));
    this.#window = await this.#file.read(this.#offset, Math.min(wanted, this.#size - this.#offset));
    this.#windowOffset = this.#offset;
  }

  /** Everything from `offset` on. */
  rest(): Promise<Uint8Array> {
    return this.#file.read(this.#offset, this.#size - this.#offset);
  }

  #advance(record: ParsedRecord): boolean {
    if (record.data === undefined) {
      if (this.#crc !== 0 && record.crc !== this.#crc) return false;
      this.#crc = record.crc;
      return true;
    }
    if (this.#digest.crc32c(this.#crc, record.data) !== record.crc) return false;
    this.#crc = record.crc;
    return true;
  }

  #end(stop: Stop): undefined {
    this.#stop = stop;
    return undefined;
  }
}
