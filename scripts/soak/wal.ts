/**
 * Damage of a log of three segments: every byte cut, every bit flipped, every sector lost.
 *
 *   node build/scripts/soak.js wal [--bytes 10000] [--seed 1]
 *
 * `--bytes` is the size of a segment.
 */

import { option } from "../../tests/robustness/support/options.js";
import { DamageCheck, sectorBytes } from "../../tests/robustness/support/wal-damage.js";
import { writeSample } from "../../tests/robustness/support/wal-sample.js";

const reportedFailuresMax = 20;
/** Of records, as in etcd's walpb. */
const typeNames = ["", "metadata", "entry", "state", "crc", "snapshot"];

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const sample = await writeSample({
    segmentSizeBytes: option(args, "--bytes", 10_000),
    segments: 3,
    entryBytesMax: 3000,
    seed: option(args, "--seed", 1),
  });
  const check = await DamageCheck.of(sample);
  const counts = typeNames.flatMap((name, type) => (name === "" ? [] : `${check.recordCounts.get(type) ?? 0} ${name}`));
  console.log(`records: ${counts.join(", ")}; ${sample.acknowledged.length} acknowledged saves`);
  let passed = 0;
  let failed = 0;
  const count = (wrong: string | undefined): void => {
    if (wrong === undefined) passed++;
    else if (++failed <= reportedFailuresMax) console.log(wrong);
  };
  for (const [name, bytes] of sample.segments) {
    const sectors = Math.ceil(bytes.length / sectorBytes);
    for (let length = 0; length < bytes.length; length++) count(await check.cut(name, length));
    for (let bit = 0; bit < bytes.length * 8; bit++) count(await check.flip(name, bit));
    for (let sector = 0; sector < sectors; sector++) count(await check.loseSector(name, sector * sectorBytes));
    console.log(`${name}: ${bytes.length} cuts, ${bytes.length * 8} flipped bits, ${sectors} lost sectors`);
  }
  return { passed, failed };
}
