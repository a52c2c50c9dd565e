// Says once more what failed, so that the end of a long output tells it, and sums what the runners reported: the JSON report
// of each vitest run, and the last line of each other step, if it is `N passed, N failed`.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ansiColor = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const directory = process.argv[2];
const messageLinesMax = 15;
const logLinesMax = 40;
let passed = 0;
let failed = 0;
for (const name of readdirSync(directory).filter((name) => name.endsWith(".log"))) {
  const plain = readFileSync(join(directory, name), "utf8").replaceAll(ansiColor, "");
  const last = /(?:^|\s)(\d+) passed, (\d+) failed$/.exec(plain.trimEnd());
  if (last === null) continue;
  passed += Number(last[1]);
  failed += Number(last[2]);
  if (Number(last[2]) > 0)
    say(`the end of step ${name.replace(".log", "")}`, plain.trimEnd().split("\n").slice(-logLinesMax));
}
const vitestReports = readdirSync(directory).filter((name) => name.endsWith(".json"));
for (const name of vitestReports) {
  const report = JSON.parse(readFileSync(join(directory, name), "utf8"));
  passed += report.numPassedTests;
  // A file that cannot be loaded fails without a test of its own.
  failed += report.numFailedTests > 0 ? report.numFailedTests : report.numFailedTestSuites;
  for (const file of report.testResults) {
    if (file.status === "failed" && file.message) say(file.name, file.message.split("\n").slice(0, messageLinesMax));
    for (const test of file.assertionResults.filter((test) => test.status === "failed")) {
      const lines = test.failureMessages.join("\n").split("\n").slice(0, messageLinesMax);
      say(`${file.name}: ${test.fullName}`, lines);
    }
  }
}
if (!vitestReports.includes("npm-test.json")) failed += 1;
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);

/** @param {string} title @param {string[]} lines */
function say(title, lines) {
  process.stdout.write(`\n✗ ${title}\n${lines.map((line) => `    ${line}\n`).join("")}`);
}
