/**
 * Damage of a log of three segments: every byte cut, every bit flipped.
 *
 *   node build/scripts/soak.js wal [--bytes 12000] [--seed 1]
 *
 * `--bytes` is the size of a segment.
 */

import { option } from "../../tests/robustness/support/options.js";
import { DamageCheck, writeSample } from "../../tests/robustness/support/wal-damage.js";

const reportedFailuresMax = 20;

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const segments = await writeSample({
    segmentSizeBytes: option(args, "--bytes", 12_000),
    segments: 3,
    entryBytesMax: 400,
    seed: option(args, "--seed", 1),
  });
  const check = await DamageCheck.of(segments);
  let passed = 0;
  let failed = 0;
  const count = (wrong: string | undefined): void => {
    if (wrong === undefined) passed++;
    else if (++failed <= reportedFailuresMax) console.log(wrong);
  };
  for (const [name, bytes] of segments) {
    for (let length = 0; length < bytes.length; length++) count(await check.cut(name, length));
    for (let bit = 0; bit < bytes.length * 8; bit++) count(await check.flip(name, bit));
    console.log(`${name}: ${bytes.length} cuts, ${bytes.length * 8} flipped bits`);
  }
  return { passed, failed };
}
