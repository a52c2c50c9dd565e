/**
 * Reads a log's segments in order, checks them, and finds where it ends. Nothing is changed on disk.
 *
 * Source: etcd server/storage/wal/{wal,decoder,repair}.go; stricter where replay.ts and tail.ts say so.
 */

import type { Entry, HardState } from "@etcd-ts/raft";
import type { Digest, Disk } from "../env.js";
import { WalError } from "./errors.js";
import { readHardState, readSnapshotMark, type SnapshotMark } from "./messages.js";
import { joinPath, type SegmentName, segmentsAmong } from "./names.js";
import { type ParsedRecord, RecordType } from "./record.js";
import { Replay, type ReplayStart } from "./replay.js";
import { SegmentReader } from "./segment-reader.js";
import { judgeTail } from "./tail.js";

export interface LogContents {
  readonly metadata: Uint8Array;
  readonly hardState: HardState;
  /** Entries above the start; their data are views of the buffers the log was read into. */
  readonly entries: readonly Entry[];
  /** Index of the last entry or snapshot mark. */
  readonly lastIndex: number;
  readonly end: LogEnd;
}

export interface LogEnd {
  readonly segment: SegmentName;
  /** Where the last record of the last segment ends. */
  readonly offset: number;
  /** The running checksum there. */
  readonly crc: number;
  /** Where the last batch begins: what lies behind may be in the page cache only. */
  readonly batchOffset: number;
  /** Whether batches begin with checksum records. */
  readonly marked: boolean;
  /** Whether a write that a crash tore follows. */
  readonly torn: boolean;
}

/** The segments of a log, in order; empty when there is none. */
export async function listSegments(disk: Disk, directory: string): Promise<readonly SegmentName[]> {
  return segmentsAmong(await disk.list(directory));
}

/** The segments that hold what lies behind `index`. */
export function segmentsFrom(
  directory: string,
  segments: readonly SegmentName[],
  index: number,
): readonly SegmentName[] {
  const first = segments.findLastIndex((segment) => segment.index <= index);
  if (first < 0) throw new WalError("snapshotNotFound", `no segment reaches back to index ${index}`, directory);
  const chosen = segments.slice(first);
  for (const [i, segment] of chosen.entries()) {
    const expected = (chosen[0]?.sequence ?? 0) + i;
    if (segment.sequence !== expected) throw new WalError("incomplete", `segment ${expected} is missing`, directory);
  }
  return chosen;
}

export async function readLog(
  disk: Disk,
  digest: Digest,
  directory: string,
  segments: readonly SegmentName[],
  start: ReplayStart,
): Promise<LogContents> {
  const replay = new Replay(start, segments[0]?.index ?? 0);
  let crc = 0;
  let end: LogEnd | undefined;
  for (const [i, segment] of segments.entries()) {
    end = await readSegment(disk, digest, directory, segment, {
      crc,
      isLast: i === segments.length - 1,
      visit: (record) => replay.accept(record),
    });
    crc = end.crc;
  }
  if (end === undefined) throw new WalError("incomplete", "no segments", directory);
  const path = joinPath(directory, end.segment.name);
  if (replay.startTermDiffers) {
    throw new WalError("snapshotMismatch", `the mark at index ${start.index} has another term`, path, end.offset);
  }
  if (!replay.startFound) {
    throw new WalError("snapshotNotFound", `no mark at index ${start.index}`, path, end.offset);
  }
  const { metadata, hardState, entries, lastIndex } = replay;
  if (metadata === undefined) throw new WalError("corrupt", "no metadata", path, 0);
  return { metadata, hardState, entries, lastIndex, end };
}

/**
 * The newest mark that the log's last hard state covers: where a member opens its log. The empty mark of a new log
 * counts. Segments are read from the newest back, since each begins with the checksum and the hard state it needs.
 */
export async function findLatestMark(disk: Disk, digest: Digest, directory: string): Promise<SnapshotMark> {
  const all = await listSegments(disk, directory);
  let hardState: HardState | undefined;
  for (let i = all.length - 1; i >= 0; i--) {
    const segment = all[i];
    if (segment === undefined) continue;
    const marks: SnapshotMark[] = [];
    let state: HardState | undefined;
    await readSegment(disk, digest, directory, segment, {
      crc: 0,
      isLast: i === all.length - 1,
      visit: ({ type, data }) => {
        if (data === undefined) return undefined;
        if (type === RecordType.state) state = readHardState(data) ?? state;
        const mark = type === RecordType.snapshot ? readSnapshotMark(data) : undefined;
        if (mark !== undefined) marks.push(mark);
        return undefined;
      },
    });
    hardState ??= state;
    const commit = hardState?.commit ?? 0;
    const latest = marks.findLast((mark) => mark.index <= commit);
    if (latest !== undefined) return latest;
  }
  throw new WalError("snapshotNotFound", "no snapshot mark", directory);
}

export interface ReadOptions {
  /** Running checksum of the segments before; 0 when reading begins here. */
  readonly crc: number;
  readonly isLast: boolean;
  /** Takes a record; a result says why it is refused. */
  readonly visit: (record: ParsedRecord, offset: number) => string | undefined;
}

/** Reads one segment. Throws `WalError` when it is damaged. */
export async function readSegment(
  disk: Disk,
  digest: Digest,
  directory: string,
  segment: SegmentName,
  options: ReadOptions,
): Promise<LogEnd> {
  const path = joinPath(directory, segment.name);
  const file = await disk.open(path, "read");
  try {
    const reader = new SegmentReader(file, await file.size(), options.crc, digest);
    let count = 0;
    let batchOffset = 0;
    let marked = false;
    while (reader.stop === undefined) {
      const offset = reader.offset;
      const record = reader.next();
      if (record === undefined) {
        if (reader.stop === undefined) await reader.fill();
        continue;
      }
      const refusal = misplaced(record, count) ?? options.visit(record, offset);
      if (refusal !== undefined) throw new WalError("corrupt", refusal, path, offset);
      if (record.type === RecordType.checksum && count > 0) {
        batchOffset = offset;
        marked = true;
      }
      count++;
    }
    if (count < headerRecords) throw new WalError("corrupt", "damaged segment header", path, reader.offset);
    const torn = await isTorn(reader, { path, isLast: options.isLast, marked }, digest);
    return { segment, offset: reader.offset, crc: reader.crc, batchOffset, marked, torn };
  } finally {
    await file.close();
  }
}

/** Every segment begins with the checksum and the metadata. */
const headerRecords = 2;

function misplaced(record: ParsedRecord, position: number): string | undefined {
  if (position === 0 && record.type !== RecordType.checksum) return "segment begins without a checksum record";
  if (position === 1 && record.type !== RecordType.metadata) return "segment begins without metadata";
  return undefined;
}

/** Only the last segment can be torn: the next one is not begun before the one before is complete and synced. */
async function isTorn(
  reader: SegmentReader,
  where: { readonly path: string; readonly isLast: boolean; readonly marked: boolean },
  digest: Digest,
): Promise<boolean> {
  if (reader.stop === "endOfFile") return false;
  if (!where.isLast) {
    if (reader.stop === "zero") return false;
    throw new WalError("corrupt", "damaged record", where.path, reader.offset);
  }
  const bytes = await reader.rest();
  const verdict = judgeTail({ bytes, offset: reader.offset, crc: reader.crc, marked: where.marked }, digest);
  if (verdict.kind === "corrupt") throw new WalError("corrupt", verdict.reason, where.path, reader.offset);
  return verdict.kind === "torn";
}
