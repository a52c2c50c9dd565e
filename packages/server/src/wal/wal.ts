/**
 * The write-ahead log of a member, in etcd's format: what raft has promised, on disk before it is said.
 *
 * - One write and one fdatasync for everything that was saved since the last one began. A hard state whose commit index
 *   alone changed needs no sync and is written with the next thing that does.
 * - Each of these batches begins with a checksum record (tail.ts says why).
 * - A segment that has reached its size is ended before the next save: it is cut behind its last record and synced; the
 *   next one is written and synced under a spare name, then renamed, then the directory is synced. So only the newest
 *   segment can end in a torn write.
 * - After a failed write or sync the state of the file is unknown: every later call fails with the same error, and the
 *   member must stop. Whoever opens the log again writes its last batch anew before relying on it, since the page cache
 *   may show bytes that never reached the disk.
 *
 * Source: etcd server/storage/wal/wal.go.
 */

import {
  type ConfState,
  type Entry,
  emptyHardState,
  equalHardStates,
  type HardState,
  isEmptyHardState,
} from "@etcd-ts/raft";
import { assert } from "../assert.js";
import type { Disk, DiskLock, Env } from "../env.js";
import { WalError } from "./errors.js";
import { Framer } from "./framer.js";
import { type LogContents, listSegments, readLog, segmentsFrom } from "./log-reader.js";
import type { SnapshotMark } from "./messages.js";
import { isSpareName, joinPath, type SegmentName, segmentName } from "./names.js";
import type { ReplayStart } from "./replay.js";
import { SegmentWriter } from "./segment-writer.js";
import { SpareMaker } from "./spare.js";

/** etcd's: megabytes, not MiB. */
export const defaultSegmentSizeBytes = 64_000_000;

export type WalEnv = Pick<Env, "disk" | "digest" | "logger">;

export interface WalOptions {
  /** A segment is ended by the first save after it has reached this size. */
  readonly segmentSizeBytes?: number;
}

export interface OpenOptions extends WalOptions {
  /** The backend durably holds what entries up to here did: a log that ends before has lost some. */
  readonly durableIndex?: number;
}

export interface OpenedWal {
  readonly wal: Wal;
  readonly metadata: Uint8Array;
  readonly hardState: HardState;
  /** Entries behind the mark the log was opened at. */
  readonly entries: readonly Entry[];
}

/** Where the writer stands; what a new segment's header needs. */
interface Position {
  readonly metadata: Uint8Array;
  readonly hardState: HardState;
  readonly lastIndex: number;
}

/** What is written in one segment by one flush. `begins` names the segment when it is a new one. */
interface Piece {
  readonly begins: SegmentName | undefined;
  readonly parts: readonly Uint8Array[];
}

export class Wal {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentSizeBytes: number;
  readonly #framer: Framer;
  readonly #spares: SpareMaker;
  readonly #metadata: Uint8Array;
  /** Older segments whose locks are held, oldest first. */
  readonly #older: { readonly name: SegmentName; readonly lock: DiskLock }[];
  #segment: SegmentWriter;
  #hardState: HardState;
  /** Whether `#hardState` is not framed yet; if it needs no sync, it waits for something that does. */
  #stateWaits = false;
  #lastIndex: number;
  /** Index of the last state that another member sent; 0 when none was received since the log was opened. */
  #receivedIndex = 0;
  /** Name of the segment that is framed for, which may not exist yet, and where its framed bytes end. */
  #framedName: SegmentName;
  #framedOffset: number;
  /** Whether what is framed next follows a sync. */
  #markDue = false;
  readonly #pieces: Piece[] = [];
  #pieceBegins: SegmentName | undefined;
  #flush: Promise<void> | undefined;
  #nextFlush: Promise<void> | undefined;
  #failure: Error | undefined;
  #closed = false;

