/**
 * Spreads expiries after a promotion. Leases that expire together are revoked at a limited rate, and those at the end
 * would live on for long, unrenewed and expired. So a second takes a target number of leases; what is above it goes to
 * the next second that has room.
 *
 * Leases come in any order, one by one: etcd sorts them all first, which with a million of them would hold up a new
 * leader.
 * Source: server/lease/lessor.go (Promote), for the purpose and the target.
 */

export class ExpirySpread {
  readonly #perSecond: number;
  readonly #counts = new Map<number, number>();
  /** For a full second, a later one that may have room. */
  readonly #next = new Map<number, number>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** By how much to delay one more lease that would expire after this time, whole seconds in ms. */
  delayMs(remainingMs: number): number {
    const wanted = Math.floor(remainingMs / 1000);
    const second = this.#free(wanted);
    const count = (this.#counts.get(second) ?? 0) + 1;
    this.#counts.set(second, count);
    if (count === this.#perSecond) this.#next.set(second, second + 1);
    return (second - wanted) * 1000;
  }

  /** The first second from `wanted` on that has room; what was skipped leads there directly from now on. */
  #free(wanted: number): number {
    const skipped: number[] = [];
    let second = wanted;
    for (let next = this.#next.get(second); next !== undefined; next = this.#next.get(second)) {
      skipped.push(second);
      second = next;
    }
    for (const each of skipped) this.#next.set(each, second);
    return second;
  }
}
