/**
 * The in-memory index: for every key, the revisions at which it changed. Source: server/storage/mvcc/key_index.go and
 * index.go; the layout is ours.
 *
 * A key's revisions fall into *generations*: one ends with a tombstone, the next begins with the next put. For key foo
 * with put 1, put 2, delete 3, put 4, delete 5:
 *
 *     [{1, 2, 3t}, {4, 5t}, {}]
 *     compact(2) → [{2, 3t}, {4, 5t}, {}]     compact(4) → [{4, 5t}, {}]
 *     compact(5) → [{5t}, {}]                  compact(6) → the key is gone
 *
 * Layout. A key has a *slot*: a number naming one row of columns in typed arrays, where the newest revision lives.
 * Older revisions are in a list of numbers, if there are any. A tombstone as the newest revision is a negative version.
 * Keys are ordered in chunks of a two-level sorted array; a chunk counts its live keys, so that counting skips whole
 * chunks.
 *
 * Invariants: every key in the table is in exactly one chunk; chunks are not empty, and ascending; a key has at least one
 * revision; revisions of a key ascend.
 */

import { assert } from "../assert.js";
import { ShardedMap } from "../sharded-map.js";
import type { Budget, Task } from "./budget.js";
import { KeyChunk } from "./key-chunk.js";
import { orderKeysTask } from "./order-keys.js";
import { PagedList } from "./paged-list.js";
import { notInRing } from "./record-ring.js";
import { SlotTable } from "./slot-table.js";

/** Keys in a chunk at most, by default; a full one is split. */
const chunkKeysMaxDefault = 512;

const slotsPerPage = 4096;
const pageShift = 12;
const pageMask = slotsPerPage - 1;

/** Columns of a slot. */
const columnMain = 0;
const columnSub = 1;
const columnCreated = 2;
/** Versions of the newest generation, its tombstone included; negative when the newest revision is a tombstone. */
const columnVersion = 3;
/** Where the newest revision's record lies in the ring of recent records; may be overwritten by now. */
const columnPosition = 4;
const columnChunk = 5;
const columnCount = 6;

/** A generation that a tombstone has closed and that is not the newest one. */
interface ClosedGeneration {
  readonly created: number;
  /** Versions it ever had, its tombstone included. */
  readonly version: number;
  /** main, sub of each revision, ascending; the last one is the tombstone. */
  revs: number[];
}

const noGenerations: readonly ClosedGeneration[] = [];

/** A key's revision as a read at some revision finds it. */
export interface Located {
  main: number;
  sub: number;
  created: number;
  version: number;
  /** Position in the ring of recent records, or `notInRing`. */
  position: number;
}

/**
 * Gets a key's slot; a range of records needs no more. Returns false to end the visit. The visitor must not add or
 * remove keys; it may add revisions to visited ones.
 */
export type KeyVisitor = (slot: number) => boolean;

export class KeyIndex {
  readonly #chunkKeysMax: number;
  readonly #chunks: KeyChunk[] = [];
  /** First key of each chunk, for the search. */
  readonly #firstKeys: string[] = [];
  #chunkById: (KeyChunk | undefined)[] = [];
  readonly #freeChunkIds: number[] = [];
  readonly #pages: Float64Array[] = [];
  /** By slot. */
  readonly #keys = new PagedList<string>();
  readonly #slotByKey = new SlotTable(this.#keys);
  /** By slot: main, sub of the newest generation's older revisions, ascending; undefined when there is none. */
  readonly #older = new PagedList<number[] | undefined>();
  /** By slot: generations older than the newest, ascending; few keys have any. */
  readonly #closed = new ShardedMap<number, ClosedGeneration[]>((slot) => slot);
  readonly #freeSlots: number[] = [];
  /** Where all keys are while the index is being restored. */
  #scratch: KeyChunk | undefined;
  /** What the last successful `locate` found; overwritten by the next. */
  readonly located: Located = { main: 0, sub: 0, created: 0, version: 0, position: notInRing };

  /** `chunkKeysMax` is for tests. */
  constructor(chunkKeysMax: number = chunkKeysMaxDefault) {
    this.#chunkKeysMax = chunkKeysMax;
  }

