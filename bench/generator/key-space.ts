/**
 * The keys and values of the loads: numbered, of fixed size, and each derived from its number, so that every answer can
 * be checked byte for byte without remembering what was written.
 */

const digits = 12;

export class KeySpace {
  readonly count: number;
  readonly valueSize: number;
  readonly keySize: number;
  /** The newest revision known to be committed for each key, 0 when none: reads must not return an older one. */
  readonly acknowledged: Float64Array;
  readonly #prefix: Uint8Array;
  readonly #filler: Buffer;

  constructor(options: { prefix: string; count: number; valueSize: number }) {
    this.count = options.count;
    this.valueSize = options.valueSize;
    this.#prefix = Buffer.from(options.prefix, "latin1");
    this.keySize = this.#prefix.length + digits;
    this.acknowledged = new Float64Array(options.count);
    this.#filler = Buffer.alloc(options.valueSize);
    for (let i = 0; i < options.valueSize; i++) {
      this.#filler[i] = 33 + ((i * 7) % 90);
    }
  }

  /** Visits every key once in `count` steps, in an order that is not theirs. */
  shuffled(step: number): number {
    // A stride that shares no factor with the count makes a full cycle.
    return (step * coprimeStride(this.count)) % this.count;
  }

  writeKey(target: Uint8Array, offset: number, index: number): void {
    target.set(this.#prefix, offset);
    writeDigits(target, offset + this.#prefix.length, index);
  }

  /** A value starts with the number of its key and a serial number, the rest is the same for all. */
  writeValue(target: Uint8Array, offset: number, index: number, serial: number): void {
    target.set(this.#filler, offset);
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

  /** Whether `[start, end)` is a value of key `index`, whatever its serial number. */
  isValueOf(index: number, bytes: Buffer, start: number, end: number): boolean {
    return (
      end - start === this.valueSize &&
      readDigits(bytes, start) === index &&
      bytes.compare(this.#filler, 2 * digits, this.valueSize, start + 2 * digits, end) === 0
    );
  }
}

function writeDigits(target: Uint8Array, offset: number, value: number): void {
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    const quotient = Math.floor(rest / 10);
    target[offset + i] = 48 + (rest - 10 * quotient);
    rest = quotient;
  }
}

function readDigits(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let i = 0; i < digits; i++) {
    value = value * 10 + (bytes[offset + i] ?? 0) - 48;
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
