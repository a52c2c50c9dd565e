/**
 * Mixed clusters again and again; see tests/interop/mixed.ts.
 *
 *   node build/scripts/soak.js mixed [--rounds 10]
 */

import { run as runOnce } from "../../tests/interop/mixed.js";
import { option } from "../../tests/robustness/support/options.js";

export async function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const totals = { passed: 0, failed: 0 };
  const rounds = option(args, "--rounds", 10);
  for (let round = 1; round <= rounds; round++) {
    const { passed, failed } = await runOnce();
    totals.passed += passed;
    totals.failed += failed;
    console.log(`round ${round} of ${rounds}: ${passed} passed, ${failed} failed`);
  }
  return totals;
}
