// Sums what the runners reported: the JSON report of vitest, and the last `N passed, N failed` line of each other step.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ansiColor = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const directory = process.argv[2];
let passed = 0;
let failed = 0;
for (const name of readdirSync(directory).filter((name) => name.endsWith(".log"))) {
  const plain = readFileSync(join(directory, name), "utf8").replaceAll(ansiColor, "");
  const lines = [...plain.matchAll(/^(?:.*\s)?(\d+) passed, (\d+) failed/gm)];
  const last = lines.at(-1);
  if (last === undefined) continue;
  passed += Number(last[1]);
  failed += Number(last[2]);
}
const vitest = join(directory, "vitest.json");
if (existsSync(vitest)) {
  const report = JSON.parse(readFileSync(vitest, "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests + (report.numFailedTestSuites > 0 && report.numFailedTests === 0 ? 1 : 0);
} else {
  failed += 1;
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
