/** The bytes of a database image on disk, a few blocks of them in memory, as the image reader asks for them. */

import type { DiskFile } from "../env.js";

/** Bytes of a block. */
export const blockBytes: number = 256 * 1024;
const blocksMax = 32;

export class ImageFile {
  readonly #file: Pick<DiskFile, "read">;
  /** What is in the file now. */
  #sizeBytes: number;
  #isWhole: boolean;
  #failure: { readonly error: unknown } | undefined;
  #whenGrown: () => void = () => {};
  /** By number; the first is the one loaded longest ago. */
  readonly #blocks = new Map<number, Uint8Array>();
  /** Blocks that were written and not asked for yet: the file need not be read for those. */
  readonly #ahead = new Map<number, Uint8Array>();
  /** The last range that crosses blocks. */
  #range: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
  #wanted: { readonly offset: number; readonly length: number } | undefined;

  /** `sizeBytes` undefined: the file is still being written, from its start on; see `grown` and `ended`. */
  constructor(file: Pick<DiskFile, "read">, sizeBytes: number | undefined) {
    this.#file = file;
    this.#sizeBytes = sizeBytes ?? 0;
    this.#isWhole = sizeBytes !== undefined;
  }

  /** Bytes were written behind those that are in the file; they stay as they are. All but the last are whole blocks. */
  grown(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.#ahead.size < blocksMax; at += blockBytes) {
      this.#ahead.set((this.#sizeBytes + at) / blockBytes, bytes.subarray(at, at + blockBytes));
    }
    this.#sizeBytes += bytes.length;
    this.#whenGrown();
  }

  /** No more will come. */
  ended(): void {
    this.#isWhole = true;
    this.#whenGrown();
  }

  /** No more will come, and what waits for it rejects with `error`. */
  failed(error: unknown): void {
    this.#failure = { error };
    this.#whenGrown();
  }

  /** Undefined: call `load` and ask again. */
  read(offset: number, wantedLength: number): Uint8Array | undefined {
    const length = this.#isWhole ? this.#available(offset, wantedLength) : wantedLength;
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

  /** Loads what was asked for last, once it is there. */
  async load(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    this.#wanted = undefined;
    const { offset, length } = wanted;
    const number = Math.floor(offset / blockBytes);
    if (offset - number * blockBytes + length > blockBytes) {
      await this.#reached(offset + length);
      this.#range = { offset, bytes: await this.#file.read(offset, this.#available(offset, length)) };
      return;
    }
    const start = number * blockBytes;
    await this.#reached(start + blockBytes);
    const block = this.#ahead.get(number) ?? (await this.#file.read(start, this.#available(start, blockBytes)));
    this.#ahead.delete(number);
    if (this.#blocks.size >= blocksMax) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        break;
      }
    }
    this.#blocks.set(number, block);
  }

  #available(offset: number, length: number): number {
    return Math.max(0, Math.min(length, this.#sizeBytes - offset));
  }

  /** Resolves when there are that many bytes, or will be no more. */
  async #reached(sizeBytes: number): Promise<void> {
    while (this.#sizeBytes < sizeBytes && !this.#isWhole && this.#failure === undefined) {
      await new Promise<void>((resolve) => (this.#whenGrown = resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
