/**
 * Finds the slots of keys: hashes and slots side by side in typed arrays, by open addressing. A key's pair is found in one
 * place of the memory, and its string is read only if the hash is equal, where a `Map` of strings reads a bucket, its
 * entries and the string of each of them: with many keys all of these are waited for.
 *
 * Whoever chooses keys can choose them so that their hashes are equal. So a pair lies at most `probesMax` behind its place;
 * what finds no room there is kept in a `Map`, whose hashes nobody can foresee.
 *
 * There are many small arrays, each doubled alone, so that no put waits until all pairs have moved.
 */

import { assert } from "../assert.js";

/** Keys by slot. */
export interface KeyOfSlot {
  get(slot: number): string;
}

const shardBits = 8;
const shardCount = 1 << shardBits;
/** A pair is a hash and one of: `free`, `gone` for a key that was removed, its slot + 1. */
const pairLength = 2;
const free = 0;
const gone = 0xffff_ffff;
/** Pairs that are looked at, at most. */
const probesMax = 32;
const pairsMin = 8;
/** Characters of a key that its hash depends on, at most. */
const hashedMax = 256;

export class SlotTable {
  readonly #keys: KeyOfSlot;
  /** By the upper bits of the hash; the lower ones say where in it a pair belongs. Lengths are powers of two. */
  readonly #shards: Uint32Array[] = Array.from({ length: shardCount }, () => noPairs);
  /** By shard: pairs that are not free, and how many of them there may be. */
  readonly #used = new Uint32Array(shardCount);
  readonly #usedMax = new Uint32Array(shardCount);
  /** Keys whose pairs found no room. */
  readonly #others = new Map<string, number>();
  #size = 0;

  /** `keys` knows the key of each slot that is in the table. */
  constructor(keys: KeyOfSlot) {
    this.#keys = keys;
  }

  get size(): number {
    return this.#size;
  }

  /** The slot of a key, or −1. */
  get(key: string): number {
    const hash = hashOf(key);
    const shard = this.#shards[hash >>> (32 - shardBits)] as Uint32Array;
    const at = this.#find(shard, hash, key);
    if (at >= 0) return (shard[at + 1] as number) - 1;
    return this.#others.size === 0 ? -1 : (this.#others.get(key) ?? -1);
  }

  /** Adds a key that is not there. */
  add(key: string, slot: number): void {
    const hash = hashOf(key);
    const number = hash >>> (32 - shardBits);
    if (this.#used[number] === this.#usedMax[number]) this.#rebuild(number);
    this.#size++;
    if (!this.#place(number, hash, slot)) this.#others.set(key, slot);
  }

  /** Removes a key that is there. */
  remove(key: string): void {
    this.#size--;
    const hash = hashOf(key);
    const shard = this.#shards[hash >>> (32 - shardBits)] as Uint32Array;
    const at = this.#find(shard, hash, key);
    if (at >= 0) shard[at + 1] = gone;
    else assert(this.#others.delete(key), "the key is in the table");
  }

  /** Where the key's pair lies in its shard, or −1. */
  #find(shard: Uint32Array, hash: number, key: string): number {
    const mask = shard.length - 1;
    let at = (hash << 1) & mask;
    for (let probes = 0; probes < probesMax; probes++) {
      const value = shard[at + 1] as number;
      if (value === free) return -1;
      if (shard[at] === hash && value !== gone && this.#keys.get(value - 1) === key) return at;
      at = (at + pairLength) & mask;
    }
    return -1;
  }

  /** Takes the first free pair for a key; false when there is none near its place. */
  #place(number: number, hash: number, slot: number): boolean {
    const shard = this.#shards[number] as Uint32Array;
    const mask = shard.length - 1;
    let at = (hash << 1) & mask;
    for (let probes = 0; probes < probesMax; probes++) {
      if (shard[at + 1] === free) {
        shard[at] = hash;
        shard[at + 1] = slot + 1;
        this.#used[number] = (this.#used[number] as number) + 1;
        return true;
      }
      at = (at + pairLength) & mask;
    }
    return false;
  }

  /** Drops the pairs of removed keys; makes room for as many pairs as there are. */
  #rebuild(number: number): void {
    const old = this.#shards[number] as Uint32Array;
    let live = 0;
    for (let at = 1; at < old.length; at += pairLength) if (isSlot(old[at] as number)) live++;
    let pairs = pairsMin;
    while (usedMaxOf(pairs) <= live * growth) pairs *= 2;
    this.#shards[number] = new Uint32Array(pairs * pairLength);
    this.#usedMax[number] = usedMaxOf(pairs);
    this.#used[number] = 0;
    for (let at = 0; at < old.length; at += pairLength) {
      const value = old[at + 1] as number;
      if (!isSlot(value)) continue;
      const slot = value - 1;
      if (!this.#place(number, old[at] as number, slot)) this.#others.set(this.#keys.get(slot), slot);
    }
  }
}

/** Of a shard that was never written. */
const noPairs = new Uint32Array(pairLength);
/** A shard is rebuilt so that it can take a quarter more at least: what that costs is spread over as many keys. */
const growth = 5 / 4;

function usedMaxOf(pairs: number): number {
  return pairs / 2;
}

function isSlot(value: number): boolean {
  return value !== free && value !== gone;
}

/** 32 bits; all of them depend on each character of a key that is not very long. */
export function hashOf(key: string): number {
  const length = key.length;
  const step = length <= hashedMax ? 1 : Math.ceil(length / hashedMax);
  let hash = length;
  for (let at = length - 1; at >= 0; at -= step) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
