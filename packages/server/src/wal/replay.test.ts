/** What a log may say, record by record: anything else is a record of another kind, or one that is missing. */

import type { Entry, HardState } from "@etcd-ts/raft";
import { describe, expect, test } from "vitest";
import { nodeDigest } from "../platform/digest.js";
import { Framer } from "./framer.js";
import type { SnapshotMark } from "./messages.js";
import { alignFrame, frameAlignment, parseRecord, type RecordType } from "./record.js";
import { Replay } from "./replay.js";

const voter = 0x8e9e05c52164694dn;

function log(
  start = { index: 0, term: 0 },
  firstIndex = 0,
): { replay: Replay; framer: Framer; refused: () => (string | undefined)[] } {
  const replay = new Replay(start, firstIndex);
  const framer = new Framer(nodeDigest, 0);
  /** Replays what was framed since; why each record was refused. */
  const refused = (): (string | undefined)[] => {
    const bytes = Buffer.concat(framer.take());
    const reasons: (string | undefined)[] = [];
    for (let at = 0; at < bytes.length; ) {
      const record = parseRecord(bytes, at + frameAlignment, bytes.length);
      if (record === undefined) throw new Error("not a record");
      reasons.push(replay.accept(record));
      at = alignFrame(record.end);
    }
    return reasons;
  };
  return { replay, framer, refused };
}

const entry = (index: number, term: number, data: Uint8Array | undefined = Uint8Array.of(1)): Entry => ({
  index,
  term,
  type: 0,
  data,
});
const state = (term: number, commit: number, vote = voter): HardState => ({ term, vote, commit });
const mark = (index: number, term: number): SnapshotMark => ({ index, term, confState: undefined });

describe("a log is refused when", () => {
  const cases: readonly (readonly [string, (framer: Framer) => void])[] = [
    ["an entry is missing", (f) => f.entry(entry(5, 2))],
    ["a committed entry is replaced", (f) => f.entry(entry(1, 3))],
    ["an entry's term is below that of the one before", (f) => f.entry(entry(4, 1))],
    ["an entry is replaced by an empty one of the same term", (f) => f.entry({ ...entry(3, 2), data: undefined })],
    ["the term decreases", (f) => f.state(state(1, 2))],
    ["the commit decreases", (f) => f.state(state(2, 0))],
    ["the commit is beyond the last entry", (f) => f.state(state(2, 4))],
    ["the vote changes within a term", (f) => f.state(state(2, 2, 1n))],
    ["the metadata changes", (f) => f.metadata(Uint8Array.of(8, 2))],
  ];
  test.each(cases)("%s", (_name, write) => {
    const { framer, refused } = log();
    framer.metadata(Uint8Array.of(8, 1));
    framer.entry(entry(1, 1));
    framer.entry(entry(2, 2));
    framer.entry(entry(3, 2));
    framer.state(state(2, 1));
    expect(refused().every((reason) => reason === undefined)).toBe(true);
    write(framer);
    expect(refused()[0]).toBeTypeOf("string");
  });

  test.each<readonly [string, RecordType, Uint8Array]>([
    ["a hard state is taken for an entry", 2, Uint8Array.of(8, 1, 16, 1, 24, 1)],
    ["an entry is taken for a hard state", 3, Uint8Array.of(16, 1, 24, 1, 34, 1, 5)],
    ["an empty entry is taken for a hard state", 3, Uint8Array.of(16, 1, 24, 1)],
    ["an entry has fields that are none", 2, Uint8Array.of(16, 1, 24, 1, 40, 1)],
    ["an entry has index 0", 2, Uint8Array.of(16, 1, 24, 0)],
  ])("%s", (_name, type, data) => {
    const { replay } = log();
    expect(replay.accept({ type, crc: 0, data, end: 0 })).toBeTypeOf("string");
  });
});

describe("a log may hold", () => {
  // A deposed leader's entries, of a later term than those which the next leader has in their place.
  test.each([3, 2])("entries that replace others of another term: %i", (term) => {
    const { replay, framer, refused } = log();
    for (let i = 1; i <= 2; i++) framer.entry(entry(i, 1));
    for (let i = 3; i <= 4; i++) framer.entry(entry(i, 5 - term));
    framer.entry(entry(3, term));
    expect(refused().every((reason) => reason === undefined)).toBe(true);
    expect(replay.entries.map(({ index, term }) => [index, term])).toEqual([
      [1, 1],
      [2, 1],
      [3, term],
    ]);
  });

  test("entries of etcd 3.6, which carry a type of 0", () => {
    const { replay } = log();
    expect(replay.accept({ type: 2, crc: 0, data: Uint8Array.of(8, 0, 16, 1, 24, 1), end: 0 })).toBeUndefined();
    expect(replay.entries).toEqual([{ type: 0, term: 1, index: 1, data: undefined }]);
  });

  test("a received snapshot beyond its last entry, and entries behind that", () => {
    const { replay, framer, refused } = log({ index: 10, term: 3 }, 1);
    framer.entry(entry(1, 1));
    framer.snapshot(mark(10, 3));
    framer.state(state(3, 10));
    framer.entry(entry(11, 3));
    expect(refused().every((reason) => reason === undefined)).toBe(true);
    expect(replay.startFound).toBe(true);
    expect(replay.entries.map(({ index }) => index)).toEqual([11]);
    expect(replay.lastIndex).toBe(11);
  });

  test("the mark it is opened at under another term only if that is told", () => {
    const { replay, framer, refused } = log({ index: 1, term: 1 });
    framer.entry(entry(1, 1));
    framer.snapshot(mark(1, 2));
    refused();
    expect(replay.startTermDiffers).toBe(true);
  });

  test("a received state in place of entries that were not of the cluster's history", () => {
    const { replay, framer, refused } = log({ index: 8, term: 3 });
    for (let index = 1; index <= 10; index++) framer.entry(entry(index, 2));
    framer.state(state(2, 5));
    framer.snapshot(mark(8, 3));
    framer.state(state(3, 8));
    expect(refused().filter((reason) => reason !== undefined)).toEqual([]);
    expect(replay.entries).toEqual([]);
    expect(replay.lastIndex).toBe(8);
    framer.entry(entry(9, 3));
    expect(refused()).toEqual([undefined]);
    expect(replay.entries.map(({ index, term }) => [index, term])).toEqual([[9, 3]]);
    expect(replay.lastIndex).toBe(9);
  });
});
