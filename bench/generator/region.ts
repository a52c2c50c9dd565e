/** Bytes that are compared more than anything else: as bytes, and as a view that reads words at any offset. */
export class Region {
  readonly bytes: Buffer;
  readonly view: DataView;

  /** Of `size` bytes that are not cleared. */
  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  get size(): number {
    return this.view.byteLength;
  }

  /** A copy of `bytes[start, end)`. */
  static copyOf(bytes: Uint8Array, start: number = 0, end: number = bytes.length): Region {
    const region = new Region(end - start);
    region.bytes.set(bytes.subarray(start, end));
    return region;
  }

  /** Whether `length` bytes of `other` at `otherStart` are those at `start` here. Both ranges must exist. */
  isSame(start: number, length: number, other: Region, otherStart: number): boolean {
    const mine = this.view;
    const theirs = other.view;
    const words = length & ~3;
    // Without a branch for each word: what is compared is nearly always equal.
    let difference = 0;
    let i = 0;
    for (; i < words; i += 4) {
      difference |= mine.getInt32(start + i, true) ^ theirs.getInt32(otherStart + i, true);
    }
    for (; i < length; i++) {
      difference |= mine.getUint8(start + i) ^ theirs.getUint8(otherStart + i);
    }
    return difference === 0;
  }
}
