/**
 * What must be true of a log (wal-sample.ts) when a file was cut, a sector lost or a bit flipped, whether it is read
 * from its beginning or from its newest snapshot mark, as a member does: reading gives exactly what some prefix of its
 * records gives, or refuses and names the file and the offset.
 *
 * 1. A flipped bit, or a lost sector before a later batch, never shortens the log: intact records follow, or no crash
 *    does that. Neither does a cut of a segment that is not the newest.
 * 2. A cut of the newest segment gives exactly the records before it, so that what was acknowledged at or before that
 *    offset is kept, and the log can be continued there.
 * 3. A log that ends below the backend's durable index is refused.
 */

import { type Entry, emptyHardState, equalHardStates } from "@etcd-ts/raft";
import {
  findLatestMark,
  listSegments,
  nodeDigest,
  Replay,
  readLog,
  readSegment,
  segmentsFrom,
  Wal,
  WalError,
} from "@etcd-ts/server/internal";
import { MemoryDisk } from "./memory-disk.js";
import { type Acknowledged, directory, type LogState, type Sample, walEnv } from "./wal-sample.js";

export const sectorBytes = 512;

const beginning = { index: 0, term: 0 };

/** What the log holds behind one of its records. */
interface Step extends LogState {
  /** Where the record ends in its segment. */
  readonly end: number;
  readonly lastIndex: number;
  /** Index of the newest mark that the hard state covers. */
  readonly start: number;
}

/** A log as read from some index on. */
interface View extends LogState {
  readonly start: number;
}

export class DamageCheck {
  readonly #sample: Sample;
  readonly #disk: MemoryDisk;
  readonly #newest: string;
  readonly #steps: readonly Step[];
  readonly #whole: Step;
  readonly #acknowledged: readonly Acknowledged[];
  /** Where the two records end that every segment begins with; without them there is no telling what it was. */
  readonly #headerEnd: number;
  /** Records of each type. */
  readonly recordCounts: ReadonlyMap<number, number>;

  private constructor(sample: Sample, history: ReadonlyMap<string, readonly Step[]>, counts: Map<number, number>) {
    this.#sample = sample;
    this.#disk = diskOf(sample);
    this.#newest = [...sample.segments.keys()].at(-1) ?? "";
    this.#steps = history.get(this.#newest) ?? [];
    this.#whole = this.#steps.at(-1) ?? noStep;
    this.#acknowledged = sample.acknowledged.filter(({ name }) => name === this.#newest);
    this.#headerEnd = this.#steps[1]?.end ?? 0;
    this.recordCounts = counts;
  }

  /** Throws when the log does not hold what was acknowledged, just where it was. */
  static async of(sample: Sample): Promise<DamageCheck> {
    const disk = diskOf(sample);
    const counts = new Map<number, number>();
    const history = new Map<string, readonly Step[]>();
    const replay = new Replay(beginning, 0);
    const names = await listSegments(disk, directory);
    const marks: number[] = [];
    let crc = 0;
    for (const [i, segment] of names.entries()) {
      const begins: number[] = [];
      const steps: Step[] = [];
      const end = await readSegment(disk, nodeDigest, directory, segment, {
        crc,
        isLast: i === names.length - 1,
        visit: (record, offset) => {
          const refusal = replay.accept(record);
          counts.set(record.type, (counts.get(record.type) ?? 0) + 1);
          // The sample marks what is committed.
          if (record.type === snapshotType) marks.push(replay.hardState.commit);
          const { hardState, lastIndex } = replay;
          const start = marks.at(-1) ?? 0;
          steps.push({ end: 0, entries: [...replay.entries], hardState, lastIndex, start });
          begins.push(offset);
          return refusal;
        },
      });
      crc = end.crc;
      history.set(
        segment.name,
        steps.map((step, record) => ({ ...step, end: begins[record + 1] ?? end.offset })),
      );
    }
    for (const { name, offset, ...state } of sample.acknowledged) {
      const step = history.get(name)?.find(({ end }) => end === offset);
      if (step === undefined || !isSame(step, state)) {
        throw new Error(`${name} does not hold at ${offset} what was acknowledged there`);
      }
    }
    return new DamageCheck(sample, history, counts);
  }

