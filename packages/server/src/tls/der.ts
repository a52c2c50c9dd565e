/**
 * DER, as far as certificates made here and revocation lists need it: lengths up to 4 bytes, tags of one byte.
 *
 * Source: ITU-T X.690.
 */

export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export interface DerElement {
  readonly tag: number;
  /** A view of the bytes that were read. */
  readonly content: Uint8Array;
}

/** The bytes are not DER. */
export class DerError extends Error {
  override readonly name = "DerError";
}

const lengthBytesMax = 4;

/** Reads the elements of a sequence, one after the other. Throws `DerError`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Tag of the next element; undefined at the end. */
  nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have this tag. */
  take(tag: number): DerElement {
    const found = this.nextTag();
    if (found !== tag) throw new DerError(`tag ${found ?? "(none)"} where ${tag} was expected`);
    this.#at++;
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new DerError("an element reaches beyond the end");
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag, content };
  }

  /** Passes over the next element if it has one of these tags. */
  skip(...tags: readonly number[]): void {
    const tag = this.nextTag();
    if (tag !== undefined && tags.includes(tag)) this.take(tag);
  }

  #length(): number {
    const first = this.#bytes[this.#at++];
    if (first === undefined) throw new DerError("a length is cut off");
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > lengthBytesMax) throw new DerError("a length is indefinite or too long");
    let length = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new DerError("a length is cut off");
      length = length * 256 + byte;
    }
    return length;
  }
}

/** One element: tag, length, and its parts one after the other. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | bytesOf(length).length, ...bytesOf(length)];
  const element = new Uint8Array(header.length + length);
  element.set(header);
  let at = header.length;
  for (const part of parts) {
    element.set(part, at);
    at += part.length;
  }
  return element;
}

/** A non-negative integer of any size from its big-endian bytes. */
export function derInteger(bigEndian: Uint8Array): Uint8Array {
  const digits = withoutLeadingZeros(bigEndian);
  const isNegative = ((digits[0] ?? 0) & 0x80) !== 0;
  return der(derTag.integer, new Uint8Array(isNegative || digits.length === 0 ? 1 : 0), digits);
}

/** An object id in dotted notation. */
export function derObjectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return der(derTag.objectId, Uint8Array.from(bytes));
}

export function withoutLeadingZeros(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (bytes[at] === 0) at++;
  return bytes.subarray(at);
}

function bytesOf(length: number): number[] {
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return bytes;
}
