/**
 * Reads header blocks. Decoded blocks are kept and found again by their bytes, since most requests of a connection
 * repeat one block; a block that depends on the dynamic table is found only while the table is unchanged.
 * Source: RFC 7541.
 */
import { DynamicTable, fieldSize, type HeaderField, staticTable } from "./hpack-table.js";
import { huffmanDecode } from "./huffman.js";
import { latin1String } from "./text.js";

/** A decoded header block. Shared by all requests with the same bytes: never changed, except for `memo`. */
export interface HeaderBlock {
  readonly fields: readonly HeaderField[];
  /** The list was longer than the limits; `fields` holds only its beginning. */
  readonly truncated: boolean;
  /** What the connection's role made of the block, kept so that a repeated block is judged once. */
  memo: unknown;
}

export interface HeaderLimits {
  /** SETTINGS_HEADER_TABLE_SIZE that was announced. */
  readonly tableBytesMax: number;
  /** Size of a header list as RFC 9113 §6.5.2 counts it. */
  readonly listBytesMax: number;
  readonly pairsMax: number;
}

interface CachedBlock {
  readonly bytes: Uint8Array;
  /** Version of the dynamic table the block was read with; -1 when it does not refer to it. */
  readonly version: number;
  readonly block: HeaderBlock;
}

const cachedBlockBytesMax = 512;
const cachedBlocksMax = 64;
/** How far a list may pass its limit before the block is not even read to its end. */
const bombFactor = 4;

export class HpackDecoder {
  readonly #limits: HeaderLimits;
  readonly #table: DynamicTable;
  readonly #cache: Map<number, CachedBlock> = new Map();
  #last: CachedBlock | undefined;
  /** Made at the first Huffman string. */
  #scratch: Uint8Array | undefined;

  // The state of the block being read.
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #failed = false;
  #usedTable = false;

  constructor(limits: HeaderLimits) {
    this.#limits = limits;
    this.#table = new DynamicTable(limits.tableBytesMax);
  }

  /** Undefined is a compression error, or a bomb: the connection cannot go on. The bytes are not kept. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderBlock | undefined {
    const last = this.#last;
    if (last !== undefined && this.#matches(last, bytes, start, end)) return last.block;
    const cacheable = end - start <= cachedBlockBytesMax;
    const hash = cacheable ? hashBytes(bytes, start, end) : 0;
    if (cacheable) {
      const found = this.#cache.get(hash);
      if (found !== undefined && this.#matches(found, bytes, start, end)) {
        this.#last = found;
        return found.block;
      }
    }
    const version = this.#table.version;
    const block = this.#read(bytes, start, end);
    // A block that changes the table means something else the next time.
    if (block === undefined || !cacheable || this.#table.version !== version) return block;
    if (this.#cache.size >= cachedBlocksMax) this.#cache.clear();
    const entry = { bytes: bytes.slice(start, end), version: this.#usedTable ? version : -1, block };
    this.#cache.set(hash, entry);
    this.#last = entry;
    return block;
  }

  #matches(entry: CachedBlock, bytes: Uint8Array, start: number, end: number): boolean {
    const known = entry.bytes;
    if (known.length !== end - start) return false;
    if (entry.version !== -1 && entry.version !== this.#table.version) return false;
    for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
    return true;
  }

  #read(bytes: Uint8Array, start: number, end: number): HeaderBlock | undefined {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#failed = false;
    this.#usedTable = false;
    const fields: HeaderField[] = [];
    let listBytes = 0;
    let truncated = false;
    let sizeUpdateAllowed = true;
    while (this.#at < end) {
      const first = bytes[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        const size = this.#integer(5);
        if (this.#failed || !sizeUpdateAllowed || size > this.#limits.tableBytesMax) return undefined;
        this.#table.resize(size);
        continue;
      }
      sizeUpdateAllowed = false;
      const field = this.#field(first);
      if (field === undefined) return undefined;
      listBytes += fieldSize(field);
      // A block that stands for far more than it is costs time with every field: no client sends it by accident.
      if (listBytes > this.#limits.listBytesMax * bombFactor) return undefined;
      // Past the limits the block is still read to its end, for the table's sake, but nothing more is kept.
      if (listBytes > this.#limits.listBytesMax || fields.length >= this.#limits.pairsMax) truncated = true;
      else fields.push(field);
    }
    return { fields, truncated, memo: undefined };
  }

  #field(first: number): HeaderField | undefined {
    if ((first & 0x80) !== 0) return this.#indexed(this.#integer(7));
    const indexing = (first & 0x40) !== 0;
    const index = this.#integer(indexing ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#indexed(index)?.name;
    const value = this.#string();
    if (this.#failed || name === undefined) return undefined;
    const field = { name, value };
    if (indexing) this.#table.add(field);
    return field;
  }

  #indexed(index: number): HeaderField | undefined {
    if (this.#failed || index === 0) return undefined;
    if (index < staticTable.length) return staticTable[index];
    this.#usedTable = true;
    return this.#table.get(index - staticTable.length);
  }

  /** Source: RFC 7541 §5.1. */
  #integer(prefixBits: number): number {
    const limit = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] as number) & limit;
    if (value < limit) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break;
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.#failed = true;
    return 0;
  }

  #string(): string {
    if (this.#failed || this.#at >= this.#end) {
      this.#failed = true;
      return "";
    }
    const huffman = ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    if (this.#failed || length > this.#end - start) {
      this.#failed = true;
      return "";
    }
    this.#at = start + length;
    if (!huffman) return latin1String(this.#bytes, start, this.#at);
    // The shortest code has five bits, so that a string is never longer than 8/5 of its code.
    const bound = Math.ceil((length * 8) / 5) + 2;
    if (this.#scratch === undefined || this.#scratch.length < bound)
      this.#scratch = new Uint8Array(Math.max(512, bound));
    const size = huffmanDecode(this.#bytes, start, this.#at, this.#scratch);
    if (size < 0) {
      this.#failed = true;
      return "";
    }
    return latin1String(this.#scratch, 0, size);
  }
}

/** FNV-1a. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c_9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  return hash;
}
