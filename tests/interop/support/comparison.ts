/** What the programs that compare our member with Go etcd share. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Totals {
  readonly passed: number;
  readonly failed: number;
}

/** The root of the repository, seen from `build/tests/interop/support`. */
export const root: string = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "..");

/** Where `build.sh` puts the foreign programs. */
export const bin: string = join(root, "tests", "interop", "bin");

/** The command line of our server. */
export const ourServer: string = `${process.execPath} ${join(root, "bin", "etcd")}`;

const contextLines = 2;
const longestLine = 300;

/** Prints the lines in which two texts differ, ours with `-` and the peer's with `+`. */
export function printDifference(title: string, ours: string, peer: string): void {
  console.log(`\n✗ ${title.slice(0, longestLine)}`);
  for (const line of differingLines(ours.split("\n"), peer.split("\n"))) {
    console.log(`    ${line.slice(0, longestLine)}`);
  }
}

/** Cuts the common beginning and end but for some context; what is between is shown whole. */
function differingLines(ours: readonly string[], peer: readonly string[]): string[] {
  let start = 0;
  while (start < Math.min(ours.length, peer.length) && ours[start] === peer[start]) {
    start++;
  }
  let tail = 0;
  while (tail < Math.min(ours.length, peer.length) - start && ours.at(-1 - tail) === peer.at(-1 - tail)) {
    tail++;
  }
  const from = Math.max(0, start - contextLines);
  return [
    ...ours.slice(from, start).map((line) => `  ${line}`),
    ...ours.slice(start, ours.length - tail).map((line) => `- ${line}`),
    ...peer.slice(start, peer.length - tail).map((line) => `+ ${line}`),
    ...ours
      .slice(ours.length - tail)
      .slice(0, contextLines)
      .map((line) => `  ${line}`),
  ];
}
