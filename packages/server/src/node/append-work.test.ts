import { createMessage, type Entry, type Message, MessageType, type Snapshot } from "@etcd-ts/raft";
import { expect, test } from "vitest";
import { takeAppendWork, writeBytesMax, writesOf, writtenBytes } from "./append-work.js";

const megabyte = 1 << 20;

function entry(index: number, size: number, term = 1): Entry {
  return { type: 0, term, index, data: new Uint8Array(size) };
}

/** Appends the entries [lo, hi), of a megabyte each. */
function append(lo: number, hi: number, fields: Partial<Message> = {}): Message {
  const entries = Array.from({ length: hi - lo }, (_, i) => entry(lo + i, megabyte, fields.term));
  return createMessage({ type: MessageType.storageAppend, entries, ...fields });
}

const indexes = (entries: readonly Entry[]) => entries.map(({ index }) => index);
const bytes = (entries: readonly Entry[]) => entries.reduce((sum, one) => sum + writtenBytes(one), 0);

test("appends that wait are written together while they fit, with the last hard state of those taken", () => {
  const waiting = [append(1, 2, { term: 1 }), append(2, 4, { commit: 1, term: 1 }), append(4, 6), append(6, 7)];
  const messages = [...waiting];
  const first = takeAppendWork(waiting);
  expect([first.messages, indexes(first.entries)]).toEqual([messages.slice(0, 2), [1, 2, 3]]);
  expect(first.hardState).toEqual({ term: 1, vote: 0n, commit: 1 });
  const second = takeAppendWork(waiting);
  expect([second.messages, indexes(second.entries), second.hardState]).toEqual([
    messages.slice(2),
    [4, 5, 6],
    undefined,
  ]);
  expect(waiting).toEqual([]);
});

test("entries that are replaced before they are written are left out", () => {
  const waiting = [append(1, 3, { term: 1 }), append(2, 3, { term: 2 })];
  const { entries } = takeAppendWork(waiting);
  expect(entries.map(({ index, term }) => `${index}/${term}`)).toEqual(["1/1", "2/2"]);
});

test("a snapshot is written alone, after what waits before it", () => {
  const snapshot = { data: undefined, metadata: { index: 9, term: 1 } } as Snapshot;
  const waiting = [append(1, 2), append(10, 11, { snapshot }), append(11, 12)];
  const works = [takeAppendWork(waiting), takeAppendWork(waiting), takeAppendWork(waiting)];
  expect(works.map((work) => indexes(work.entries))).toEqual([[1], [10], [11]]);
  expect(works.map((work) => work.snapshot !== undefined)).toEqual([false, true, false]);
});

test("one append of any size is written in pieces; the commit index comes with the last of them", () => {
  const [huge, tail] = [entry(21, 2 * writeBytesMax), entry(22, 5)];
  const small = append(1, 21, { term: 3, vote: 2n, commit: 20 });
  const work = takeAppendWork([{ ...small, entries: [...small.entries, huge, tail] }]);
  const writes = writesOf(work);
  expect(writes.flatMap(({ entries }) => entries)).toEqual(work.entries);
  for (const { entries } of writes) expect(entries.length === 1 || bytes(entries) <= writeBytesMax).toBe(true);
  expect(writes.length).toBeGreaterThan(6);
  const early = { term: 3, vote: 2n, commit: 0 };
  expect(writes.map(({ hardState }) => hardState)).toEqual([...writes.slice(1).map(() => early), work.hardState]);
});

test("a hard state without entries is one write", () => {
  const work = takeAppendWork([createMessage({ type: MessageType.storageAppend, commit: 7, term: 2 })]);
  expect(writesOf(work)).toEqual([{ hardState: { term: 2, vote: 0n, commit: 7 }, entries: [] }]);
});
