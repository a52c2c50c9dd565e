/**
 * What is under way, by its number: an open-addressing hash table for entries that come and go all the time.
 *
 * Not a `Map`: V8 rehashes one into a new table every few deletions, and the old table points to the new one. Once such
 * a table has been promoted to the old generation, it keeps its successor alive, that one the next, and each of them
 * all that was under way when it was replaced: nothing that passes through dies young any more, until the next full
 * collection. Here the table stays, and a deletion leaves nothing behind.
 */

const capacityMin = 16;

export class IdTable<Value extends object> {
  #keys = new Float64Array(capacityMin);
  /** The value of each slot; undefined = the slot is free. */
  #values: (Value | undefined)[] = new Array(capacityMin).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    return this.#values[this.#slotOf(key)];
  }

  /** `key` is a safe integer ≥ 0; keys that follow each other are looked up fastest. */
  set(key: number, value: Value): void {
    let slot = this.#slotOf(key);
    if (this.#values[slot] === undefined) {
      if (this.#size * 2 >= this.#values.length) {
        this.#grow();
        slot = this.#slotOf(key);
      }
      this.#size++;
    }
    this.#keys[slot] = key;
    this.#values[slot] = value;
  }

  /** Removes `key` and returns its value; undefined when it was not there. */
  take(key: number): Value | undefined {
    let free = this.#slotOf(key);
    const taken = this.#values[free];
    if (taken === undefined) return undefined;
    // What was pushed on by a collision moves back, so that a look-up may stop at the first free slot.
    const mask = this.#values.length - 1;
    for (let slot = (free + 1) & mask; this.#values[slot] !== undefined; slot = (slot + 1) & mask) {
      const home = (this.#keys[slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      this.#keys[free] = this.#keys[slot] as number;
      this.#values[free] = this.#values[slot];
      free = slot;
    }
    this.#values[free] = undefined;
    this.#size--;
    return taken;
  }

  /** A copy of the entries whose value `isWanted`, by ascending key. */
  entries(isWanted: (value: Value) => boolean = () => true): [key: number, value: Value][] {
    const entries: [number, Value][] = [];
    for (let slot = 0; slot < this.#values.length; slot++) {
      const value = this.#values[slot];
      if (value !== undefined && isWanted(value)) entries.push([this.#keys[slot] as number, value]);
    }
    return entries.sort(([left], [right]) => left - right);
  }

  /** A copy of the values, by ascending key. */
  values(): Value[] {
    return this.entries().map(([, value]) => value);
  }

  /** The slot of `key`, or the free one where it would go. */
  #slotOf(key: number): number {
    const mask = this.#values.length - 1;
    let slot = key & mask;
    while (this.#keys[slot] !== key && this.#values[slot] !== undefined) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const entries = this.entries();
    const capacity = this.#values.length * 2;
    this.#keys = new Float64Array(capacity);
    this.#values = new Array(capacity).fill(undefined);
    for (const [key, value] of entries) {
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#values[slot] = value;
    }
  }
}
