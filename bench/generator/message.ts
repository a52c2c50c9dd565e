/**
 * The little of protobuf the generator needs: a writer into a reused buffer and a reader over a view, both without
 * allocation. Numbers are exact to 2^53; ids, which may be larger, are compared as the pair of their halves.
 */

const lengthDelimited = 2;

export class MessageWriter {
  readonly bytes: Uint8Array;
  size = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  reset(): this {
    this.size = 0;
    return this;
  }

  /** A varint field; 0 is left out, as proto3 does. */
  uint(field: number, value: number): this {
    if (value !== 0) {
      this.#varint(field << 3);
      this.#varint(value);
    }
    return this;
  }

  /** A 64-bit field given as its raw varint, see {@link MessageReader.rawVarint}. */
  raw(field: number, varint: Uint8Array): this {
    this.#varint(field << 3);
    this.bytes.set(varint, this.size);
    this.size += varint.length;
    return this;
  }

  /** A bytes field or an encoded message. */
  span(field: number, value: Uint8Array, size: number = value.length): this {
    this.#varint((field << 3) | lengthDelimited);
    this.#varint(size);
    this.bytes.set(size === value.length ? value : value.subarray(0, size), this.size);
    this.size += size;
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.size);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.size++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.size++] = rest;
  }
}

/** A cursor over one message. Nested messages are read by a second reader over `[spanStart, spanEnd)`. */
export class MessageReader {
  bytes: Uint8Array = new Uint8Array(0);
  /** The field number and wire type read by the last `next`. */
  field = 0;
  /** Where the field starts, its tag included. */
  fieldStart = 0;
  /** The value of a varint field. */
  value = 0;
  spanStart = 0;
  spanEnd = 0;
  #at = 0;
  #end = 0;

  reset(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes;
    this.#at = start;
    this.#end = end;
    return this;
  }

  /** Reads the next field into the public properties; false at the end. Throws on malformed input. */
  next(): boolean {
    if (this.#at >= this.#end) {
      return false;
    }
    this.fieldStart = this.#at;
    const tag = this.#varint();
    this.field = tag >>> 3;
    const wireType = tag & 7;
    this.spanStart = this.#at;
    if (wireType === 0) {
      this.value = this.#varint();
      this.spanEnd = this.#at;
    } else if (wireType === lengthDelimited) {
      const length = this.#varint();
      this.spanStart = this.#at;
      this.#at += length;
      this.spanEnd = this.#at;
    } else {
      throw new Error(`field ${this.field} has wire type ${wireType}`);
    }
    if (this.#at > this.#end) {
      throw new Error(`field ${this.field} ends after its message`);
    }
    return true;
  }

  /** A copy of the encoded varint of the last field: an id kept exactly. */
  rawVarint(): Uint8Array {
    // The slice of a Buffer would share its bytes.
    return Uint8Array.from(this.bytes.subarray(this.spanStart, this.spanEnd));
  }

  #varint(): number {
    let byte = this.bytes[this.#at++] ?? 0;
    if (byte < 0x80) {
      return byte;
    }
    let value = byte & 0x7f;
    // Four bytes are 28 bits.
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.bytes[this.#at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    let scale = 2 ** 28;
    for (let i = 0; i < 6; i++) {
      byte = this.bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return value;
      }
      scale *= 0x80;
    }
    throw new Error("a varint is longer than ten bytes");
  }
}
