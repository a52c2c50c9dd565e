/** Every cut and every flipped bit of a small log. Larger ones: `npm run soak -- wal`. */

import { expect, test } from "vitest";
import { DamageCheck, writeSample } from "./support/wal-damage.js";

test("every cut and every flipped bit gives a prefix or a refusal", async () => {
  for (const seed of [1, 2]) {
    const segments = await writeSample({ segmentSizeBytes: 600, segments: 3, entryBytesMax: 40, seed });
    expect(segments.size).toBe(3);
    const check = await DamageCheck.of(segments);
    for (const [name, bytes] of segments) {
      for (let length = 0; length < bytes.length; length++) expect(await check.cut(name, length)).toBeUndefined();
      for (let bit = 0; bit < bytes.length * 8; bit++) expect(await check.flip(name, bit)).toBeUndefined();
    }
  }
});
