/**
 * A write-ahead log in memory, and what must be true of it when a file was cut or a bit flipped: reading gives exactly
 * what some prefix of its records gives, or refuses and names the file and the offset. A cut of the newest segment gives
 * exactly the records before it; a flipped bit never shortens the log, since no crash flips bits.
 */

import type { Entry, HardState } from "@etcd-ts/raft";
import { listSegments, nodeDigest, Replay, readLog, readSegment, Wal, WalError } from "@etcd-ts/server/internal";
import { MemoryDisk } from "./memory-disk.js";
import { seededDraw } from "./random.js";

const directory = "wal";
const beginning = { index: 0, term: 0 };
const self = 0x8e9e05c52164694dn;

/** Segments by name, oldest first. */
export type Segments = ReadonlyMap<string, Uint8Array>;

export interface SampleOptions {
  /** Bytes of a segment, and how many there are to be. */
  readonly segmentSizeBytes: number;
  readonly segments: number;
  readonly entryBytesMax: number;
  readonly seed: number;
}

/** A log with every kind of record, replaced entries, and batches of several records. */
export async function writeSample(options: SampleOptions): Promise<Segments> {
  const draw = seededDraw(options.seed);
  const disk = new MemoryDisk();
  const env = { disk, digest: nodeDigest, logger: { log: () => undefined } };
  const wal = await Wal.create(env, directory, Uint8Array.of(8, 1, 16, 2), options);
  const confState = { voters: [self], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  let term = 1;
  let last = 0;
  let commit = 0;
  const segmentsSoFar = async (): Promise<number> => (await listSegments(disk, directory)).length;
  await wal.save({ term, vote: self, commit: 0 }, [{ term, index: 1, type: 1, data: Uint8Array.of(16, 0, 24, 1) }]);
  for (last = 1; (await segmentsSoFar()) < options.segments || draw() < 0.7; ) {
    if (draw() < 0.1) {
      // A new leader replaces what is not committed.
      term++;
      last = commit + Math.floor(draw() * (last - commit + 1));
      await wal.save({ term, vote: draw() < 0.5 ? self : 0n, commit }, [
        { term, index: ++last, type: 0, data: undefined },
      ]);
    }
    const entries: Entry[] = [];
    for (let count = 1 + Math.floor(draw() * 4); count > 0; count--) {
      const data = Uint8Array.from({ length: Math.floor(draw() * options.entryBytesMax) }, () =>
        Math.floor(draw() * 256),
      );
      entries.push({ term, index: ++last, type: 0, data });
    }
    commit += Math.floor(draw() * (last - entries.length - commit + 1));
    await wal.save({ term, vote: self, commit }, entries);
    if (commit > 0 && draw() < 0.1) await wal.saveSnapshot({ index: commit, term, confState });
  }
  await wal.close();
  return new Map((await listSegments(disk, directory)).map(({ name }) => [name, disk.bytes(`${directory}/${name}`)]));
}

interface Step {
  /** Where the record ends in its segment. */
  readonly end: number;
  /** What the log holds then. */
  readonly state: string;
}

export class DamageCheck {
  readonly #segments: Segments;
  readonly #states: ReadonlySet<string>;
  readonly #newest: string;
  readonly #newestSteps: readonly Step[];

  private constructor(segments: Segments, history: ReadonlyMap<string, readonly Step[]>) {
    this.#segments = segments;
    this.#states = new Set([...history.values()].flat().map(({ state }) => state));
    this.#newest = [...segments.keys()].at(-1) ?? "";
    this.#newestSteps = history.get(this.#newest) ?? [];
  }

  static async of(segments: Segments): Promise<DamageCheck> {
    const disk = diskOf(segments);
    const history = new Map<string, readonly Step[]>();
    const replay = new Replay(beginning, 0);
    const names = await listSegments(disk, directory);
    let crc = 0;
    for (const [i, segment] of names.entries()) {
      const starts: number[] = [];
      const states: string[] = [];
      const end = await readSegment(disk, nodeDigest, directory, segment, {
        crc,
        isLast: i === names.length - 1,
        visit: (record, offset) => {
          const refusal = replay.accept(record);
          starts.push(offset);
          states.push(describe(replay.entries, replay.hardState));
          return refusal;
        },
      });
      crc = end.crc;
      history.set(
        segment.name,
        states.map((state, record) => ({ state, end: starts[record + 1] ?? end.offset })),
      );
    }
    return new DamageCheck(segments, history);
  }

  /** Cuts a segment; what is wrong then, or undefined. */
  async cut(name: string, length: number): Promise<string | undefined> {
    const bytes = this.#segments.get(name) ?? new Uint8Array(0);
    const outcome = await this.#read(name, bytes.slice(0, length));
    const where = `${name} cut to ${length} bytes`;
    // Every segment begins with two records; without them there is no telling what it was.
    const isHeaderWhole = length >= (this.#newestSteps[1]?.end ?? 0);
    if (name === this.#newest && isHeaderWhole) {
      const expected = this.#newestSteps.findLast(({ end }) => end <= length)?.state;
      return outcome === expected ? undefined : `${where}: not the records before the cut`;
    }
    return outcome instanceof WalError ? namesPlace(outcome, where) : `${where}: was not refused`;
  }

  /** Flips a bit of a segment; what is wrong then, or undefined. */
  async flip(name: string, bit: number): Promise<string | undefined> {
    const bytes = this.#segments.get(name)?.slice() ?? new Uint8Array(0);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const outcome = await this.#read(name, bytes);
    const where = `${name} with bit ${bit & 7} of byte ${bit >> 3} flipped`;
    if (outcome instanceof WalError) return namesPlace(outcome, where);
    if (!this.#states.has(outcome)) return `${where}: reads as something that was never written`;
    return outcome === this.#newestSteps.at(-1)?.state ? undefined : `${where}: was shortened`;
  }

  async #read(name: string, bytes: Uint8Array): Promise<string | WalError> {
    const disk = diskOf(new Map([...this.#segments, [name, bytes]]));
    try {
      const log = await readLog(disk, nodeDigest, directory, await listSegments(disk, directory), beginning);
      return describe(log.entries, log.hardState);
    } catch (error) {
      if (error instanceof WalError) return error;
      throw error;
    }
  }
}

function namesPlace(refusal: WalError, where: string): string | undefined {
  const isNamed = refusal.path.endsWith(".wal") && refusal.offset !== undefined;
  return isNamed ? undefined : `${where}: refused without a place: ${refusal.message}`;
}

function diskOf(segments: Segments): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [name, bytes] of segments) disk.files.set(`${directory}/${name}`, { bytes });
  return disk;
}

function describe(entries: readonly Entry[], state: HardState): string {
  const parts = entries.map(({ type, term, index, data }) => `${type}/${term}/${index}/${data?.join(",")}`);
  return `${state.term} ${state.vote} ${state.commit} ${parts.join(" ")}`;
}
