/** The bytes of a database image on disk, a few blocks of them in memory, as the image reader asks for them. */

import type { DiskFile } from "../env.js";

const blockBytes = 256 * 1024;
const blocksMax = 32;

export class ImageFile {
  readonly #file: Pick<DiskFile, "read">;
  readonly #sizeBytes: number;
  /** By number; the first is the one loaded longest ago. */
  readonly #blocks = new Map<number, Uint8Array>();
  /** The last range that crosses blocks. */
  #range: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
  #wanted: { readonly offset: number; readonly length: number } | undefined;

  constructor(file: Pick<DiskFile, "read">, sizeBytes: number) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  /** Undefined: call `load` and ask again. */
  read(offset: number, wantedLength: number): Uint8Array | undefined {
    const length = Math.max(0, Math.min(wantedLength, this.#sizeBytes - offset));
    if (length === 0) return new Uint8Array(0);
    const number = Math.floor(offset / blockBytes);
    const at = offset - number * blockBytes;
    if (at + length <= blockBytes) {
      const block = this.#blocks.get(number);
      if (block !== undefined) return block.subarray(at, at + length);
    } else if (this.#range?.offset === offset && this.#range.bytes.length === length) return this.#range.bytes;
    this.#wanted = { offset, length };
    return undefined;
  }

  /** Loads what was asked for last. */
  async load(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    this.#wanted = undefined;
    const { offset, length } = wanted;
    const number = Math.floor(offset / blockBytes);
    if (offset - number * blockBytes + length > blockBytes) {
      this.#range = { offset, bytes: await this.#file.read(offset, length) };
      return;
    }
    const start = number * blockBytes;
    const block = await this.#file.read(start, Math.min(blockBytes, this.#sizeBytes - start));
    if (this.#blocks.size >= blocksMax) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        break;
      }
    }
    this.#blocks.set(number, block);
  }
}
