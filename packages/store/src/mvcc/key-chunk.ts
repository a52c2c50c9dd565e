/**
 * Some hundred neighbouring keys in order: the leaf of the index. A key is kept as its slot; the string lies in the
 * list of all keys, by slot.
 *
 * A search that compared strings would wait for memory at each of them. So a chunk knows how many characters all its
 * keys begin with in common, and keeps the next four of each key as a number, its *hint*: hints ascend as their keys
 * do, and only keys with equal hints are compared as strings. With `prefixLength` 2:
 *
 *     key    /a     /a/1   /a/20  /a/3        hint   ""     "/1"   "/20"  "/3"
 *
 * Invariants: the keys ascend; all begin with the first `prefixLength` characters of the first; each hint is its key's.
 */

import { assert } from "../assert.js";
import type { PagedList } from "./paged-list.js";

const hintCharacters = 4;
/** Longer prefixes are not looked for: keys may have a million characters. */
const prefixLengthMax = 256;

export class KeyChunk {
  readonly id: number;
  /** Of the keys, ascending; those from `length` on mean nothing. */
  readonly slots: Int32Array;
  readonly #hints: Int32Array;
  readonly #keys: PagedList<string>;
  #length = 0;
  #prefixLength = 0;
  /** Keys whose newest revision is not a tombstone. The index counts them. */
  live = 0;
  /** No key of the chunk has a newer revision than this main. */
  newestMain = 0;

  /** `keys` are all keys by slot, `capacity` how many the chunk takes. */
  constructor(id: number, keys: PagedList<string>, capacity: number) {
    this.id = id;
    this.slots = new Int32Array(capacity);
    this.#hints = new Int32Array(capacity);
    this.#keys = keys;
  }

  /** How many keys there are. */
  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length === this.slots.length;
  }

  key(at: number): string {
    return this.#keys.get(this.slots[at] as number);
  }

  /** Position of the first key that is ≥ `key`. */
  lowerBound(key: string): number {
    const length = this.#length;
    if (length === 0) return 0;
    const shared = commonLength(key, this.key(0), this.#prefixLength);
    // Which of the two ends earlier is less: `NaN` is not.
    if (shared < this.#prefixLength) return key.charCodeAt(shared) > this.key(0).charCodeAt(shared) ? length : 0;
    const hint = hintOf(key, shared);
    const hints = this.#hints;
    let lo = 0;
    let hi = length;
    while (lo < hi) {
      const middle = (lo + hi) >>> 1;
      const other = hints[middle] as number;
      if (other === hint ? this.key(middle) < key : other < hint) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }

  /** Inserts a key of the list; there is room, and it belongs there. */
  insert(at: number, slot: number): void {
    assert(!this.isFull, "a chunk is split before it overflows");
    const key = this.#keys.get(slot);
    const length = this.#length++;
    // A key between others begins as they do.
    if (at === 0 || at === length) this.#shortenPrefix(key, length);
    this.slots.copyWithin(at + 1, at, length);
    this.#hints.copyWithin(at + 1, at, length);
    this.slots[at] = slot;
    this.#hints[at] = hintOf(key, this.#prefixLength);
  }

  remove(at: number): void {
    this.slots.copyWithin(at, at + 1, this.#length);
    this.#hints.copyWithin(at, at + 1, this.#length);
    this.#length--;
  }

  /** Adds slots whose keys follow the last one's; there is room. */
  append(slots: ArrayLike<number>): void {
    assert(this.#length + slots.length <= this.slots.length, "a chunk has room for what is appended");
    this.slots.set(slots, this.#length);
    this.#length += slots.length;
    this.#refit();
  }

  /** Removes the keys from `at` on and returns their slots; valid until the next change. */
  splitOff(at: number): Int32Array {
    const slots = this.slots.subarray(at, this.#length);
    this.#length = at;
    if (at > 0) this.#refit();
    return slots;
  }

  /** Throws unless the invariants above hold; for tests. */
  validate(): void {
    assert(this.#length > 0, "a chunk is not empty");
    const prefix = this.key(0).slice(0, this.#prefixLength);
    for (let at = 0; at < this.#length; at++) {
      const key = this.key(at);
      assert(at === 0 || this.key(at - 1) < key, "keys ascend");
      assert(key.startsWith(prefix), "keys begin with the common prefix");
      assert(this.#hints[at] === hintOf(key, this.#prefixLength), "a hint is its key's");
    }
  }

  /** Makes the prefix that of `key` too, which is not among the first `length`. */
  #shortenPrefix(key: string, length: number): void {
    if (length === 0) this.#prefixLength = Math.min(key.length, prefixLengthMax);
    else {
      const shared = commonLength(key, this.key(0), this.#prefixLength);
      if (shared < this.#prefixLength) this.#makeHints(shared, length);
    }
  }

  /** Makes the prefix as long as it can be. */
  #refit(): void {
    this.#makeHints(commonLength(this.key(0), this.key(this.#length - 1), prefixLengthMax), this.#length);
  }

  /** For the first `length` keys. */
  #makeHints(prefixLength: number, length: number): void {
    this.#prefixLength = prefixLength;
    for (let at = 0; at < length; at++) this.#hints[at] = hintOf(this.key(at), prefixLength);
  }
}

/** How many characters two keys begin with in common, up to `max`. */
function commonLength(left: string, right: string, max: number): number {
  const end = Math.min(left.length, right.length, max);
  let at = 0;
  while (at < end && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  return at;
}

/** The characters from `at` on, as a signed number that sorts as they do; absent ones count as 0. */
function hintOf(key: string, at: number): number {
  let hint = 0;
  // `charCodeAt` gives NaN behind the end, which `|` takes for 0.
  for (let i = at; i < at + hintCharacters; i++) hint = (hint << 8) | key.charCodeAt(i);
  return hint ^ 0x8000_0000;
}