  private constructor(options: {
    readonly env: WalEnv;
    readonly directory: string;
    readonly segmentSizeBytes: number;
    readonly crc: number;
    readonly segment: SegmentWriter;
    readonly older: readonly { readonly name: SegmentName; readonly lock: DiskLock }[];
    readonly position: Position;
  }) {
    this.#disk = options.env.disk;
    this.#directory = options.directory;
    this.#segmentSizeBytes = options.segmentSizeBytes;
    this.#framer = new Framer(options.env.digest, options.crc);
    this.#spares = new SpareMaker(options.env.disk, options.directory, options.segmentSizeBytes);
    this.#metadata = options.position.metadata;
    this.#hardState = options.position.hardState;
    this.#lastIndex = options.position.lastIndex;
    this.#segment = options.segment;
    this.#framedName = options.segment.name;
    this.#framedOffset = options.segment.offset;
    this.#older = [...options.older];
    options.segment.startFilling(options.segmentSizeBytes);
  }

  /** Whether there is a log in the directory. */
  static async exists(disk: Disk, directory: string): Promise<boolean> {
    return (await listSegments(disk, directory)).length > 0;
  }

  /**
   * Creates a log with nothing in it but `metadata`. It is built beside the directory and renamed, so that a crash
   * leaves either a whole one or none.
   */
  static async create(env: WalEnv, directory: string, metadata: Uint8Array, options: WalOptions = {}): Promise<Wal> {
    const { disk, digest } = env;
    if (await Wal.exists(disk, directory)) throw new WalError("exists", "there is a log already", directory);
    const building = `${directory}.tmp`;
    await disk.remove(building);
    await disk.makeDirectory(building);
    const framer = new Framer(digest, 0);
    framer.checksum();
    framer.metadata(metadata);
    framer.snapshot({ index: 0, term: 0, confState: undefined });
    framer.checksum();
    const name: SegmentName = { name: segmentName(0, 0), sequence: 0, index: 0 };
    const offset = framer.size;
    const first = await disk.open(joinPath(building, name.name), "write");
    await first.writeAndSync(0, framer.take());
    await first.close();
    await disk.syncDirectory(building);
    await disk.rename(building, directory);
    await disk.syncDirectory(parentOf(directory));

    const lock = await lockSegment(disk, directory, name);
    const file = await disk.open(joinPath(directory, name.name), "write");
    return new Wal({
      env,
      directory,
      segmentSizeBytes: options.segmentSizeBytes ?? defaultSegmentSizeBytes,
      crc: framer.crc,
      segment: new SegmentWriter({ name, file, lock, offset }),
      older: [],
      position: { metadata, hardState: emptyHardState, lastIndex: 0 },
    });
  }

  /**
   * Opens the log for writing at a snapshot mark (`findLatestMark`, or index 0 for its beginning). A write that a crash
   * tore is cut off, after a copy of the segment was kept as `.broken`.
   */
  static async open(env: WalEnv, directory: string, start: ReplayStart, options: OpenOptions = {}): Promise<OpenedWal> {
    const { disk, digest } = env;
    const segments = segmentsFrom(directory, await listSegments(disk, directory), start.index);
    const locks: DiskLock[] = [];
    try {
      for (const segment of segments) locks.push(await lockSegment(disk, directory, segment));
      const contents = await readLog(disk, digest, directory, segments, start);
      const { end, lastIndex } = contents;
      const path = joinPath(directory, end.segment.name);
      if (lastIndex < (options.durableIndex ?? 0)) {
        const reason = `the log ends at index ${lastIndex}, before index ${options.durableIndex} of the backend`;
        throw new WalError("incomplete", reason, path, end.offset);
      }
      for (const name of await disk.list(directory)) {
        if (isSpareName(name)) await disk.remove(joinPath(directory, name));
      }
      // A process that was killed may have renamed a segment, or the whole log, and not synced the directory.
      await disk.syncDirectory(directory);
      await disk.syncDirectory(parentOf(directory));
      if (end.torn) await keepBroken(env, path, end.offset);
      const written = await rewriteTail(env, directory, contents);
      const file = await disk.open(path, "write");
      const lastLock = locks.pop();
      if (lastLock === undefined) throw new WalError("incomplete", "no segments", directory);
      const wal = new Wal({
        env,
        directory,
        segmentSizeBytes: options.segmentSizeBytes ?? defaultSegmentSizeBytes,
        crc: end.crc,
        segment: new SegmentWriter({ name: end.segment, file, lock: lastLock, offset: written }),
        older: locks.map((lock, i) => ({ name: segments[i] ?? end.segment, lock })),
        position: contents,
      });
      return { wal, metadata: contents.metadata, hardState: contents.hardState, entries: contents.entries };
    } catch (error) {
      for (const lock of locks) await lock.release();
      throw error;
    }
  }

