/**
 * Checks the one property of a damaged log: reading gives exactly what some prefix of its records gives, or refuses and
 * names the file and the offset.
 */

import type { Entry, HardState } from "@etcd-ts/raft";
import { nodeDigest } from "../../platform/digest.js";
import { WalError } from "../errors.js";
import { listSegments, readLog, readSegment } from "../log-reader.js";
import { Replay } from "../replay.js";
import { MemoryDisk } from "./memory-disk.js";

export type Files = ReadonlyMap<string, Uint8Array>;

export const directory = "wal";
const beginning = { index: 0, term: 0 };

/** What a log holds after each of its records. */
export interface History {
  readonly states: ReadonlySet<string>;
  /** Where each record of the last segment ends, and what the log holds then. */
  readonly lastSegment: readonly { readonly end: number; readonly state: string }[];
  readonly lastName: string;
}

export function diskOf(files: Files): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [name, bytes] of files) disk.files.set(`${directory}/${name}`, { bytes });
  return disk;
}

export async function historyOf(files: Files): Promise<History> {
  const disk = diskOf(files);
  const segments = await listSegments(disk, directory);
  const replay = new Replay(beginning, 0);
  const states = new Set<string>();
  let lastSegment: { end: number; state: string }[] = [];
  let crc = 0;
  for (const [i, segment] of segments.entries()) {
    lastSegment = [];
    const ends: number[] = [];
    const end = await readSegment(disk, nodeDigest, directory, segment, {
      crc,
      isLast: i === segments.length - 1,
      visit: (record, offset) => {
        const refusal = replay.accept(record);
        const state = describe(replay.entries, replay.hardState);
        states.add(state);
        ends.push(offset);
        lastSegment.push({ end: 0, state });
        return refusal;
      },
    });
    crc = end.crc;
    lastSegment = lastSegment.map(({ state }, record) => ({ end: ends[record + 1] ?? end.offset, state }));
  }
  return { states, lastSegment, lastName: segments.at(-1)?.name ?? "" };
}

/** What reading gives: a description of the log, or the refusal. Throws when it is neither. */
export async function outcomeOf(files: Files): Promise<{ readonly log?: string; readonly refusal?: WalError }> {
  const disk = diskOf(files);
  try {
    const log = await readLog(disk, nodeDigest, directory, await listSegments(disk, directory), beginning);
    return { log: describe(log.entries, log.hardState) };
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return { refusal: error };
  }
}

function describe(entries: readonly Entry[], state: HardState): string {
  const parts = entries.map(({ type, term, index, data }) => `${type}/${term}/${index}/${data?.join(",")}`);
  return `${state.term} ${state.vote} ${state.commit} ${parts.join(" ")}`;
}
