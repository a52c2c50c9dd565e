/**
 * Reading a range of keys at a revision. Source: server/etcdserver/txn/range.go, server/storage/mvcc/kvstore_txn.go.
 *
 * The answer's records are put one after the other as the encoded `kvs` field of RangeResponse, so that sending them is
 * one copy, or none where they are many. Filters and most orders need only the index; records are fetched last, and
 * only those that are sent.
 */

import { compareBytes, isSingleKey, latin1FromBytes, latin1Range } from "@etcd-ts/api";
import { Budget, runToEnd, sortTask, type Task } from "./budget.js";
import { ByteArena } from "./byte-arena.js";
import type { KeyIndex, Located } from "./key-index.js";
import type { Pieces } from "./pieces.js";
import {
  decodeRecord,
  encodeChunk,
  recordChunkTag,
  recordOfChunk,
  sizeChunk,
  sizeRecord,
  writeRecord,
  writeVarint,
} from "./record.js";
import type { RecordStore } from "./record-store.js";

export const sortOrder = { none: 0, ascend: 1, descend: 2 } as const;
export const sortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

/** The fields of etcdserverpb.RangeRequest that decide what is read; a decoded request fits. */
export interface RangeRequest {
  readonly key: Uint8Array;
  /** Empty = only `key`; one zero byte = all keys ≥ `key`; else exclusive. */
  readonly rangeEnd: Uint8Array;
  /** ≤ 0 = no limit. */
  readonly limit: number;
  /** ≤ 0 = the current revision. */
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** 0 = no filter. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface RangeResult {
  readonly kind: "range";
  /** Header revision: the store's revision when the range was read. */
  readonly revision: number;
  /** Live keys in the range, whatever limit and filters say. */
  readonly count: number;
  readonly more: boolean;
  /**
   * The encoded `kvs` fields of RangeResponse, one after the other. Several pieces are the caller's; who owns one
   * depends on the call.
   */
  readonly kvs: Pieces;
  readonly kvCount: number;
  /** Last key of `kvs`, where a next page begins behind. */
  readonly lastKey: string | undefined;
}

/** Of one key: `kvs` is in one piece. */
export interface PointResult extends RangeResult {
  readonly kvs: Uint8Array;
}

export type RangeRefusal = "compacted" | "futureRev";
export interface RefusedRange {
  readonly kind: "refused";
  readonly reason: RangeRefusal;
}

/** Keys [lo, hi); `hi` undefined = no upper bound. */
export interface KeyInterval {
  readonly lo: string;
  readonly hi: string | undefined;
  /** Exactly the key `lo`. */
  readonly point: boolean;
}

/** The revisions between which a reader may read. */
export interface ReadBounds {
  readonly currentRevision: number;
  readonly compactRevision: number;
}

/** The keys that `key` and `rangeEnd` of a request mean. */
export function intervalOf(key: Uint8Array, rangeEnd: Uint8Array): KeyInterval {
  const { lo, hi } = latin1Range(latin1FromBytes(key), latin1FromBytes(rangeEnd));
  return { lo, hi, point: isSingleKey(rangeEnd) };
}

/** The first key after `key` in byte order. */
function keyAfter(key: string): string {
  return `${key}\0`;
}

/** The revision a request reads at, or why it cannot. */
export function resolveRevision(bounds: ReadBounds, revision: number): number | RangeRefusal {
  if (revision > bounds.currentRevision) return "futureRev";
  const resolved = revision <= 0 ? bounds.currentRevision : revision;
  return resolved < bounds.compactRevision ? "compacted" : resolved;
}

/** Reads at once. `kvs` is a view of `arena`, which is cleared, or of a recent record: valid until the next write. */
export function readRange(
  index: KeyIndex,
  records: RecordStore,
  bounds: ReadBounds,
  request: RangeRequest,
  arena: ByteArena,
): RangeResult | RefusedRange {
  if (isPlainGet(request)) {
    return readPoint(index, records, bounds, { key: latin1FromBytes(request.key), revision: request.revision });
  }
  arena.clear(scratchBytesMax);
  return runToEnd(rangeTask(index, records, bounds, request, new Budget(Number.POSITIVE_INFINITY), arena));
}

const noBytes = new Uint8Array(0);
/** Up to this size the buffer of reads at once is kept for the next one. */
const scratchBytesMax = 1 << 20;

/** Whether a request reads one key, as it is. */
export function isPlainGet(request: RangeRequest): boolean {
  return request.rangeEnd.length === 0 && wantsWholeRecords(request);
}

/** The common get of one key, without the machinery. `kvs` is a view of a recent record, or a copy. */
export function readPoint(
  index: KeyIndex,
  records: RecordStore,
  bounds: ReadBounds,
  { key, revision: asked }: { readonly key: string; readonly revision: number },
): PointResult | RefusedRange {
  const atRevision = resolveRevision(bounds, asked);
  if (typeof atRevision === "string") return { kind: "refused", reason: atRevision };
  const slot = index.slotOf(key);
  const revision = bounds.currentRevision;
  if (slot < 0 || !index.locate(slot, atRevision)) {
    return { kind: "range", revision, count: 0, more: false, kvs: noBytes, kvCount: 0, lastKey: undefined };
  }
  const { main, sub, position } = index.located;
  const kvs = records.chunk(main, sub, position);
  return { kind: "range", revision, count: 1, more: false, kvs, kvCount: 1, lastKey: key };
}

/** Reads in slices. The bounds must hold until the task ends (see `Mvcc.startRange`). `kvs` is a view of `arena`. */
export function* rangeTask(
  index: KeyIndex,
  records: RecordStore,
  bounds: ReadBounds,
  request: RangeRequest,
  budget: Budget,
  arena: ByteArena = new ByteArena(),
): Task<RangeResult | RefusedRange> {
  const atRevision = resolveRevision(bounds, request.revision);
  if (typeof atRevision === "string") return { kind: "refused", reason: atRevision };
  const interval = intervalOf(request.key, request.rangeEnd);
  const read: Read = { index, records, revision: bounds.currentRevision, atRevision, interval, request, budget, arena };
  if (request.countOnly) {
    const count = yield* index.countTask(interval.lo, interval.hi, atRevision, budget);
    return { kind: "range", revision: read.revision, count, more: false, kvs: noBytes, kvCount: 0, lastKey: undefined };
  }
  const ordered = request.sortTarget === sortTarget.key && request.sortOrder !== sortOrder.descend;
  return ordered && !hasFilters(request) ? yield* readInKeyOrder(read) : yield* readSelected(read);
}

interface Read {
  readonly index: KeyIndex;
  readonly records: RecordStore;
  readonly revision: number;
  readonly atRevision: number;
  readonly interval: KeyInterval;
  readonly request: RangeRequest;
  readonly budget: Budget;
  /** Where the records of the answer go. */
  readonly arena: ByteArena;
}

/** Neither a part of the records is left out nor any of them passed over. */
export function wantsWholeRecords(
  request: Pick<RangeRequest, "keysOnly" | "countOnly"> & Parameters<typeof hasFilters>[0],
): boolean {
  return !request.keysOnly && !request.countOnly && !hasFilters(request);
}

function hasFilters(
  request: Pick<RangeRequest, "minModRevision" | "maxModRevision" | "minCreateRevision" | "maxCreateRevision">,
): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/**
 * Calls `onLive` with the slot of each key of the interval that is live at the revision, in key order, with
 * `index.located` set, until it returns false. The visitor may delete the key it is given.
 */
export function* visitLive(
  index: KeyIndex,
  interval: KeyInterval,
  atRevision: number,
  budget: Budget,
  onLive: (slot: number) => boolean,
): Task<void> {
  let from: string | undefined = interval.lo;
  while (from !== undefined) {
    let next: string | undefined;
    index.visit(from, interval.hi, (slot) => {
      budget.left -= 0.2;
      if (index.locate(slot, atRevision)) {
        budget.left -= 0.8;
        if (!onLive(slot)) return false;
      }
      if (!budget.spent) return true;
      next = keyAfter(index.keyOf(slot));
      return false;
    });
    from = next;
    if (from !== undefined) yield;
  }
}

/** How many bytes of records cost as much as one key. */
export const bytesPerUnit = 2048;

function* readInKeyOrder(read: Read): Task<RangeResult> {
  const { index, records, request, atRevision, interval, budget, arena } = read;
  const limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  let kvCount = 0;
  let lastSlot = -1;
  yield* visitLive(index, interval, atRevision, budget, (slot) => {
    if (request.keysOnly) appendKeyOnly(arena, index.keyOf(slot), index.located);
    else budget.left -= records.append(index.located, arena, recordChunkTag) / bytesPerUnit;
    lastSlot = slot;
    return ++kvCount < limit;
  });
  // A key that was live at the revision keeps its slot while the bounds hold.
  const lastKey = lastSlot < 0 ? undefined : index.keyOf(lastSlot);
  let count = kvCount;
  if (kvCount === limit && lastKey !== undefined) {
    count += yield* index.countTask(keyAfter(lastKey), interval.hi, atRevision, budget);
  }
  return { kind: "range", revision: read.revision, count, more: count > kvCount, kvs: arena.view(), kvCount, lastKey };
}

/** A key that passed the filters. `chunk` only when its value decides the order. */
interface Selected extends Located {
  readonly key: string;
  readonly chunk: Uint8Array | undefined;
  /** The value inside `chunk`; empty without one. */
  readonly value: Uint8Array;
}

/** Ranges that are filtered or not in ascending key order: select, sort, cut, and only then fetch. */
function* readSelected(read: Read): Task<RangeResult> {
  const { index, records, request, atRevision, interval, budget, arena } = read;
  const byValue = request.sortTarget === sortTarget.value;
  // With a target and no order, etcd fetches only limit + 1 keys in key order before it sorts.
  const limited = request.limit > 0 && request.sortOrder === sortOrder.none && !hasFilters(request);
  const selectedMax = limited ? request.limit + 1 : Number.POSITIVE_INFINITY;
  const selected: Selected[] = [];
  /** A buffer for each would be much work for the collector of garbage. */
  const chunks = new ByteArena();
  let count = 0;
  let lastVisited: string | undefined;
  yield* visitLive(index, interval, atRevision, budget, (slot) => {
    count++;
    const key = index.keyOf(slot);
    lastVisited = key;
    const { main, sub, created, version, position } = index.located;
    if (!passesFilters(request, main, created)) return true;
    const chunk = byValue ? chunks.last(records.append(index.located, chunks, recordChunkTag)) : undefined;
    if (chunk !== undefined) budget.left -= chunk.length / bytesPerUnit;
    const value = chunk === undefined ? noBytes : decodeRecord(recordOfChunk(chunk)).value;
    selected.push({ key, main, sub, created, version, position, chunk, value });
    return selected.length < selectedMax;
  });
  if (selected.length === selectedMax && lastVisited !== undefined) {
    count += yield* index.countTask(keyAfter(lastVisited), interval.hi, atRevision, budget);
  }
  const compare = comparison(request);
  const sorted = compare === undefined ? selected : yield* sortTask(selected, compare, budget);
  const more = request.limit > 0 && sorted.length > request.limit;
  if (more) sorted.length = request.limit;
  for (const entry of sorted) {
    if (request.keysOnly) appendStripped(arena, entry);
    else if (entry.chunk !== undefined) arena.append(entry.chunk, 0, entry.chunk.length);
    else budget.left -= records.append(entry, arena, recordChunkTag) / bytesPerUnit;
    budget.left--;
    if (budget.spent) yield;
  }
  const lastKey = sorted.at(-1)?.key;
  return { kind: "range", revision: read.revision, count, more, kvs: arena.view(), kvCount: sorted.length, lastKey };
}

function passesFilters(request: RangeRequest, modRevision: number, createRevision: number): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  if (maxModRevision !== 0 && modRevision > maxModRevision) return false;
  if (minModRevision !== 0 && modRevision < minModRevision) return false;
  if (maxCreateRevision !== 0 && createRevision > maxCreateRevision) return false;
  return minCreateRevision === 0 || createRevision >= minCreateRevision;
}

