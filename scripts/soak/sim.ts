/**
 * `npm run soak -- sim [--seeds N] [--seed FIRST] [--seconds S] [--minutes M]`: simulated clusters; 2 000 seeds unless
 * told otherwise.
 */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const main = join(fileURLToPath(import.meta.url), "..", "..", "..", "..", "packages", "sim", "dist", "main.js");

export function run(args: string[]): Promise<{ passed: number; failed: number }> {
  const isLimited = args.includes("--seeds") || args.includes("--minutes");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args, ...(isLimited ? [] : ["--seeds", "2000"])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let last = "";
    let rest = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        // Runs that went well are counted only.
        if (!/^seed \d+ ok/.test(line)) console.log(line);
        last = line;
      }
    });
    child.on("error", reject);
    child.on("close", () => {
      const sum = /^(\d+) passed, (\d+) failed$/.exec(last);
      resolve(sum === null ? { passed: 0, failed: 1 } : { passed: Number(sum[1]), failed: Number(sum[2]) });
    });
  });
}