  /** How many keys have a revision, deleted ones included. */
  get size(): number {
    return this.#slotByKey.size;
  }

  /** The slot of `key`, or −1. It stays the same until a compaction removes the key. */
  slotOf(key: string): number {
    return this.#slotByKey.get(key);
  }

  /** The key that has the slot. */
  keyOf(slot: number): string {
    return this.#keys.get(slot);
  }

  // --- reading ---

  /** Finds the revision of the slot's key that is live at `atRevision` and puts it in `located`; false when none is. */
  locate(slot: number, atRevision: number): boolean {
    const page = this.#pages[slot >>> pageShift] as Float64Array;
    const base = (slot & pageMask) * columnCount;
    const main = page[base + columnMain] as number;
    const version = page[base + columnVersion] as number;
    if (main > atRevision)
      return this.#locateOlder(slot, atRevision, Math.abs(version), page[base + columnCreated] as number);
    if (version < 0) return false;
    const located = this.located;
    located.main = main;
    located.sub = page[base + columnSub] as number;
    located.created = page[base + columnCreated] as number;
    located.version = version;
    located.position = page[base + columnPosition] as number;
    return true;
  }

  #locateOlder(slot: number, atRevision: number, newestVersion: number, newestCreated: number): boolean {
    const older = this.#older.get(slot);
    if (older !== undefined && (older[0] as number) <= atRevision) {
      // The newest revision is one more version than `older` holds.
      return this.#locateIn(older, atRevision, newestCreated, newestVersion - 1);
    }
    const closed = this.#closed.get(slot) ?? noGenerations;
    for (let index = closed.length - 1; index >= 0; index--) {
      const generation = closed[index] as ClosedGeneration;
      if ((generation.revs.at(-2) as number) <= atRevision) return false;
      if ((generation.revs[0] as number) <= atRevision) {
        return this.#locateIn(generation.revs, atRevision, generation.created, generation.version);
      }
    }
    return false;
  }

  /** `lastVersion` is the version of the last revision in `revs`. */
  #locateIn(revs: readonly number[], atRevision: number, created: number, lastVersion: number): boolean {
    const index = lastAtOrBelow(revs, atRevision);
    assert(index >= 0, "a generation that begins at or below the revision has one there");
    const located = this.located;
    located.main = revs[index * 2] as number;
    located.sub = revs[index * 2 + 1] as number;
    located.created = created;
    located.version = lastVersion - (revs.length / 2 - index - 1);
    located.position = notInRing;
    return true;
  }

  /** Visits keys in [lo, hi) ascending, deleted ones included; `hi` undefined = no upper bound. */
  visit(lo: string, hi: string | undefined, visitor: KeyVisitor): void {
    if (this.#chunks.length === 0 || (hi !== undefined && hi <= lo)) return;
    let chunkAt = this.#chunkIndexOf(lo);
    const lastChunkAt = hi === undefined ? this.#chunks.length - 1 : this.#chunkIndexOf(hi);
    let keyAt = (this.#chunks[chunkAt] as KeyChunk).lowerBound(lo);
    for (; chunkAt <= lastChunkAt; chunkAt++, keyAt = 0) {
      const chunk = this.#chunks[chunkAt] as KeyChunk;
      // Only the last chunk can reach beyond `hi`, so no key is compared on the way.
      const end = hi !== undefined && chunkAt === lastChunkAt ? chunk.lowerBound(hi) : chunk.length;
      for (; keyAt < end; keyAt++) {
        if (!visitor(chunk.slots[keyAt] as number)) return;
      }
    }
  }

  /**
   * Counts the keys in [lo, hi) that are live at `atRevision`. Whole chunks that have not changed since are skipped by
   * their counters, so counting at the current revision costs a few microseconds for a million keys.
   */
  *countTask(lo: string, hi: string | undefined, atRevision: number, budget: Budget): Task<number> {
    let count = 0;
    let from: string | undefined = lo;
    while (from !== undefined && this.#chunks.length > 0 && (hi === undefined || from < hi)) {
      const firstChunkAt = this.#chunkIndexOf(from);
      const lastChunkAt = hi === undefined ? this.#chunks.length - 1 : this.#chunkIndexOf(hi);
      let chunkAt = firstChunkAt;
      do {
        const chunk = this.#chunks[chunkAt] as KeyChunk;
        const whole = chunkAt > firstChunkAt && (chunkAt < lastChunkAt || hi === undefined);
        if (whole && chunk.newestMain <= atRevision) {
          count += chunk.live;
          budget.left -= 0.05;
        } else {
          count += this.#countInChunk(chunk, from, hi, atRevision);
          budget.left -= chunk.length / 8;
        }
        chunkAt++;
      } while (chunkAt <= lastChunkAt && !budget.spent);
      from = chunkAt <= lastChunkAt ? this.#firstKeys[chunkAt] : undefined;
      if (from !== undefined) yield;
    }
    return count;
  }

  #countInChunk(chunk: KeyChunk, lo: string, hi: string | undefined, atRevision: number): number {
    let count = 0;
    const end = hi === undefined ? chunk.length : chunk.lowerBound(hi);
    for (let at = chunk.lowerBound(lo); at < end; at++) {
      if (this.locate(chunk.slots[at] as number, atRevision)) count++;
    }
    return count;
  }

  /** Whether a key in [lo, hi) has a revision at or above `revision`; `hi` undefined = no upper bound. */
  changedSince(lo: string, hi: string | undefined, revision: number): boolean {
    if (this.#chunks.length === 0 || (hi !== undefined && hi <= lo)) return false;
    const firstChunkAt = this.#chunkIndexOf(lo);
    const lastChunkAt = hi === undefined ? this.#chunks.length - 1 : this.#chunkIndexOf(hi);
    for (let chunkAt = firstChunkAt; chunkAt <= lastChunkAt; chunkAt++) {
      const chunk = this.#chunks[chunkAt] as KeyChunk;
      if (chunk.newestMain < revision) continue;
      const end = hi !== undefined && chunkAt === lastChunkAt ? chunk.lowerBound(hi) : chunk.length;
      for (let keyAt = chunkAt === firstChunkAt ? chunk.lowerBound(lo) : 0; keyAt < end; keyAt++) {
        if (this.#get(chunk.slots[keyAt] as number, columnMain) >= revision) return true;
      }
    }
    return false;
  }

  /** Whether the newest revision of the slot's key is a tombstone. */
  isDeleted(slot: number): boolean {
    return this.#get(slot, columnVersion) < 0;
  }

  /** Whether revision (main, sub) of the slot's key is in the index. */
  contains(slot: number, main: number, sub: number): boolean {
    if (this.#get(slot, columnMain) === main && this.#get(slot, columnSub) === sub) return true;
    const older = this.#older.get(slot);
    if (older !== undefined && includesRevision(older, main, sub)) return true;
    return this.#closed.get(slot)?.some((generation) => includesRevision(generation.revs, main, sub)) ?? false;
  }

  /**
   * Whether a hash at `atRevision` counts revision (main, sub) of the slot's key among those that compaction keeps: it
   * is the one revision that compaction at `atRevision` would keep, and no tombstone.
   */
  isKept(slot: number, main: number, sub: number, atRevision: number): boolean {
    return this.locate(slot, atRevision) && this.located.main === main && this.located.sub === sub;
  }

  // --- writing ---

  /** Adds a revision that puts `key`; its record lies at `position` in the ring. Returns the key's slot. */
  put(key: string, main: number, sub: number, position: number): number {
    return this.putAt(this.slotOf(key), key, main, sub, position);
  }

  /** `put` for who knows the key's slot already: −1 when it has none. */
  putAt(slot: number, key: string, main: number, sub: number, position: number): number {
    if (slot < 0) return this.#insert(key, main, sub, position);
    const chunk = this.#advance(slot, main, sub);
    const page = this.#pages[slot >>> pageShift] as Float64Array;
    const base = (slot & pageMask) * columnCount;
    const version = page[base + columnVersion] as number;
    if (version < 0) {
      page[base + columnCreated] = main;
      page[base + columnVersion] = 1;
      chunk.live++;
    } else {
      page[base + columnVersion] = version + 1;
    }
    page[base + columnPosition] = position;
    return slot;
  }

  /** Adds a revision that deletes the slot's key, which must be live. */
  tombstone(slot: number, main: number, sub: number): void {
    const version = this.#get(slot, columnVersion);
    assert(version > 0, "a tombstone follows a put");
    const chunk = this.#advance(slot, main, sub);
    this.#set(slot, columnVersion, -(version + 1));
    this.#set(slot, columnPosition, notInRing);
    chunk.live--;
  }

  /** Makes the newest revision an older one and (main, sub) the newest one. */
  #advance(slot: number, main: number, sub: number): KeyChunk {
    const page = this.#pages[slot >>> pageShift] as Float64Array;
    const base = (slot & pageMask) * columnCount;
    const newestMain = page[base + columnMain] as number;
    const newestSub = page[base + columnSub] as number;
    assert(main > newestMain || (main === newestMain && sub > newestSub), "revisions of a key ascend");
    let revs = this.#older.get(slot);
    if (revs === undefined) revs = [newestMain, newestSub];
    else revs.push(newestMain, newestSub);
    const version = page[base + columnVersion] as number;
    if (version < 0) {
      this.#close(slot, { created: page[base + columnCreated] as number, version: -version, revs });
      revs = undefined;
    }
    this.#older.set(slot, revs);
    page[base + columnMain] = main;
    page[base + columnSub] = sub;
    const chunk = this.#chunkById[page[base + columnChunk] as number] as KeyChunk;
    if (chunk.newestMain < main) chunk.newestMain = main;
    return chunk;
  }

  #close(slot: number, generation: ClosedGeneration): void {
    const closed = this.#closed.get(slot);
    if (closed === undefined) this.#closed.set(slot, [generation]);
    else closed.push(generation);
  }

  // --- restoring ---

  /**
   * Adds a row met while the database is read in order at boot, to an index that was empty before. Keys are only
   * collected in the table; `finishRestore` orders them. For the first row of a key, `created` and `version` are the
   * record's (0 and 1 for a tombstone).
   */
  restore(key: string, main: number, sub: number, tombstone: boolean, created: number, version: number): void {
    this.#scratch ??= this.#newChunk();
    const slot = this.slotOf(key);
    if (slot < 0) {
      const signed = tombstone ? -1 : version;
      this.#addSlot(key, main, sub, tombstone ? 0 : created, signed, notInRing, this.#scratch.id);
    } else if (!tombstone) {
      this.putAt(slot, key, main, sub, notInRing);
    } else if (!this.isDeleted(slot)) {
      this.tombstone(slot, main, sub);
    }
    // A tombstone behind a tombstone is a row that etcd logs and ignores.
  }

  /** Orders the restored keys: one sort, full chunks. */
  *finishRestore(budget: Budget): Task<void> {
    // An index that was empty has given out its slots in order.
    const slots = yield* orderKeysTask(this.#keys, budget);
    this.#scratch = undefined;
    this.#chunkById = [];
    // Three quarters full: what comes next is as likely to fall between as behind.
    const length = Math.ceil((this.#chunkKeysMax * 3) / 4);
    for (let lo = 0; lo < slots.length; lo += length) {
      const chunk = this.#newChunk();
      const part = slots.subarray(lo, lo + length);
      this.#adopt(chunk, part);
      this.#chunks.push(chunk);
      this.#firstKeys.push(chunk.key(0));
      budget.left -= length / 4;
      if (budget.spent) yield;
    }
  }

  /** Appends keys to a chunk. */
  #adopt(chunk: KeyChunk, slots: ArrayLike<number>): void {
    chunk.append(slots);
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at] as number;
      this.#set(slot, columnChunk, chunk.id);
      if (!this.isDeleted(slot)) chunk.live++;
      const main = this.#get(slot, columnMain);
      if (chunk.newestMain < main) chunk.newestMain = main;
    }
  }

  // --- compaction ---

  /**
   * Forgets what compaction at `atRevision` makes unreachable of the keys in [lo, ∞), up to `keysMax` of them.
   * `kept` counts keys that keep a revision at or below `atRevision`.
   */
  compact(lo: string, atRevision: number, keysMax: number): { next: string | undefined; kept: number } {
    const removed: string[] = [];
    let kept = 0;
    let visited = 0;
    let next: string | undefined;
    this.visit(lo, undefined, (slot) => {
      if (visited++ === keysMax) {
        next = this.keyOf(slot);
        return false;
      }
      const outcome = this.#compactSlot(slot, atRevision);
      if (outcome === "removed") removed.push(this.keyOf(slot));
      if (outcome === "kept") kept++;
      return true;
    });
    for (const key of removed) this.#remove(key);
    return { next, kept };
  }

  #compactSlot(slot: number, atRevision: number): "removed" | "kept" | "newer" {
    const main = this.#get(slot, columnMain);
    if (main < atRevision && this.isDeleted(slot)) return "removed";
    const closed = this.#closed.get(slot);
    if (closed !== undefined) {
      const generationAt = closed.findIndex((generation) => (generation.revs.at(-2) as number) >= atRevision);
      if (generationAt >= 0) {
        closed.splice(0, generationAt);
        const generation = closed[0] as ClosedGeneration;
        const index = lastAtOrBelow(generation.revs, atRevision);
        if (index > 0) generation.revs = generation.revs.slice(index * 2);
        return index >= 0 ? "kept" : "newer";
      }
      this.#closed.delete(slot);
    }
    if (main <= atRevision) {
      this.#older.set(slot, undefined);
      return "kept";
    }
    const older = this.#older.get(slot);
    if (older === undefined) return "newer";
    const index = lastAtOrBelow(older, atRevision);
    if (index > 0) this.#older.set(slot, older.slice(index * 2));
    return index >= 0 ? "kept" : "newer";
  }

  #remove(key: string): void {
    const slot = this.slotOf(key);
    this.#slotByKey.remove(key);
    const chunkAt = this.#chunkIndexOf(key);
    const chunk = this.#chunks[chunkAt] as KeyChunk;
    const keyAt = chunk.lowerBound(key);
    assert(keyAt < chunk.length && chunk.slots[keyAt] === slot, "a key of the table is in its chunk");
    chunk.remove(keyAt);
    if (!this.isDeleted(slot)) chunk.live--;
    this.#keys.set(slot, "");
    this.#older.set(slot, undefined);
    this.#closed.delete(slot);
    this.#freeSlots.push(slot);
    if (chunk.length === 0) {
      this.#dropChunk(chunkAt);
      return;
    }
    if (keyAt === 0) this.#firstKeys[chunkAt] = chunk.key(0);
    const right = this.#chunks[chunkAt + 1];
    if (right !== undefined && chunk.length + right.length <= this.#chunkKeysMax / 2) {
      this.#adopt(chunk, right.splitOff(0));
      this.#dropChunk(chunkAt + 1);
    }
  }

  #dropChunk(chunkAt: number): void {
    const { id } = this.#chunks[chunkAt] as KeyChunk;
    this.#chunks.splice(chunkAt, 1);
    this.#firstKeys.splice(chunkAt, 1);
    this.#chunkById[id] = undefined;
    this.#freeChunkIds.push(id);
  }

  /** Throws unless the invariants above hold; for tests. */
  validate(): void {
    let previous: string | undefined;
    let keyCount = 0;
    for (const [chunkAt, chunk] of this.#chunks.entries()) {
      chunk.validate();
      assert(this.#firstKeys[chunkAt] === chunk.key(0), "the first keys are those of the chunks");
      assert(this.#chunkById[chunk.id] === chunk, "a chunk is found by its id");
      let live = 0;
      for (let keyAt = 0; keyAt < chunk.length; keyAt++) {
        const key = chunk.key(keyAt);
        const slot = chunk.slots[keyAt] as number;
        assert(previous === undefined || previous < key, "keys ascend");
        assert(this.slotOf(key) === slot, "a key's slot is that of the table");
        assert(this.#get(slot, columnChunk) === chunk.id, "a slot knows its chunk");
        assert(this.#get(slot, columnMain) <= chunk.newestMain, "no key of a chunk is newer than the chunk");
        if (!this.isDeleted(slot)) live++;
        previous = key;
      }
      assert(live === chunk.live, "a chunk counts its live keys");
      keyCount += chunk.length;
    }
    assert(keyCount === this.size, "every key is in one chunk");
  }

  // --- chunks and slots ---

  #insert(key: string, main: number, sub: number, position: number): number {
    if (this.#chunks.length === 0) {
      this.#chunks.push(this.#newChunk());
      this.#firstKeys.push(key);
    }
    let chunkAt = this.#chunkIndexOf(key);
    let chunk = this.#chunks[chunkAt] as KeyChunk;
    let keyAt = chunk.lowerBound(key);
    if (chunk.isFull) {
      const splitAt = this.#split(chunkAt, keyAt);
      if (keyAt >= splitAt) {
        chunkAt++;
        keyAt -= splitAt;
        chunk = this.#chunks[chunkAt] as KeyChunk;
      }
    }
    const slot = this.#addSlot(key, main, sub, main, 1, position, chunk.id);
    chunk.insert(keyAt, slot);
    chunk.live++;
    if (chunk.newestMain < main) chunk.newestMain = main;
    if (keyAt === 0) this.#firstKeys[chunkAt] = key;
    return slot;
  }

  /** Splits a full chunk and returns how many keys stayed in it. */
  #split(chunkAt: number, insertAt: number): number {
    const chunk = this.#chunks[chunkAt] as KeyChunk;
    // Ascending inserts leave full chunks behind instead of half full ones.
    const appending = chunkAt === this.#chunks.length - 1 && insertAt === chunk.length;
    const splitAt = appending ? chunk.length : chunk.length >>> 1;
    const right = this.#newChunk();
    right.newestMain = chunk.newestMain;
    if (!appending) this.#adopt(right, chunk.splitOff(splitAt));
    chunk.live -= right.live;
    this.#chunks.splice(chunkAt + 1, 0, right);
    this.#firstKeys.splice(chunkAt + 1, 0, appending ? "" : right.key(0));
    return splitAt;
  }

  #newChunk(): KeyChunk {
    const id = this.#freeChunkIds.pop() ?? this.#chunkById.length;
    const chunk = new KeyChunk(id, this.#keys, this.#chunkKeysMax);
    this.#chunkById[id] = chunk;
    return chunk;
  }

  /** Index of the chunk where `key` is or would be; 0 when there is no chunk. */
  #chunkIndexOf(key: string): number {
    const firstKeys = this.#firstKeys;
    let lo = 0;
    let hi = firstKeys.length;
    while (lo < hi) {
      const middle = (lo + hi) >>> 1;
      if ((firstKeys[middle] as string) <= key) lo = middle + 1;
      else hi = middle;
    }
    return Math.max(0, lo - 1);
  }

  #addSlot(
    key: string,
    main: number,
    sub: number,
    created: number,
    version: number,
    position: number,
    chunkId: number,
  ): number {
    let slot = this.#freeSlots.pop();
    if (slot === undefined) {
      slot = this.#keys.length;
      this.#keys.push(key);
      this.#older.push(undefined);
      if ((slot & pageMask) === 0) this.#pages.push(new Float64Array(slotsPerPage * columnCount));
    } else this.#keys.set(slot, key);
    this.#slotByKey.add(key, slot);
    const page = this.#pages[slot >>> pageShift] as Float64Array;
    const base = (slot & pageMask) * columnCount;
    page[base + columnMain] = main;
    page[base + columnSub] = sub;
    page[base + columnCreated] = created;
    page[base + columnVersion] = version;
    page[base + columnPosition] = position;
    page[base + columnChunk] = chunkId;
    return slot;
  }

  #get(slot: number, column: number): number {
    return (this.#pages[slot >>> pageShift] as Float64Array)[(slot & pageMask) * columnCount + column] as number;
  }

  #set(slot: number, column: number, value: number): void {
    (this.#pages[slot >>> pageShift] as Float64Array)[(slot & pageMask) * columnCount + column] = value;
  }
}

/** Index of the last revision in `revs` (main, sub pairs, ascending) with main ≤ `atRevision`, or −1. */
function lastAtOrBelow(revs: readonly number[], atRevision: number): number {
  let lo = 0;
  let hi = revs.length / 2;
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if ((revs[middle * 2] as number) <= atRevision) lo = middle + 1;
    else hi = middle;
  }
  return lo - 1;
}

function includesRevision(revs: readonly number[], main: number, sub: number): boolean {
  for (let index = lastAtOrBelow(revs, main); index >= 0 && revs[index * 2] === main; index--) {
    if (revs[index * 2 + 1] === sub) return true;
  }
  return false;
}
