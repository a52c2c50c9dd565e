/**
 * Request ids: unique among the members of a cluster and across restarts of one member.
 *
 * An id is (low 16 bits of the member id) << 48 | suffix, where the suffix starts at (start time in milliseconds, 40
 * bits) << 8 and counts up, carrying into the time part. A member that restarts therefore begins above what it used
 * before, unless it made more than 256 ids per millisecond of its whole life.
 *
 * The suffix fits a `number` exactly, which is what waiters are keyed by: a 64-bit map key costs ten times as much.
 *
 * Source: etcd pkg/idutil.
 */

const suffixBound = 2 ** 48;
/** An id being put together or taken apart: shifting and masking would make several bigints of one. */
const scratch = new DataView(new ArrayBuffer(8));

export class RequestIds {
  readonly #prefix: number;
  #suffix: number;

  constructor(memberId: bigint, startTimeMs: number) {
    this.#prefix = Number(memberId & 0xffffn);
    this.#suffix = (Math.floor(startTimeMs) % 2 ** 40) * 256;
  }

  /** The next suffix, 0 < suffix < 2^48. Make the whole id of it with `full`. */
  nextSuffix(): number {
    this.#suffix = (this.#suffix + 1) % suffixBound;
    return this.#suffix;
  }

  next(): bigint {
    return this.full(this.nextSuffix());
  }

  full(suffix: number): bigint {
    scratch.setUint16(0, this.#prefix);
    scratch.setUint16(2, Math.floor(suffix / 2 ** 32));
    scratch.setUint32(4, suffix);
    return scratch.getBigUint64(0);
  }

  /** The suffix of an id that this member made; undefined for another member's. */
  suffixOf(id: bigint): number | undefined {
    scratch.setBigUint64(0, id);
    if (scratch.getUint16(0) !== this.#prefix) return undefined;
    return scratch.getUint16(2) * 2 ** 32 + scratch.getUint32(4);
  }

  /** A lease id: a request id without its sign bit, never 0. */
  nextLeaseId(): bigint {
    for (;;) {
      const id = this.next() & 0x7fff_ffff_ffff_ffffn;
      if (id !== 0n) return id;
    }
  }
}
