/**
 * HPACK for the load generator: a complete decoder with its dynamic table, and an encoder that puts every field it
 * meets into the peer's dynamic table, so that a repeated request costs one byte a field.
 *
 * Source: RFC 7541.
 */

import { decodeHuffman } from "./huffman.js";

export type HeaderField = readonly [name: string, value: string];

const defaultTableSize = 4096;
const entryOverhead = 32;

// RFC 7541 appendix A.
const staticTable: readonly HeaderField[] = (
  ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|" +
  ":status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|" +
  "accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|" +
  "content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|" +
  "cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|" +
  "last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|" +
  "server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
)
  .split("|")
  .map((entry) => {
    const split = entry.indexOf("=");
    return split < 0 ? [entry, ""] : [entry.slice(0, split), entry.slice(split + 1)];
  });

export class HpackDecoder {
  readonly #dynamic: HeaderField[] = [];
  #size = 0;
  #sizeMax = defaultTableSize;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  /** Changes whenever the dynamic table does: a block decoded before means the same as long as this is equal. */
  generation = 0;

  /** Decodes a whole header block. Throws on a malformed one. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderField[] {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields: HeaderField[] = [];
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0;
      if (first >= 0x80) {
        fields.push(this.#entry(this.#integer(7)));
      } else if (first >= 0x40) {
        const field = this.#literal(6);
        this.#insert(field);
        fields.push(field);
      } else if (first >= 0x20) {
        this.#sizeMax = this.#integer(5);
        this.#evict();
        this.generation++;
      } else {
        fields.push(this.#literal(4));
      }
    }
    return fields;
  }

  #literal(prefixBits: number): HeaderField {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index)[0];
    return [name, this.#string()];
  }

  #entry(index: number): HeaderField {
    const entry = index <= staticTable.length ? staticTable[index - 1] : this.#dynamic[index - staticTable.length - 1];
    if (entry === undefined) {
      throw new Error(`header block names index ${index}, which is not in the table`);
    }
    return entry;
  }

  #insert(field: HeaderField): void {
    this.#dynamic.unshift(field);
    this.#size += field[0].length + field[1].length + entryOverhead;
    this.#evict();
    this.generation++;
  }

  #evict(): void {
    while (this.#size > this.#sizeMax) {
      const last = this.#dynamic.pop();
      if (last === undefined) {
        return;
      }
      this.#size -= last[0].length + last[1].length + entryOverhead;
    }
  }

  #integer(prefixBits: number): number {
    const prefixMax = 2 ** prefixBits - 1;
    let value = this.#byte() & prefixMax;
    if (value < prefixMax) {
      return value;
    }
    for (let scale = 1; scale < 2 ** 28; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return value;
      }
    }
    throw new Error("a header block holds too large an integer");
  }

  #string(): string {
    const isHuffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) {
      throw new Error("a header block ends inside a string");
    }
    return isHuffman
      ? decodeHuffman(this.#bytes, start, this.#at)
      : Buffer.from(this.#bytes.subarray(start, this.#at)).toString("latin1");
  }

  #byte(): number {
    if (this.#at >= this.#end) {
      throw new Error("a header block ends inside a field");
    }
    return this.#bytes[this.#at++] ?? 0;
  }
}

/** Encodes request headers. The fields of all requests of a connection together must fit into 4096 bytes of table. */
export class HpackEncoder {
  readonly #inserted: string[] = [];
  #size = 0;

  /** Number of fields inserted so far: a block encoded at the same count needs no encoding again. */
  get generation(): number {
    return this.#inserted.length;
  }

  encode(fields: readonly HeaderField[]): Uint8Array {
    const block: number[] = [];
    for (const [name, value] of fields) {
      const inStatic = staticTable.findIndex((entry) => entry[0] === name && entry[1] === value);
      const key = `${name}\n${value}`;
      const inserted = this.#inserted.lastIndexOf(key);
      if (inStatic >= 0) {
        block.push(0x80 | (inStatic + 1));
      } else if (inserted >= 0) {
        block.push(0x80 | (staticTable.length + this.#inserted.length - inserted));
      } else {
        this.#size += name.length + value.length + entryOverhead;
        if (this.#size > defaultTableSize) {
          throw new Error("too many different request headers on one connection");
        }
        const nameIndex = staticTable.findIndex((entry) => entry[0] === name) + 1;
        block.push(0x40 | nameIndex);
        if (nameIndex === 0) {
          appendString(block, name);
        }
        appendString(block, value);
        this.#inserted.push(key);
      }
    }
    return Uint8Array.from(block);
  }
}

function appendString(block: number[], text: string): void {
  if (text.length >= 127) {
    throw new Error("a request header is too long");
  }
  block.push(text.length);
  for (let i = 0; i < text.length; i++) {
    block.push(text.charCodeAt(i));
  }
}