/** How the selected keys are ordered; undefined when they already are. */
function comparison(request: RangeRequest): ((left: Selected, right: Selected) => number) | undefined {
  const ascending = ascendingComparison(request.sortTarget);
  if (request.sortOrder === sortOrder.descend) return (left, right) => ascending(right, left);
  return request.sortTarget === sortTarget.key ? undefined : ascending;
}

function ascendingComparison(target: number): (left: Selected, right: Selected) => number {
  switch (target) {
    case sortTarget.version:
      return (left, right) => left.version - right.version;
    case sortTarget.create:
      return (left, right) => left.created - right.created;
    case sortTarget.mod:
      return (left, right) => left.main - right.main;
    case sortTarget.value:
      return (left, right) => compareBytes(left.value, right.value);
    default:
      return (left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0);
  }
}

/** A KeyValue from the index alone: no value and no lease. */
function appendKeyOnly(arena: ByteArena, key: string, at: Located): void {
  const meta = { createRevision: at.created, modRevision: at.main, version: at.version, lease: 0n };
  const length = sizeRecord(key, 0, meta);
  const offset = arena.reserve(sizeChunk(length));
  const target = arena.target;
  target[offset] = recordChunkTag;
  writeRecord(key, noBytes, meta, target, writeVarint(length, target, offset + 1));
}

/** keys_only of a selected key; ordering by value has read the record, and then etcd keeps its lease. */
function appendStripped(arena: ByteArena, entry: Selected): void {
  if (entry.chunk === undefined) {
    appendKeyOnly(arena, entry.key, entry);
    return;
  }
  const stripped = encodeChunk(entry.key, noBytes, decodeRecord(recordOfChunk(entry.chunk)));
  arena.append(stripped, 0, stripped.length);
}
