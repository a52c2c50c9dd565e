/**
 * The tables of HPACK: the static one, and the dynamic one of a decoder. Source: RFC 7541 §2.3, appendix A.
 */

/** A header field. Names and values are latin1 strings: one character is one byte of the wire. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

const rows = [
  [":authority", ""],
  [":method", "GET", "POST"],
  [":path", "/", "/index.html"],
  [":scheme", "http", "https"],
  [":status", "200", "204", "206", "304", "400", "404", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ...(
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control " +
    "content-disposition content-encoding content-language content-length content-location content-range content-type " +
    "cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since " +
    "last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after " +
    "server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
  )
    .split(" ")
    .map((name) => [name, ""]),
];

/** The static table; index 0 is unused, as on the wire. */
export const staticTable: readonly HeaderField[] = [
  { name: "", value: "" },
  ...rows.flatMap(([name = "", ...values]) => values.map((value) => ({ name, value }))),
];

/** Every field costs this much more than its characters. Source: RFC 7541 §4.1. */
export const fieldOverheadBytes = 32;

export function fieldSize(field: HeaderField): number {
  return field.name.length + field.value.length + fieldOverheadBytes;
}

/** The dynamic table of one decoder: a ring, newest first, evicted by size. */
export class DynamicTable {
  /** Changes whenever an index may have come to mean another field. */
  version = 0;
  #ring: (HeaderField | undefined)[] = new Array(16).fill(undefined);
  #head = 0;
  #count = 0;
  #sizeBytes = 0;
  #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The field `index` places behind the newest (0 = the newest), or undefined. */
  get(index: number): HeaderField | undefined {
    if (index >= this.#count) return undefined;
    return this.#ring[(this.#head - 1 - index) & (this.#ring.length - 1)];
  }

  add(field: HeaderField): void {
    this.version++;
    const size = fieldSize(field);
    this.#evict(this.#limitBytes - size);
    // A field larger than the table empties it and is not kept. Source: RFC 7541 §4.4.
    if (size > this.#limitBytes) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#head] = field;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#count++;
    this.#sizeBytes += size;
  }

  resize(limitBytes: number): void {
    this.version++;
    this.#limitBytes = limitBytes;
    this.#evict(limitBytes);
  }

  #evict(limitBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > limitBytes) {
      const at = (this.#head - this.#count) & (this.#ring.length - 1);
      this.#sizeBytes -= fieldSize(this.#ring[at] as HeaderField);
      this.#ring[at] = undefined;
      this.#count--;
    }
  }

  #grow(): void {
    const ring: (HeaderField | undefined)[] = new Array(this.#ring.length * 2).fill(undefined);
    for (let i = 0; i < this.#count; i++) ring[i] = this.get(this.#count - 1 - i);
    this.#ring = ring;
    this.#head = this.#count;
  }
}
