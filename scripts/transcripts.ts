/**
 * `npm run transcripts -- DIR [--rewrite]`: runs every golden script (*.txt) below DIR and prints how many passed.
 * Folders named interaction, confchange and quorum tell what a script is about. `--rewrite` puts the actual output into
 * the scripts.
 */

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeMismatch, runScriptOf, ScriptError, scriptKindOf } from "@etcd-ts/raft/testing";

function scriptsBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return path.endsWith(".txt") ? [path] : [];
  return readdirSync(path)
    .sort()
    .flatMap((name) => scriptsBelow(join(path, name)));
}

/** Returns what is wrong with the script, or an empty text. */
function faultsOf(path: string, rewrite: boolean): string {
  try {
    const text = readFileSync(path, "utf8");
    const { commands, mismatches, rewritten } = runScriptOf(scriptKindOf(path), text);
    if (commands === 0) return "no commands\n";
    if (rewrite && rewritten !== text) writeFileSync(path, rewritten);
    return rewrite ? "" : mismatches.map(describeMismatch).join("\n");
  } catch (error) {
    if (error instanceof ScriptError) return `${error.message}\n`;
    throw error;
  }
}

function main(args: readonly string[]): number {
  const directories = args.filter((arg) => !arg.startsWith("--"));
  const options = args.filter((arg) => arg.startsWith("--"));
  if (directories.length === 0 || options.some((option) => option !== "--rewrite")) {
    console.error("usage: npm run transcripts -- DIR... [--rewrite]");
    return 2;
  }
  let passed = 0;
  let failed = 0;
  for (const path of directories.flatMap(scriptsBelow)) {
    const faults = faultsOf(path, options.includes("--rewrite"));
    if (faults === "") {
      passed++;
    } else {
      failed++;
      console.log(`FAIL ${path}\n${faults}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
