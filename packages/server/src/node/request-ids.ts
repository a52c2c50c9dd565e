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

const suffixBits = 48n;
const suffixBound = 2 ** 48;

export class RequestIds {
  readonly #prefix: bigint;
  readonly #prefixLow16: number;
  #suffix: number;

  constructor(memberId: bigint, startTimeMs: number) {
    this.#prefixLow16 = Number(memberId & 0xffffn);
    this.#prefix = (memberId & 0xffffn) << suffixBits;
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
    return this.#prefix | BigInt(suffix);
  }

  /** The suffix of an id that this member made; undefined for another member's. */
  suffixOf(id: bigint): number | undefined {
    return Number(id >> suffixBits) === this.#prefixLow16 ? Number(id & 0xffff_ffff_ffffn) : undefined;
  }

  /** A lease id: a request id without its sign bit, never 0. */
  nextLeaseId(): bigint {
    for (;;) {
      const id = this.next() & 0x7fff_ffff_ffff_ffffn;
      if (id !== 0n) return id;
    }
  }
}
