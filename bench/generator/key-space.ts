/**
 * The keys and values of the loads: numbered, of fixed size, and each derived from its number, so that every answer can
 * be checked byte for byte without remembering what was written.
 */

import { Region } from "./region.js";

const digits = 12;

export class KeySpace {
  readonly count: number;
  readonly valueSize: number;
  readonly keySize: number;
  /** The newest revision known to be committed for each key, 0 when none: reads must not return an older one. */
  readonly acknowledged: Float64Array;
  readonly #prefix: Uint8Array;
  readonly #filler: Buffer;
  readonly #stride: number;
  /**
   * The key and the value that answers are compared with, for the number `#expected`; the serial number is anyone's.
   */
  readonly #key: Region;
  readonly #value: Region;
  #expected = 0;

  constructor(options: { prefix: string; count: number; valueSize: number }) {
    this.count = options.count;
    this.valueSize = options.valueSize;
    this.#prefix = Buffer.from(options.prefix, "latin1");
    this.keySize = this.#prefix.length + digits;
    this.acknowledged = new Float64Array(options.count);
    this.#stride = coprimeStride(options.count);
    this.#filler = Buffer.alloc(options.valueSize);
    for (let i = 0; i < options.valueSize; i++) {
      this.#filler[i] = 33 + ((i * 7) % 90);
    }
    this.#key = new Region(this.keySize);
    this.#value = new Region(this.valueSize);
    this.writeKey(this.#key.bytes, 0, 0);
    this.writeValue(this.#value.bytes, 0, 0, 0);
  }

  /** Visits every key once in `count` steps, in an order that is not theirs. */
  shuffled(step: number): number {
    const at = step * this.#stride;
    // Faster than the remainder of a number of more than 32 bits; the quotient may be off by one.
    const rest = at - Math.floor(at / this.count) * this.count;
    return rest < 0 ? rest + this.count : rest >= this.count ? rest - this.count : rest;
  }

  writeKey(target: Uint8Array, offset: number, index: number): void {
    target.set(this.#prefix, offset);
    writeDigits(target, offset + this.#prefix.length, index);
  }

  /** Writes the number of a key over that of another one. */
  patchKey(target: Uint8Array, offset: number, index: number): void {
    writeDigits(target, offset + this.#prefix.length, index);
  }

  /** A value starts with the number of its key and a serial number, the rest is the same for all. */
  writeValue(target: Uint8Array, offset: number, index: number, serial: number): void {
    target.set(this.#filler, offset);
    this.patchValue(target, offset, index, serial);
  }

  /** Writes the numbers of a value over those of another one. */
  patchValue(target: Uint8Array, offset: number, index: number, serial: number): void {
    writeDigits(target, offset, index);
    writeDigits(target, offset + digits, serial);
  }

  /** The number in a key at `[start, end)`; −1 when it is none of ours. */
  readKey(bytes: Uint8Array, start: number, end: number): number {
    if (end - start !== this.keySize) {
      return -1;
    }
    for (let i = 0; i < this.#prefix.length; i++) {
      if (bytes[start + i] !== this.#prefix[i]) {
        return -1;
      }
    }
    return readDigits(bytes, start + this.#prefix.length);
  }

  /** The serial number in a value that starts at `start`. */
  serialOf(bytes: Uint8Array, start: number): number {
    return readDigits(bytes, start + digits);
  }

  /** Whether `[start, end)` is key `index`. */
  isKey(index: number, region: Region, start: number, end: number): boolean {
    this.#expect(index);
    return end - start === this.keySize && this.#key.isSame(0, this.keySize, region, start);
  }

  /** Whether `[start, end)` is a value of key `index`, whatever its serial number. */
  isValueOf(index: number, region: Region, start: number, end: number): boolean {
    this.#expect(index);
    const numbers = 2 * digits;
    return (
      end - start === this.valueSize &&
      this.#value.isSame(0, digits, region, start) &&
      this.#value.isSame(numbers, this.valueSize - numbers, region, start + numbers)
    );
  }

  #expect(index: number): void {
    if (index !== this.#expected) {
      this.#expected = index;
      this.patchKey(this.#key.bytes, 0, index);
      writeDigits(this.#value.bytes, 0, index);
    }
  }
}

const halfDigits = digits / 2;
const halfScale = 10 ** halfDigits;

// In halves of six digits, which 32-bit integers hold.
function writeDigits(target: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / halfScale);
  writeHalf(target, offset, high);
  writeHalf(target, offset + halfDigits, value - high * halfScale);
}

function writeHalf(target: Uint8Array, offset: number, value: number): void {
  let rest = value | 0;
  for (let i = halfDigits - 1; i >= 0; i--) {
    const quotient = (rest / 10) | 0;
    target[offset + i] = 48 + rest - 10 * quotient;
    rest = quotient;
  }
}

function readDigits(bytes: Uint8Array, offset: number): number {
  return readHalf(bytes, offset) * halfScale + readHalf(bytes, offset + halfDigits);
}

function readHalf(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let i = 0; i < halfDigits; i++) {
    value = (value * 10 + (bytes[offset + i] ?? 0) - 48) | 0;
  }
  return value;
}

function coprimeStride(count: number): number {
  let stride = Math.max(1, Math.floor(count * 0.618));
  while (greatestDivisor(stride, count) !== 1) {
    stride++;
  }
  return stride;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** The keys and values of the benchmarks: 256-byte values, as the targets say. */
export function benchmarkKeys(count: number, valueSize: number = 256): KeySpace {
  return new KeySpace({ prefix: "/bench/", count, valueSize });
}
