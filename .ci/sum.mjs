// Sums what the runners reported: the JSON report of each vitest run, and the last `N passed, N failed` line of each other step.
import { readdirSync, readFileSync } from "node:fs";
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
const vitestReports = readdirSync(directory).filter((name) => name.endsWith(".json"));
for (const name of vitestReports) {
  const report = JSON.parse(readFileSync(join(directory, name), "utf8"));
  passed += report.numPassedTests;
  // A file that cannot be loaded fails without a test of its own.
  failed += report.numFailedTests > 0 ? report.numFailedTests : report.numFailedTestSuites;
}
if (!vitestReports.includes("npm-test.json")) failed += 1;
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
