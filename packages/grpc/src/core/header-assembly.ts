/**
 * A header block that comes in HEADERS and CONTINUATION frames. Bounded in bytes and in frames: a peer must not be able
 * to make us collect for ever (CVE-2023-45288). Source: RFC 9113 §4.3, §6.10.
 */

/** CONTINUATION frames of one block. */
const continuationsMax = 32;

export class HeaderAssembly {
  readonly #bytesMax: number;
  /** Kept from block to block. */
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  #streamId = 0;
  #endStream = false;
  #continuations = 0;

  /** Blocks are seldom longer than the list they stand for; a peer whose are is not listened to. */
  constructor(listBytesMax: number) {
    this.#bytesMax = Math.max(listBytesMax, 1024) * 2;
  }

  /** Whose block is being put together; 0 = none is. */
  get streamId(): number {
    return this.#streamId;
  }

  /** END_STREAM of the block's HEADERS frame. */
  get endStream(): boolean {
    return this.#endStream;
  }

  /** Takes the beginning of a block. False: it is too large. */
  begin(streamId: number, endStream: boolean, bytes: Uint8Array, start: number, end: number): boolean {
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#length = 0;
    this.#continuations = 0;
    return this.#append(bytes, start, end);
  }

  /** Takes a further part. False: the block is too large, or has too many parts. */
  continue(bytes: Uint8Array, start: number, end: number): boolean {
    return ++this.#continuations <= continuationsMax && this.#append(bytes, start, end);
  }

  /** The whole block, valid until the next begins. */
  finish(): Uint8Array {
    this.#streamId = 0;
    return this.#bytes.subarray(0, this.#length);
  }

  #append(bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#length + end - start;
    if (length > this.#bytesMax) return false;
    if (this.#bytes.length < length) {
      const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(length, 2 * this.#bytes.length, 1024)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
    return true;
  }
}
