/**
 * A write-ahead log of a few small segments in memory, written by the real one, and what was acknowledged at which
 * offset. It holds every kind of record, entries smaller and larger than a sector, replaced entries, batches of several
 * records, and zeros written ahead; it was closed and opened again once; all segments but the first began as spares.
 */

import type { Entry, HardState } from "@etcd-ts/raft";
import { findLatestMark, listSegments, nodeDigest, Wal, type WalEnv } from "@etcd-ts/server/internal";
import { MemoryDisk } from "./memory-disk.js";
import { seededDraw } from "./random.js";

export const directory = "wal";

const self = 0x8e9e05c52164694dn;
const confState = { voters: [self], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

export interface SampleOptions {
  /** Bytes of a segment, and how many there are to be. */
  readonly segmentSizeBytes: number;
  readonly segments: number;
  readonly entryBytesMax: number;
  readonly seed: number;
}

/** What a log holds, read from its beginning. */
export interface LogState {
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** A save that was acknowledged: the log was synced up to `offset` of the segment `name`. */
export interface Acknowledged extends LogState {
  readonly name: string;
  readonly offset: number;
}

export interface Sample {
  readonly segmentSizeBytes: number;
  /** By name, oldest first. */
  readonly segments: ReadonlyMap<string, Uint8Array>;
  readonly acknowledged: readonly Acknowledged[];
}

export function walEnv(disk: MemoryDisk): WalEnv {
  return { disk, digest: nodeDigest, logger: { log: () => undefined } };
}

/** The newest segment is left three quarters full. */
export async function writeSample(options: SampleOptions): Promise<Sample> {
  const { segmentSizeBytes } = options;
  const draw = seededDraw(options.seed);
  const below = (bound: number): number => Math.floor(draw() * bound);
  const disk = new MemoryDisk();
  const env = walEnv(disk);
  let wal = await Wal.create(env, directory, Uint8Array.of(8, 1, 16, 2), options);
  const acknowledged: Acknowledged[] = [];
  let entries: Entry[] = [];
  let state: HardState = { term: 1, vote: self, commit: 0 };

  const newest = async (): Promise<{ count: number; name: string; offset: number }> => {
    const names = await listSegments(disk, directory);
    const name = names.at(-1)?.name ?? "";
    return { count: names.length, name, offset: disk.files.get(`${directory}/${name}`)?.syncedEnd ?? 0 };
  };
  const acknowledge = async (): Promise<void> => {
    const { name, offset } = await newest();
    acknowledged.push({ name, offset, entries, hardState: state });
  };
  const save = async (added: readonly Entry[]): Promise<void> => {
    entries = [...entries.slice(0, (added[0]?.index ?? 1) - 1), ...added];
    await wal.save(state, added);
    await acknowledge();
  };
  const entryAt = (index: number): Entry => {
    const { term } = state;
    const kind = draw();
    const type = kind < 0.9 ? 0 : kind < 0.95 ? 1 : 2;
    // Most are small, few are large; a ConfChange is never empty.
    const size = (type === 1 ? 1 : 0) + Math.floor(draw() ** 8 * options.entryBytesMax);
    const data = Uint8Array.from({ length: size }, () => below(256));
    return { term, index, type, data: size === 0 ? undefined : data };
  };

  await save([{ term: 1, index: 1, type: 1, data: Uint8Array.of(16, 0, 24, 1) }]);
  let reopened = false;
  for (;;) {
    const { count, offset } = await newest();
    if (count >= options.segments && offset >= segmentSizeBytes * 0.75) break;
    if (count === 2 && !reopened) {
      reopened = true;
      await wal.close();
      ({ wal } = await Wal.open(env, directory, await findLatestMark(disk, nodeDigest, directory), options));
    }
    if (draw() < 0.1) {
      // A new leader replaces what is not committed.
      const last = state.commit + below(entries.length - state.commit + 1);
      state = { ...state, term: state.term + 1, vote: draw() < 0.5 ? self : 0n };
      await save([{ term: state.term, index: last + 1, type: 0, data: undefined }]);
    }
    const first = entries.length + 1;
    const commit = state.commit + below(first - state.commit);
    state = { ...state, vote: self, commit };
    await save(Array.from({ length: 1 + below(4) }, (_, i) => entryAt(first + i)));
    if (commit > 0 && draw() < 0.1) {
      await wal.saveSnapshot({ index: commit, term: entries[commit - 1]?.term ?? 0, confState });
      await acknowledge();
    }
  }
  await wal.close();
  const names = await listSegments(disk, directory);
  const segments = new Map(names.map(({ name }) => [name, disk.bytes(`${directory}/${name}`)]));
  return { segmentSizeBytes, segments, acknowledged };
}
