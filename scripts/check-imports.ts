/** `npm run lint`: fails when a tracked file breaks the rules of `check-imports/zones.ts`. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { checkRepository } from "./check-imports/rules.js";

const fileBytesMax = 4 * 1024 * 1024;

function trackedFiles(): ReadonlyMap<string, string> {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const files = new Map<string, string>();
  for (const path of new Set(listed.split("\0"))) {
    if (path === "") continue;
    const bytes = readTracked(path);
    if (bytes === undefined || bytes.length > fileBytesMax || bytes.includes(0)) continue;
    files.set(path, bytes.toString("utf8"));
  }
  return files;
}

/** Undefined when the file was deleted but is still in the index, or is a directory. */
function readTracked(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "EISDIR"))
      return undefined;
    throw error;
  }
}

const violations = checkRepository(trackedFiles());
for (const { path, line, rule, message } of violations) console.error(`${path}:${line}: ${rule}: ${message}`);
if (violations.length > 0) {
  console.error(`${violations.length} violations`);
  process.exitCode = 1;
}
