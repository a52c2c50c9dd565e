import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExpirySpread } from "./expiry-spread.js";

describe("ExpirySpread", () => {
  it("lets no second take more than its share, and delays no lease for longer than that needs", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(fc.nat(20_000), { maxLength: 60 }), (perSecond, times) => {
        const spread = new ExpirySpread(perSecond);
        const counts = new Map<number, number>();
        for (const time of times) {
          const wanted = Math.floor(time / 1000);
          const delayMs = spread.delayMs(time);
          const second = Math.floor((time + delayMs) / 1000);
          for (let full = wanted; full < second; full++) expect(counts.get(full)).toBe(perSecond);
          counts.set(second, (counts.get(second) ?? 0) + 1);
          expect(counts.get(second)).toBeLessThanOrEqual(perSecond);
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("takes a million leases of one term", () => {
    const spread = new ExpirySpread(750);
    let last = 0;
    for (let n = 0; n < 100_000; n++) last = spread.delayMs(11_000);
    expect(last).toBe(Math.floor(99_999 / 750) * 1000);
  });
});
