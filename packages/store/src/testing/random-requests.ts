/** Random requests from a seed, over few keys so that they meet. */

import type { ModelCompare, ModelDelete, ModelOp, ModelPut, ModelRange, ModelTxn } from "./model.js";

export class RandomRequests {
  readonly #keys: readonly string[];
  #state: number;

  constructor(seed: number, keys: readonly string[]) {
    this.#state = seed >>> 0;
    this.#keys = keys;
  }

  /** Uniform in [0, bound). mulberry32. */
  integer(bound: number): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }

  chance(percent: number): boolean {
    return this.integer(100) < percent;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.integer(items.length)] as Item;
  }

  key(): string {
    return this.pick(this.#keys);
  }

  end(): string {
    if (this.chance(50)) return "";
    return this.chance(30) ? "\0" : this.key();
  }

  lease(): bigint {
    return this.chance(70) ? 0n : BigInt(this.integer(5) + (this.chance(10) ? 100 : 1));
  }

  value(): string {
    if (this.chance(5)) return "x".repeat(this.integer(3000));
    return this.chance(10) ? "" : String(this.integer(20));
  }

  revision(current: number): number {
    if (this.chance(60)) return 0;
    return this.chance(10) ? -this.integer(3) : this.integer(current + 2);
  }

  bound(current: number): number {
    if (this.chance(85)) return 0;
    return this.chance(10) ? -1 : this.integer(current + 2);
  }

  range(current: number): ModelRange {
    return {
      key: this.key(),
      end: this.end(),
      limit: this.chance(50) ? 0 : this.integer(6) - 1,
      revision: this.revision(current),
      order: this.chance(50) ? 0 : this.integer(3),
      target: this.chance(50) ? 0 : this.integer(5),
      keysOnly: this.chance(20),
      countOnly: this.chance(10),
      minMod: this.bound(current),
      maxMod: this.bound(current),
      minCreate: this.bound(current),
      maxCreate: this.bound(current),
    };
  }

  put(): ModelPut {
    const ignoreValue = this.chance(8);
    const ignoreLease = this.chance(8);
    return {
      key: this.key(),
      value: ignoreValue ? "" : this.value(),
      lease: ignoreLease ? 0n : this.lease(),
      ignoreValue,
      ignoreLease,
      prevKv: this.chance(30),
    };
  }

  delete(): ModelDelete {
    return { key: this.key(), end: this.end(), prevKv: this.chance(30) };
  }

  compare(current: number): ModelCompare {
    const target = this.integer(5);
    const operand = target === 3 ? this.value() : this.integer(target === 1 || target === 2 ? current + 2 : 4);
    return { key: this.key(), end: this.chance(70) ? "" : this.end(), result: this.integer(4), target, operand };
  }

  txn(current: number, depth = 0): ModelTxn {
    const ops = (): ModelOp[] => Array.from({ length: this.integer(4) }, () => this.op(current, depth));
    const compare = Array.from({ length: this.integer(3) }, () => this.compare(current));
    return { compare, success: ops(), failure: ops() };
  }

  op(current: number, depth: number): ModelOp {
    const kind = this.integer(depth < 2 ? 10 : 9);
    if (kind < 3) return { kind: "range", range: this.range(this.chance(80) ? 1 : current) };
    if (kind < 7) return { kind: "put", put: this.put() };
    if (kind < 9) return { kind: "delete", delete: this.delete() };
    return { kind: "txn", txn: this.txn(current, depth + 1) };
  }
}
