/**
 * Operations on the database, encoded into blocks that another thread decodes:
 *
 *     u8   table, with 0x80 set for a deletion
 *     u16  key length, little-endian
 *     u32  value length, little-endian; 0 for a deletion
 *     key, value
 *
 * An operation never crosses blocks.
 */

import { Spares } from "./spares.js";

export const operationHeaderBytes = 7;
export const deletionFlag = 0x80;

/** A place between operations. */
export interface BatchPlace {
  /** Index of the block; −1 before the first. */
  readonly block: number;
  readonly offset: number;
}

export const batchStart: BatchPlace = { block: -1, offset: 0 };

const blockSizeBytesMax = 1 << 20;
/** Many generations are tiny, so that the first block costs little; each next one is larger. */
const firstBlockSizeBytes = 1 << 10;
const blockGrowth = 4;

export class BatchWriter {
  readonly #blocks: Uint8Array[] = [];
  /** Used bytes of all blocks but the last. */
  #fullBytes = 0;
  #block: Uint8Array = new Uint8Array(0);
  #used = 0;
  readonly #usedSizes: number[] = [];
  readonly #spares: Spares<Uint8Array>;
  #operations = 0;

  /** `spares` are blocks of the largest size that are used first. */
  constructor(spares: Spares<Uint8Array> = new Spares(0)) {
    this.#spares = spares;
  }

  /** Operations so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Bytes of them. */
  get size(): number {
    return this.#fullBytes + this.#used;
  }

  /** Index of the block the next operation's value will be in, if it is asked for right after the operation. */
  get lastBlock(): number {
    return this.#blocks.length - 1;
  }

  /**
   * Adds an operation on the row whose key are the first `keySize` bytes of `key`; `value` undefined deletes the row.
   * Returns the offset of the value in the block `lastBlock`. Both arrays are copied.
   */
  add(table: number, key: Uint8Array, value: Uint8Array | undefined, keySize: number = key.length): number {
    const valueSize = value === undefined ? 0 : value.length;
    const size = operationHeaderBytes + keySize + valueSize;
    if (this.#used + size > this.#block.length) this.#addBlock(size);
    const block = this.#block;
    const at = this.#used;
    block[at] = value === undefined ? table | deletionFlag : table;
    block[at + 1] = keySize & 0xff;
    block[at + 2] = keySize >>> 8;
    block[at + 3] = valueSize & 0xff;
    block[at + 4] = (valueSize >>> 8) & 0xff;
    block[at + 5] = (valueSize >>> 16) & 0xff;
    block[at + 6] = valueSize >>> 24;
    const valueAt = at + operationHeaderBytes + keySize;
    // A loop over a short key is cheaper than a view of it.
    if (keySize === key.length) block.set(key, at + operationHeaderBytes);
    else for (let i = 0; i < keySize; i++) block[at + operationHeaderBytes + i] = key[i] as number;
    if (value !== undefined) block.set(value, valueAt);
    this.#used = at + size;
    this.#operations++;
    return valueAt;
  }

  /** A view of bytes that `add` has placed; valid until `release`. */
  view(block: number, offset: number, length: number): Uint8Array {
    const bytes = this.#blocks[block];
    return bytes === undefined ? new Uint8Array(0) : bytes.subarray(offset, offset + length);
  }

  /** Where the next operation goes. */
  get place(): BatchPlace {
    return { block: this.#blocks.length - 1, offset: this.#used };
  }

  /** The operations before a place: views, whose bytes do not change until `release`. */
  upTo(end: BatchPlace): readonly Uint8Array[] {
    return this.#blocks
      .slice(0, end.block + 1)
      .map((block, i) => block.subarray(0, i === end.block ? end.offset : this.#usedSizes[i]));
  }

  /** Gives the blocks up, when nobody reads them any more; nothing else may be called afterwards. */
  release(): void {
    for (const block of this.#blocks) if (block.length === blockSizeBytesMax) this.#spares.give(block);
    this.#blocks.length = 0;
  }

  #addBlock(size: number): void {
    if (this.#blocks.length > 0) this.#usedSizes.push(this.#used);
    this.#fullBytes += this.#used;
    const usual = Math.min(firstBlockSizeBytes * blockGrowth ** this.#blocks.length, blockSizeBytesMax);
    const spare = size <= blockSizeBytesMax ? this.#spares.take() : undefined;
    this.#block = spare ?? new Uint8Array(Math.max(usual, size));
    this.#blocks.push(this.#block);
    this.#used = 0;
  }
}

/** Calls back for each operation in order; `value` undefined is a deletion. Both arrays are copies. */
export function forEachOperation(
  blocks: readonly Uint8Array[],
  visit: (table: number, key: Uint8Array, value: Uint8Array | undefined) => void,
): void {
  for (const block of blocks) {
    const view = new DataView(block.buffer, block.byteOffset, block.length);
    for (let at = 0; at < block.length; ) {
      const first = view.getUint8(at);
      const keyAt = at + operationHeaderBytes;
      const valueAt = keyAt + view.getUint16(at + 1, true);
      const end = valueAt + view.getUint32(at + 3, true);
      const isDeletion = (first & deletionFlag) !== 0;
      visit(first & ~deletionFlag, block.slice(keyAt, valueAt), isDeletion ? undefined : block.slice(valueAt, end));
      at = end;
    }
  }
}
