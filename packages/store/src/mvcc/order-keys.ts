/**
 * The order of very many keys, as a restored index needs it. A comparison of two keys waits for both to come from
 * memory, and sorting a million takes twenty million of them. So six characters of each key are read once, behind those
 * that all keys share, and laid out as a number; the numbers are sorted digit by digit, and only keys whose numbers are
 * equal go on: few are compared, many are taken as a set of their own.
 */

import { assert } from "../assert.js";
import { type Budget, compareKeys, sortTask, type Task } from "./budget.js";

/** Keys by slot: all different, 0 ≤ slot < length. */
export interface KeysBySlot {
  readonly length: number;
  get(slot: number): string;
}

/** Up to so many keys are compared: about 2 ms. */
const comparedMax = 4096;
/** What is done of a pass before the budget is looked at. */
const pieceLength = 16_384;
/** Elements a unit of work stands for in a pass. */
const elementsPerUnit = 8;

/** A character is one of 256; 0 stands for the end of a key. Six of them make a number below 2^49. */
const characterBase = 257;
const characterCount = 6;
/**
 * Characters that are looked at for a prefix all keys share; more would be read again and again where each shares most
 * with the next.
 */
const sharedMax = 32;
/** Digits of the numbers: their lowest bit, and how many bits. */
const digits = [
  { divisor: 1, bits: 16 },
  { divisor: 2 ** 16, bits: 16 },
  { divisor: 2 ** 32, bits: 17 },
] as const;

/** Keys at [lo, hi), which share their first `shared` characters. */
interface Part {
  readonly lo: number;
  readonly hi: number;
  readonly shared: number;
}

/** All slots, by the order of their keys. */
export function* orderKeysTask(keys: KeysBySlot, budget: Budget): Task<Uint32Array> {
  const compare = (left: number, right: number): number => compareKeys(keys.get(left), keys.get(right));
  if (keys.length <= comparedMax) {
    const slots = Array.from({ length: keys.length }, (_, slot) => slot);
    return Uint32Array.from(yield* sortTask(slots, compare, budget));
  }
  const ordering = new Ordering(keys, budget);
  const parts: Part[] = [{ lo: 0, hi: keys.length, shared: 0 }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const shared = yield* ordering.sharedBy(part);
    yield* ordering.number(part, shared);
    for (const { divisor, bits } of digits) yield* ordering.sortByDigit(part, divisor, bits);
    for (let lo = part.lo; lo < part.hi; ) {
      const hi = ordering.endOfEqual(lo, part.hi);
      if (hi - lo > comparedMax) parts.push({ lo, hi, shared: shared + characterCount });
      else if (hi - lo > 1) {
        ordering.slots.subarray(lo, hi).sort(compare);
        budget.left -= hi - lo;
        if (budget.spent) yield;
      }
      lo = hi;
    }
  }
  return ordering.slots;
}

class Ordering {
  /** The result, once all parts are done. */
  readonly slots: Uint32Array;
  readonly #keys: KeysBySlot;
  readonly #budget: Budget;
  readonly #numbers: Float64Array;
  readonly #nextSlots: Uint32Array;
  readonly #nextNumbers: Float64Array;

  constructor(keys: KeysBySlot, budget: Budget) {
    this.#keys = keys;
    this.#budget = budget;
    this.slots = Uint32Array.from({ length: keys.length }, (_, slot) => slot);
    this.#nextSlots = new Uint32Array(keys.length);
    this.#numbers = new Float64Array(keys.length);
    this.#nextNumbers = new Float64Array(keys.length);
  }

  /** How many first characters the part's keys share, as far as is looked. */
  *sharedBy(part: Part): Task<number> {
    const first = this.#keys.get(this.slots[part.lo] as number);
    let shared = Math.min(first.length, part.shared + sharedMax);
    yield* this.#inPieces(part, (lo, hi) => {
      for (let at = lo; at < hi; at++) {
        const key = this.#keys.get(this.slots[at] as number);
        let same = part.shared;
        while (same < shared && key.charCodeAt(same) === first.charCodeAt(same)) same++;
        shared = same;
      }
    });
    return shared;
  }

  /** Reads the numbers of the part's keys: their characters from `shared` on. */
  number(part: Part, shared: number): Task<void> {
    return this.#inPieces(part, (lo, hi) => {
      for (let at = lo; at < hi; at++) {
        const key = this.#keys.get(this.slots[at] as number);
        let number = 0;
        for (let index = shared; index < shared + characterCount; index++)
          number = number * characterBase + (index < key.length ? key.charCodeAt(index) + 1 : 0);
        this.#numbers[at] = number;
      }
    });
  }

  /** Sorts the part by the digit, stably. */
  *sortByDigit(part: Part, divisor: number, bits: number): Task<void> {
    const mask = 2 ** bits - 1;
    const numbers = this.#numbers;
    /** By digit: how many have a smaller one, and then where the next goes. */
    const places = new Uint32Array(mask + 2);
    yield* this.#inPieces(part, (lo, hi) => {
      for (let at = lo; at < hi; at++) {
        const next = (Math.floor((numbers[at] as number) / divisor) & mask) + 1;
        places[next] = (places[next] as number) + 1;
      }
    });
    places[0] = part.lo;
    for (let digit = 1; digit < places.length; digit++)
      places[digit] = (places[digit] as number) + (places[digit - 1] as number);
    const [slots, nextSlots, nextNumbers] = [this.slots, this.#nextSlots, this.#nextNumbers];
    yield* this.#inPieces(part, (lo, hi) => {
      for (let at = lo; at < hi; at++) {
        const number = numbers[at] as number;
        const digit = Math.floor(number / divisor) & mask;
        const place = places[digit] as number;
        places[digit] = place + 1;
        nextNumbers[place] = number;
        nextSlots[place] = slots[at] as number;
      }
    });
    yield* this.#inPieces(part, (lo, hi) => {
      slots.set(nextSlots.subarray(lo, hi), lo);
      numbers.set(nextNumbers.subarray(lo, hi), lo);
    });
  }

  /** Where the elements end, before `hi`, whose number is that of the one at `lo`. */
  endOfEqual(lo: number, hi: number): number {
    let end = lo + 1;
    while (end < hi && this.#numbers[end] === this.#numbers[lo]) end++;
    return end;
  }

  *#inPieces(part: Part, work: (lo: number, hi: number) => void): Task<void> {
    assert(part.hi > part.lo, "a part has keys");
    for (let lo = part.lo; lo < part.hi; lo += pieceLength) {
      const hi = Math.min(part.hi, lo + pieceLength);
      work(lo, hi);
      this.#budget.left -= (hi - lo) / elementsPerUnit;
      if (this.#budget.spent) yield;
    }
  }
}
