/** Compiles the preloaded shim (shim/power-loss.c) and gives the environment a process needs to run under it. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ShimOptions {
  /** Directory to watch; exists. */
  readonly directory: string;
  /** File the log is appended to. */
  readonly log: string;
  /** Number of the sync in each process that fails with EIO; 0 = none. */
  readonly failSync?: number;
  /** Milliseconds every sync takes longer. */
  readonly holdMs?: number;
  /** The process is killed when it has logged as many operations; 0 = never. */
  readonly killAt?: number;
}

/** Variables to add to the environment of a process. Needs gcc, the first time. */
export function shimEnvironment(options: ShimOptions): Record<string, string> {
  return {
    LD_PRELOAD: shimLibrary(),
    SHIM_DIRECTORY: realpathSync(options.directory),
    SHIM_LOG: options.log,
    SHIM_FAIL_SYNC: `${options.failSync ?? 0}`,
    SHIM_HOLD_MS: `${options.holdMs ?? 0}`,
    SHIM_KILL_AT: `${options.killAt ?? 0}`,
    UV_USE_IO_URING: "0",
  };
}

/** The repository's root, whether this runs from sources or from build/. */
export const repository: string = execFileSync("git", ["rev-parse", "--show-toplevel"], {
  cwd: import.meta.dirname,
  encoding: "utf8",
}).trim();

let built: string | undefined;

function shimLibrary(): string {
  if (built !== undefined) return built;
  const source = join(repository, "tests/robustness/shim/power-loss.c");
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const library = join(tmpdir(), `etcd-ts-shim-${hash}.so`);
  if (!existsSync(library)) {
    const building = `${library}.${process.pid}`;
    execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", building, source, "-ldl"]);
    renameSync(building, library);
  }
  built = library;
  return library;
}
