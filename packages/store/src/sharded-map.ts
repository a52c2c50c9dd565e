/**
 * A map for very many entries, as many small maps. V8 rehashes a `Map` in one go whenever it has doubled, which takes a
 * tenth of a second at a million entries, and refuses to hold more than 2^24.
 *
 * Entries are in no order that means anything.
 */

import type { Budget, Task } from "./mvcc/budget.js";

/** Keys copied for a unit of work. */
const copiesPerUnit = 4;
const shardCount = 256;
const shardMask = shardCount - 1;
/** Characters of a key that its shard depends on, at most. */
const sampledCharacters = 32;

export class ShardedMap<Key, Value> {
  readonly #shardOf: (key: Key) => number;
  readonly #shards: readonly Map<Key, Value>[] = Array.from({ length: shardCount }, () => new Map<Key, Value>());
  #size = 0;

  /** `shardOf` spreads the keys over all integers; see below. */
  constructor(shardOf: (key: Key) => number) {
    this.#shardOf = shardOf;
  }

  get size(): number {
    return this.#size;
  }

  has(key: Key): boolean {
    return this.#shard(key).has(key);
  }

  get(key: Key): Value | undefined {
    // To look into an empty map a key's hash would have to be computed.
    if (this.#size === 0) return undefined;
    return this.#shard(key).get(key);
  }

  set(key: Key, value: Value): void {
    const shard = this.#shard(key);
    const size = shard.size;
    shard.set(key, value);
    this.#size += shard.size - size;
  }

  /** False when there was no such entry. */
  delete(key: Key): boolean {
    if (!this.#shard(key).delete(key)) return false;
    this.#size--;
    return true;
  }

  /** A copy of all keys. */
  keyList(): Key[] {
    const list: Key[] = [];
    for (const shard of this.#shards) for (const key of shard.keys()) list.push(key);
    return list;
  }

  /** The same in slices. Those that come or go between two may be in it or not. */
  *keyListTask(budget: Budget): Task<Key[]> {
    const list: Key[] = [];
    for (const shard of this.#shards) {
      for (const key of shard.keys()) list.push(key);
      budget.left -= Math.ceil(shard.size / copiesPerUnit);
      if (budget.spent) yield;
    }
    return list;
  }

  /** A copy of all values; quicker than `values`. */
  valueList(): Value[] {
    const list: Value[] = [];
    for (const shard of this.#shards) for (const value of shard.values()) list.push(value);
    return list;
  }

  *values(): Generator<Value> {
    for (const shard of this.#shards) yield* shard.values();
  }

  #shard(key: Key): Map<Key, Value> {
    return this.#shards[this.#shardOf(key) & shardMask] as Map<Key, Value>;
  }
}

/** For keys of the store, latin1 strings: characters from all of the key, the last one included. */
export function shardOfKey(key: string): number {
  const step = Math.floor(key.length / sampledCharacters) + 1;
  let hash = key.length;
  for (let at = key.length - 1; at >= 0; at -= step) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return hash ^ (hash >>> 8) ^ (hash >>> 16);
}

/** For ids of 64 bits. */
export function shardOfId(id: bigint): number {
  const low = Number(id & 0xffff_ffffn);
  return low ^ (low >>> 8) ^ (low >>> 16);
}
