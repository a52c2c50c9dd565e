/**
 * Frames records and chains their checksums, into large blocks. A record never crosses blocks; the parts of a batch lie
 * one after the other in the segment. A block is never written twice and is left to the garbage collector.
 *
 * Performance: an entry costs one copy and one checksum, both over the same bytes. The varint of the checksum stands
 * before the data it covers, so data is first put where it belongs if the checksum takes five bytes, as 15 of 16 do,
 * and moved when it takes fewer.
 */

import { encodeEntry, sizeEntry } from "@etcd-ts/api/raftpb";
import type { Entry, HardState } from "@etcd-ts/raft";
import type { Digest } from "../env.js";
import { hardStateBytes, type SnapshotMark, snapshotMarkBytes } from "./messages.js";
import { alignFrame, frameAlignment, RecordType, varintSize, writeFrame, writeVarint } from "./record.js";

/** A member that has just started may write little: each block is larger than the one before. */
const firstBlockSizeBytes = 1 << 14;
const blockSizeBytesMax = 1 << 20;
const blockGrowth = 4;
const crcVarintSizeMax = 5;

export class Framer {
  readonly #digest: Digest;
  readonly #full: Uint8Array[] = [];
  #block: Uint8Array = new Uint8Array(0);
  #nextBlockSizeBytes = firstBlockSizeBytes;
  #used = 0;
  #fullBytes = 0;
  #crc: number;

  /** `crc` is the running checksum of the log so far. */
  constructor(digest: Digest, crc: number) {
    this.#digest = digest;
    this.#crc = crc;
  }

  /** The running checksum behind the last record. */
  get crc(): number {
    return this.#crc;
  }

  /** Bytes framed since the last `take`. */
  get size(): number {
    return this.#fullBytes + this.#used;
  }

  entry(entry: Entry): void {
    const size = sizeEntry(entry);
    const at = this.#reserve(size);
    encodeEntry(entry, this.#block, at);
    this.#finish(RecordType.entry, at, size);
  }

  state(state: HardState): void {
    this.#record(RecordType.state, hardStateBytes(state));
  }

  metadata(bytes: Uint8Array): void {
    this.#record(RecordType.metadata, bytes);
  }

  snapshot(mark: SnapshotMark): void {
    this.#record(RecordType.snapshot, snapshotMarkBytes(mark));
  }

  /** The record that says where the checksum stands. */
  checksum(): void {
    this.#reserve(0);
    const payload = this.#used + frameAlignment;
    const end = this.#header(RecordType.checksum, payload);
    this.#used = writeFrame(this.#block, this.#used, end - payload);
  }

  /** What was framed since the last call, in order. The bytes never change. */
  take(): readonly Uint8Array[] {
    const parts = [...this.#full, this.#block.subarray(0, this.#used)];
    this.#full.length = 0;
    this.#fullBytes = 0;
    this.#block = this.#block.subarray(this.#used);
    this.#used = 0;
    return parts;
  }

  #record(type: RecordType, data: Uint8Array): void {
    const at = this.#reserve(data.length);
    this.#block.set(data, at);
    this.#finish(type, at, data.length);
  }

  /** Makes room for a record with `size` bytes of data and returns where these go. */
  #reserve(size: number): number {
    const prefix = frameAlignment + 2 + 1 + crcVarintSizeMax + 1 + varintSize(size);
    const needed = alignFrame(prefix + size);
    if (this.#used + needed > this.#block.length) {
      if (this.#used > 0) this.#full.push(this.#block.subarray(0, this.#used));
      this.#fullBytes += this.#used;
      this.#block = new Uint8Array(Math.max(this.#nextBlockSizeBytes, needed));
      this.#nextBlockSizeBytes = Math.min(this.#nextBlockSizeBytes * blockGrowth, blockSizeBytesMax);
      this.#used = 0;
    }
    return this.#used + prefix;
  }

  #finish(type: RecordType, at: number, size: number): void {
    const block = this.#block;
    this.#crc = this.#digest.crc32c(this.#crc, block, at, at + size);
    const payload = this.#used + frameAlignment;
    let end = this.#header(type, payload);
    block[end++] = 0x1a;
    end = writeVarint(block, end, size);
    if (end !== at) block.copyWithin(end, at, at + size);
    this.#used = writeFrame(block, this.#used, end + size - payload);
  }

  #header(type: RecordType, payload: number): number {
    this.#block[payload] = 0x08;
    this.#block[payload + 1] = type;
    this.#block[payload + 2] = 0x10;
    return writeVarint(this.#block, payload + 3, this.#crc);
  }
}
