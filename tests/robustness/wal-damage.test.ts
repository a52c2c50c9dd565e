/** Every cut, flipped bit and lost sector of small logs. Larger ones: `npm run soak -- wal`. */

import { expect, test } from "vitest";
import { DamageCheck, sectorBytes } from "./support/wal-damage.js";
import { writeSample } from "./support/wal-sample.js";

test("every cut, flipped bit and lost sector gives a prefix or a refusal", async () => {
  for (const seed of [1, 2]) {
    const sample = await writeSample({ segmentSizeBytes: 700, segments: 3, entryBytesMax: 100, seed });
    expect(sample.segments.size).toBe(3);
    const check = await DamageCheck.of(sample);
    for (const [name, bytes] of sample.segments) {
      for (let length = 0; length < bytes.length; length++) expect(await check.cut(name, length)).toBeUndefined();
      for (let bit = 0; bit < bytes.length * 8; bit++) expect(await check.flip(name, bit)).toBeUndefined();
      for (let at = 0; at < bytes.length; at += sectorBytes) expect(await check.loseSector(name, at)).toBeUndefined();
    }
  }
});