  /** Cuts a segment; what is wrong then, or undefined. */
  async cut(name: string, length: number): Promise<string | undefined> {
    const bytes = this.#bytes(name).slice(0, length);
    const where = `${name} cut to ${length} bytes`;
    if (name !== this.#newest || length < this.#headerEnd) return this.#refused(name, bytes, where);
    const expected = this.#steps.findLast(({ end }) => end <= length) ?? noStep;
    const acknowledged = this.#acknowledgedBefore(length);
    if (acknowledged > expected.end) return `${where}: loses what was acknowledged at ${acknowledged}`;
    for (const outcome of await this.#read(name, bytes)) {
      if (outcome instanceof WalError) return `${where}: refused: ${outcome.message}`;
      if (!isView(outcome, expected)) return `${where}: not the records before the cut`;
    }
    return (await this.#reopen(bytes, expected, where)) ?? this.#refusedBelow(bytes, expected.lastIndex + 1, where);
  }

  /** Flips a bit of a segment; what is wrong then, or undefined. */
  async flip(name: string, bit: number): Promise<string | undefined> {
    const bytes = this.#bytes(name).slice();
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return this.#wholeOrRefused(name, bytes, `${name} with bit ${bit & 7} of byte ${bit >> 3} flipped`);
  }

  /** Fills the sector at `offset` with zeros, as if it had not reached the disk; what is wrong then, or undefined. */
  async loseSector(name: string, offset: number): Promise<string | undefined> {
    const bytes = this.#bytes(name).slice();
    bytes.fill(0, offset, offset + sectorBytes);
    const where = `${name} without the sector at ${offset}`;
    const lastBatch = this.#acknowledged.at(-2)?.offset ?? 0;
    if (name !== this.#newest || offset + sectorBytes <= lastBatch) return this.#wholeOrRefused(name, bytes, where);
    // A crash may have lost it, if all of it is of the last batch. Disks do not lose what they rewrite with it.
    const mayRefuse = offset < lastBatch;
    const kept = mayRefuse ? 0 : this.#acknowledgedBefore(offset);
    for (const outcome of await this.#read(name, bytes)) {
      if (outcome instanceof WalError) {
        if (mayRefuse && namesPlace(outcome)) continue;
        return `${where}: refused: ${outcome.message}`;
      }
      if (!this.#steps.some((step) => step.end >= kept && isView(outcome, step))) {
        return `${where}: not records that were written, or some that were acknowledged are missing`;
      }
    }
    return undefined;
  }

  #bytes(name: string): Uint8Array {
    return this.#sample.segments.get(name) ?? new Uint8Array(0);
  }

  #acknowledgedBefore(offset: number): number {
    return this.#acknowledged.findLast((ack) => ack.offset <= offset)?.offset ?? 0;
  }

  async #wholeOrRefused(name: string, bytes: Uint8Array, where: string): Promise<string | undefined> {
    for (const outcome of await this.#read(name, bytes)) {
      if (outcome instanceof WalError) {
        if (!namesPlace(outcome)) return `${where}: refused without a place: ${outcome.message}`;
      } else if (!isView(outcome, this.#whole)) {
        const isPrefix = this.#steps.some((step) => isView(outcome, step));
        return isPrefix ? `${where}: was shortened` : `${where}: reads as something else`;
      }
    }
    return undefined;
  }

  /** Unless no reader needs the segment. */
  async #refused(name: string, bytes: Uint8Array, where: string): Promise<string | undefined> {
    const [fromBeginning] = await this.#read(name, bytes);
    if (!(fromBeginning instanceof WalError)) return `${where}: was not refused`;
    return this.#wholeOrRefused(name, bytes, where);
  }