  /** Index of the last entry or snapshot mark saved. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /**
   * Persists entries, then the hard state. Resolves when all that must survive a crash is synced. Entries are copied at
   * once. Calls need not wait for each other. False when nothing had to be written: a commit index alone waits for the
   * next write.
   */
  async save(hardState: HardState | undefined, entries: readonly Entry[]): Promise<boolean> {
    this.#check();
    if (!this.#frame(hardState, entries)) return false;
    await this.#flushFramed();
    return true;
  }

  /** Whether `saveNow` can be called: nothing is being written and the segment is not full. */
  get canSaveNow(): boolean {
    const isIdle = this.#flush === undefined && this.#nextFlush === undefined;
    return isIdle && this.#framedOffset < this.#segmentSizeBytes && this.#segment.canWriteNow(inLoopBytesMax);
  }

  /** As `save`, within the loop turn: blocks until synced. At most `inLoopBytesMax` framed bytes. */
  saveNow(hardState: HardState | undefined, entries: readonly Entry[]): boolean {
    this.#check();
    if (!this.#frame(hardState, entries)) return false;
    this.#endPiece();
    this.#markDue = true;
    try {
      for (const piece of this.#pieces.splice(0)) this.#segment.writeAndSyncNow(piece.parts);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#prepareSpare();
    return true;
  }

  /** Records that the backend holds the state at `mark`; synced. `confState` must be given for index > 0. */
  async saveSnapshot(mark: SnapshotMark & { readonly confState: ConfState }): Promise<void> {
    this.#check();
    assert(mark.index > 0, "the empty state is marked when the log is created");
    // A log opened there would have to reach to the received state, and it does not.
    if (mark.index <= this.#receivedIndex) return;
    this.#begin();
    // A mark counts once a hard state covers it. The state of the entries it stands for may still be on its way here.
    if (mark.index <= this.#lastIndex) this.#raiseCommit(mark.index);
    this.#frameState();
    this.#framer.snapshot(mark);
    this.#lastIndex = Math.max(this.#lastIndex, mark.index);
    await this.#flushFramed();
  }

  /**
   * Marks the state that another member sent: the log begins anew behind it, and entries of this log that reach beyond
   * it are not of its history. The mark counts once a hard state that covers it is saved; nothing else may be saved
   * before.
   */
  async saveReceivedSnapshot(mark: SnapshotMark & { readonly confState: ConfState }): Promise<void> {
    this.#check();
    assert(mark.index > this.#hardState.commit, "a received state is ahead of this log's");
    this.#begin();
    this.#frameState();
    this.#framer.snapshot(mark);
    this.#lastIndex = mark.index;
    this.#receivedIndex = mark.index;
    await this.#flushFramed();
  }

  /**
   * Gives up the segments that hold nothing behind `index`, which must not be above the backend's durable index: they
   * may then be purged.
   */
  async releaseTo(index: number): Promise<void> {
    const names = [...this.#older.map((segment) => segment.name), this.#segment.name];
    const firstAtOrBehind = names.findIndex((name) => name.index >= index);
    const keepFrom = Math.max((firstAtOrBehind < 0 ? names.length : firstAtOrBehind) - 1, 0);
    for (const segment of this.#older.splice(0, Math.min(keepFrom, this.#older.length))) await segment.lock.release();
  }

  /**
   * Deletes the oldest segments beyond `segmentsMax`, up to the first that is still held; returns how many. 0 = keep
   * all.
   */
  async purge(segmentsMax: number): Promise<number> {
    if (segmentsMax === 0) return 0;
    const segments = await listSegments(this.#disk, this.#directory);
    let removed = 0;
    for (const segment of segments.slice(0, Math.max(segments.length - segmentsMax, 0))) {
      const path = joinPath(this.#directory, segment.name);
      const lock = await this.#disk.lock(path);
      if (lock === undefined) break;
      await this.#disk.remove(path);
      await lock.release();
      removed++;
    }
    return removed;
  }

  /** Writes what waits, and closes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#failure === undefined && this.#stateWaits) {
        this.#begin();
        this.#frameState();
      }
      if (this.#failure === undefined) await this.#flushFramed();
    } finally {
      this.#closed = true;
      await this.#spares.close();
      await this.#segment.close();
      await this.#segment.handOverLock().release();
      for (const segment of this.#older.splice(0)) await segment.lock.release();
    }
  }

  /** Frames a save; false when nothing of it needs to be written now. */
  #frame(hardState: HardState | undefined, entries: readonly Entry[]): boolean {
    const known = this.#hardState;
    const given = hardState === undefined || isEmptyHardState(hardState) ? known : hardState;
    const state = given.commit < known.commit ? { ...given, commit: known.commit } : given;
    // A received state is acknowledged once this has returned, and its mark counts only under a commit index that
    // covers it.
    const coversReceived = known.commit < this.#receivedIndex && state.commit >= this.#receivedIndex;
    const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote || coversReceived;
    if (needsSync) {
      // A new segment's header has the state of before.
      this.#begin();
      for (const entry of entries) this.#framer.entry(entry);
      this.#lastIndex = entries.at(-1)?.index ?? this.#lastIndex;
    }
    if (!equalHardStates(state, known)) this.#stateWaits = true;
    this.#hardState = state;
    if (needsSync) this.#frameState();
    return needsSync;
  }

  /** Makes the framer ready for a batch: the next segment's header if this one is full, or a mark. */
  #begin(): void {
    if (this.#framedOffset + this.#framer.size >= this.#segmentSizeBytes) this.#beginSegment();
    else if (this.#markDue) this.#framer.checksum();
    this.#markDue = false;
  }

  #raiseCommit(index: number): void {
    if (index <= this.#hardState.commit) return;
    this.#hardState = { ...this.#hardState, commit: index };
    this.#stateWaits = true;
  }

  #frameState(): void {
    if (!this.#stateWaits) return;
    this.#framer.state(this.#hardState);
    this.#stateWaits = false;
  }

  #beginSegment(): void {
    this.#endPiece();
    const sequence = this.#framedName.sequence + 1;
    const index = this.#lastIndex + 1;
    this.#framedName = { name: segmentName(sequence, index), sequence, index };
    this.#framedOffset = 0;
    this.#pieceBegins = this.#framedName;
    this.#framer.checksum();
    this.#framer.metadata(this.#metadata);
    if (!isEmptyHardState(this.#hardState)) this.#framer.state(this.#hardState);
    this.#stateWaits = false;
    this.#framer.checksum();
  }

  #endPiece(): void {
    if (this.#framer.size === 0) return;
    this.#framedOffset += this.#framer.size;
    this.#pieces.push({ begins: this.#pieceBegins, parts: this.#framer.take() });
    this.#pieceBegins = undefined;
  }

  /** Resolves when what is framed now is synced. One flush is under way at a time; one more waits for it. */
  #flushFramed(): Promise<void> {
    if (this.#nextFlush !== undefined) return this.#nextFlush;
    if (this.#flush === undefined) return this.#startFlush();
    this.#nextFlush = this.#flush.then(() => {
      this.#nextFlush = undefined;
      return this.#startFlush();
    });
    return this.#nextFlush;
  }

  #startFlush(): Promise<void> {
    this.#endPiece();
    this.#markDue = true;
    const flush = this.#writePieces(this.#pieces.splice(0)).finally(() => {
      if (this.#flush === flush) this.#flush = undefined;
    });
    this.#flush = flush;
    return flush;
  }

  async #writePieces(pieces: readonly Piece[]): Promise<void> {
    try {
      for (const piece of pieces) {
        if (piece.begins !== undefined) await this.#startSegment(piece.begins, piece.parts);
        else await this.#segment.writeAndSync(piece.parts);
      }
    } catch (error) {
      throw this.#fail(error);
    }
    this.#prepareSpare();
  }

  #prepareSpare(): void {
    // Three bytes for each of the log's last half: the spare is ready well before the segment is full.
    const behindHalf = this.#segment.offset - this.#segmentSizeBytes / 2;
    if (behindHalf > 0) this.#spares.prepare(behindHalf * 3);
  }

  async #startSegment(name: SegmentName, parts: readonly Uint8Array[]): Promise<void> {
    const previous = this.#segment;
    await previous.finish();
    const spare = await this.#spares.take();
    await spare.file.writeAndSync(0, parts);
    await this.#disk.rename(spare.path, joinPath(this.#directory, name.name));
    await this.#disk.syncDirectory(this.#directory);
    const lock = await lockSegment(this.#disk, this.#directory, name);
    this.#older.push({ name: previous.name, lock: previous.handOverLock() });
    await previous.close();
    const offset = parts.reduce((sum, part) => sum + part.length, 0);
    this.#segment = new SegmentWriter({ name, file: spare.file, lock, offset });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new Error("wal: closed");
  }

  #fail(error: unknown): Error {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    return this.#failure;
  }
}

/** What one write in the loop may take: more would block it for longer than a sync. */
export const inLoopBytesMax: number = 1 << 20;

async function lockSegment(disk: Disk, directory: string, segment: SegmentName): Promise<DiskLock> {
  const path = joinPath(directory, segment.name);
  const lock = await disk.lock(path);
  if (lock === undefined) throw new WalError("locked", "another process has the log open", path);
  return lock;
}

/** Copies a segment with a torn end before it is cut. */
async function keepBroken(env: WalEnv, path: string, offset: number): Promise<void> {
  env.logger.log("warn", "repairing the torn end of the log", { path, offset });
  const bytes = await env.disk.readFile(path);
  if (bytes === undefined) return;
  const copy = await env.disk.open(`${path}.broken`, "write");
  await copy.truncate(0);
  await copy.writeAndSync(0, [bytes]);
  await copy.close();
  await env.disk.syncDirectory(parentOf(path));
}

/**
 * Cuts the last segment behind its last record and writes its last batch anew, so that what was read is also on the
 * disk; returns where the log ends then. A log whose batches are not marked gets a mark.
 */
async function rewriteTail(env: WalEnv, directory: string, contents: LogContents): Promise<number> {
  const { end } = contents;
  const file = await env.disk.open(joinPath(directory, end.segment.name), "write");
  try {
    await file.truncate(end.offset);
    const lastBatch = await file.read(end.batchOffset, end.offset - end.batchOffset);
    await file.writeAndSync(end.batchOffset, [lastBatch]);
    // Only now: if the sync has failed, the next start must find this batch as the last one, and write it anew again.
    const framer = new Framer(env.digest, end.crc);
    framer.checksum();
    const size = framer.size;
    await file.writeAndSync(end.offset, framer.take());
    return end.offset + size;
  } finally {
    await file.close();
  }
}

function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}
