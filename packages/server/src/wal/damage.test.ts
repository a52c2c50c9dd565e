/** Every cut and every flipped bit of a small log, exhaustively. */

import type { Entry } from "@etcd-ts/raft";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeDigest } from "../platform/digest.js";
import { directory, type Files, type History, historyOf, outcomeOf } from "./testing/damage.js";
import { MemoryDisk } from "./testing/memory-disk.js";
import { Wal } from "./wal.js";

const metadata = Uint8Array.from([8, 1, 16, 2]);
const confState = {
  voters: [0x8e9e05c52164694dn],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};
const vote = 0x8e9e05c52164694dn;

/** A log of three segments with every kind of record, replaced entries, and batches of several records. */
async function writeSample(): Promise<Files> {
  const disk = new MemoryDisk();
  const env = { disk, digest: nodeDigest, logger: { log: () => undefined } };
  const wal = await Wal.create(env, directory, metadata, { segmentSizeBytes: 700 });
  const entry = (index: number, term: number, data: number[] | undefined, type: Entry["type"] = 0): Entry => ({
    index,
    term,
    type,
    data: data === undefined ? undefined : Uint8Array.from(data),
  });
  await wal.save({ term: 1, vote, commit: 1 }, [entry(1, 1, [16, 0, 24, 1], 1), entry(2, 2, undefined)]);
  await wal.save({ term: 2, vote, commit: 2 }, [
    entry(3, 2, [1, 2, 3]),
    entry(4, 2, Array(40).fill(9)),
    entry(5, 2, [5]),
  ]);
  await wal.save({ term: 3, vote: 0n, commit: 3 }, [entry(5, 3, undefined), entry(6, 3, Array(30).fill(1))]);
  await wal.saveSnapshot({ index: 3, term: 2, confState });
  for (let i = 7; i <= 20; i++)
    await wal.save({ term: 3, vote, commit: i - 2 }, [entry(i, 3, Array(i).fill(i)), entry(i + 1, 3, [0])].slice(0, 1));
  await wal.save({ term: 3, vote, commit: 20 }, [
    entry(21, 3, [1]),
    entry(22, 3, Array(25).fill(2)),
    entry(23, 3, [3]),
  ]);
  await wal.close();
  return new Map(
    (await disk.list(directory))
      .filter((name) => name.endsWith(".wal"))
      .map((name) => [name, disk.files.get(`${directory}/${name}`)?.bytes ?? new Uint8Array(0)]),
  );
}

let files: Files;
let history: History;

beforeAll(async () => {
  files = await writeSample();
  history = await historyOf(files);
});

function withFile(name: string, bytes: Uint8Array): Files {
  return new Map([...files, [name, bytes]]);
}

test("the sample has three segments and reads as a whole", async () => {
  expect(files.size).toBe(3);
  expect((await outcomeOf(files)).log).toBe([...history.states].at(-1));
});

describe("a cut", () => {
  test("of the last segment gives exactly the records before it", async () => {
    const bytes = files.get(history.lastName) ?? new Uint8Array(0);
    const firstEnd = history.lastSegment[1]?.end ?? 0;
    for (let length = 0; length <= bytes.length; length++) {
      const outcome = await outcomeOf(withFile(history.lastName, bytes.slice(0, length)));
      const whole = history.lastSegment.findLast(({ end }) => end <= length);
      if (length < firstEnd) expect(outcome.refusal?.path, `cut at ${length}`).toContain(history.lastName);
      else expect(outcome.log, `cut at ${length}`).toBe(whole?.state);
    }
  });

  test("of an earlier segment is refused", async () => {
    for (const [name, bytes] of files) {
      if (name === history.lastName) continue;
      for (let length = 0; length < bytes.length; length++) {
        const { refusal } = await outcomeOf(withFile(name, bytes.slice(0, length)));
        expect(refusal?.offset, `${name} cut at ${length}`).toBeTypeOf("number");
      }
    }
  });
});

test("a flipped bit never gives anything but a prefix or a refusal that names the place", async () => {
  let prefixes = 0;
  for (const [name, bytes] of files) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const { log, refusal } = await outcomeOf(withFile(name, flipped));
      if (refusal === undefined) {
        expect(history.states.has(log ?? ""), `${name} byte ${bit >> 3} bit ${bit & 7}`).toBe(true);
        if (log !== [...history.states].at(-1)) prefixes++;
      } else {
        expect(refusal.path).toContain(directory);
        expect(refusal.offset).toBeTypeOf("number");
      }
    }
  }
  // A flipped bit in what was synced is damage, not a torn write: the log is refused rather than shortened.
  expect(prefixes).toBe(0);
});
