/**
 * Cuts a stream of bytes into the JSON values in it, which may stand on lines of their own or right behind one
 * another. Only brackets and quotes are looked at; whether a value is sound is for its parser to say.
 */
export class JsonValueSplitter {
  readonly #valueBytesMax: number;
  #bytes: Uint8Array = new Uint8Array(0);
  /** What of `#bytes` has been looked at. */
  #scanned = 0;
  /** Where the value being read began; undefined between values. */
  #start: number | undefined;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** A value longer than `valueBytesMax` makes `push` return false. */
  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax;
  }

  /** Takes a copy of the bytes. False: a value is too long, and nothing more will come. */
  push(bytes: Uint8Array): boolean {
    const kept = this.#bytes.subarray(this.#start ?? this.#scanned);
    if (kept.length + bytes.length > this.#valueBytesMax) return false;
    const joined = new Uint8Array(kept.length + bytes.length);
    joined.set(kept);
    joined.set(bytes, kept.length);
    this.#scanned -= this.#bytes.length - kept.length;
    if (this.#start !== undefined) this.#start = 0;
    this.#bytes = joined;
    return true;
  }

  /** The next whole value, a view until the next `push`; undefined until more has been pushed. */
  next(): Uint8Array | undefined {
    while (this.#scanned < this.#bytes.length) {
      const byte = this.#bytes[this.#scanned] ?? 0;
      const start = this.#start;
      if (start !== undefined && this.#endsBefore(byte)) return this.#take(start, this.#scanned);
      this.#scanned++;
      if (start === undefined && isSpace(byte)) continue;
      this.#start ??= this.#scanned - 1;
      if (this.#endsWith(byte)) return this.#take(this.#start, this.#scanned);
    }
    return undefined;
  }

  /** What is left when no more will come: a number or a word, or the beginning of something cut off; or nothing. */
  rest(): Uint8Array | undefined {
    return this.#start === undefined ? undefined : this.#take(this.#start, this.#bytes.length);
  }

  /** Words and numbers end before white space and before what begins another value. */
  #endsBefore(byte: number): boolean {
    return this.#depth === 0 && !this.#inString && (isSpace(byte) || byte === quote || isOpening(byte));
  }

  #endsWith(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) this.#inString = false;
      return !this.#inString && this.#depth === 0;
    }
    if (byte === quote) this.#inString = true;
    else if (isOpening(byte)) this.#depth++;
    else if (isClosing(byte)) {
      this.#depth = Math.max(0, this.#depth - 1);
      return this.#depth === 0;
    }
    return false;
  }

  #take(start: number, end: number): Uint8Array {
    const value = this.#bytes.subarray(start, end);
    this.#start = undefined;
    this.#scanned = end;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    return value;
  }
}

const quote = 0x22;
const backslash = 0x5c;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isOpening(byte: number): boolean {
  return byte === 0x7b || byte === 0x5b;
}

function isClosing(byte: number): boolean {
  return byte === 0x7d || byte === 0x5d;
}