  /** Reads the log with other bytes in one of its segments: from its beginning, and from its newest mark. */
  async #read(name: string, bytes: Uint8Array): Promise<readonly (View | WalError)[]> {
    const disk = this.#disk;
    disk.files.set(`${directory}/${name}`, { bytes });
    try {
      const segments = await listSegments(disk, directory);
      return [
        await viewOf(async () => ({
          start: 0,
          ...(await readLog(disk, nodeDigest, directory, segments, beginning)),
        })),
        await viewOf(async () => {
          const mark = await findLatestMark(disk, nodeDigest, directory);
          const needed = segmentsFrom(directory, segments, mark.index);
          return { start: mark.index, ...(await readLog(disk, nodeDigest, directory, needed, mark)) };
        }),
      ];
    } finally {
      disk.files.set(`${directory}/${name}`, { bytes: this.#bytes(name) });
    }
  }

  /** Opens a log whose newest segment is `bytes`, writes to it, and opens it again. */
  async #reopen(bytes: Uint8Array, expected: Step, where: string): Promise<string | undefined> {
    const env = walEnv(diskOf(this.#sample, this.#newest, bytes));
    const { segmentSizeBytes } = this.#sample;
    const options = { segmentSizeBytes, durableIndex: expected.lastIndex };
    const opened = await Wal.open(env, directory, beginning, options);
    // The last batch may have lost the hard state that stood behind its entries.
    const term = Math.max(expected.hardState.term, expected.entries.at(-1)?.term ?? 1);
    const added = { term, index: expected.lastIndex + 1, type: 0, data: Uint8Array.of(7) } as const;
    await opened.wal.save(undefined, [added]);
    await opened.wal.close();
    const again = await Wal.open(env, directory, beginning, { segmentSizeBytes, durableIndex: added.index });
    await again.wal.close();
    const { hardState } = expected;
    return isSame(opened, expected) && isSame(again, { entries: [...expected.entries, added], hardState })
      ? undefined
      : `${where}: cannot be continued`;
  }

  async #refusedBelow(bytes: Uint8Array, durableIndex: number, where: string): Promise<string | undefined> {
    const env = walEnv(diskOf(this.#sample, this.#newest, bytes));
    const { segmentSizeBytes } = this.#sample;
    try {
      await (await Wal.open(env, directory, beginning, { segmentSizeBytes, durableIndex })).wal.close();
    } catch (error) {
      if (error instanceof WalError && error.code === "incomplete" && namesPlace(error)) return undefined;
      throw error;
    }
    return `${where}: was opened below the durable index ${durableIndex}`;
  }
}

const snapshotType = 5;

const noStep: Step = { end: 0, entries: [], hardState: emptyHardState, lastIndex: 0, start: 0 };

async function viewOf(read: () => Promise<View>): Promise<View | WalError> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof WalError) return error;
    throw error;
  }
}

function namesPlace(refusal: WalError): boolean {
  return refusal.path.endsWith(".wal") && refusal.offset !== undefined;
}

function diskOf(sample: Sample, damaged?: string, damagedBytes?: Uint8Array): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [name, bytes] of sample.segments) {
    disk.files.set(`${directory}/${name}`, { bytes: name === damaged && damagedBytes ? damagedBytes : bytes });
  }
  return disk;
}

/** Whether a log was read as it is behind a record, from its beginning or from the mark that was the newest then. */
function isView(view: View, { entries, hardState, start }: Step): boolean {
  if (view.start !== 0 && view.start !== start) return false;
  return isSame(view, { entries: view.start === 0 ? entries : entries.slice(view.start), hardState });
}

function isSame(one: LogState, other: LogState): boolean {
  return (
    equalHardStates(one.hardState, other.hardState) &&
    one.entries.length === other.entries.length &&
    one.entries.every((entry, i) => isSameEntry(entry, other.entries[i]))
  );
}

function isSameEntry(one: Entry, other: Entry | undefined): boolean {
  if (other === undefined || one.type !== other.type || one.term !== other.term || one.index !== other.index) {
    return false;
  }
  return Buffer.compare(one.data ?? noData, other.data ?? noData) === 0;
}

const noData = new Uint8Array(0);
