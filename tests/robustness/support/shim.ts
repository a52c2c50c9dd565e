/** Compiles the preloaded shims (shim/*.c) and gives the environment a process needs to run under one. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface ShimOptions {
  /** Directory to watch; exists. */
  readonly directory: string;
  /** File the log is appended to. */
  readonly log: string;
  /** Number of the sync in each process that fails with EIO; 0 = none. */
  readonly failSync?: number;
  /** Syncs of files do nothing, though they succeed. */
  readonly noSync?: boolean;
  /** Number of the write in each process from which on the disk is full; 0 = never. */
  readonly fullAt?: number;
  /** Milliseconds every sync takes longer. */
  readonly holdMs?: number;
  /** The process is killed when it has logged as many operations; 0 = never. */
  readonly killAt?: number;
}

/** Variables to add to the environment of a process, for shim/power-loss.c. Needs gcc, the first time. */
export function shimEnvironment(options: ShimOptions): Record<string, string> {
  return {
    LD_PRELOAD: shimLibrary("power-loss"),
    SHIM_DIRECTORY: realpathSync(options.directory),
    SHIM_LOG: options.log,
    SHIM_FAIL_SYNC: `${options.failSync ?? 0}`,
    SHIM_NO_SYNC: options.noSync === true ? "1" : "0",
    SHIM_FULL_AT: `${options.fullAt ?? 0}`,
    SHIM_HOLD_MS: `${options.holdMs ?? 0}`,
    SHIM_KILL_AT: `${options.killAt ?? 0}`,
    UV_USE_IO_URING: "0",
  };
}

/** The repository's root, whether this runs from sources or from build/. */
export const repository: string = rootAbove(import.meta.dirname);

function rootAbove(directory: string): string {
  return existsSync(join(directory, "package-lock.json")) ? directory : rootAbove(dirname(directory));
}

/** What is wrong with a disk: syncs that do not return, take longer, or writes that find no room. */
export type DiskFault = "hold" | `slow ${number}` | "full";

/** The disk of a process under shim/disk-faults.c. */
export class FaultyDisk {
  readonly #directory: string;
  readonly #control: string;

  /** Both exist, or their parents do; `control` lies outside of the directory. */
  constructor(directory: string, control: string) {
    this.#directory = realpathSync(directory);
    this.#control = control;
    this.fault = undefined;
  }

  /** Takes effect at once. */
  set fault(fault: DiskFault | undefined) {
    const next = `${this.#control}.next`;
    writeFileSync(next, fault ?? "");
    renameSync(next, this.#control);
  }

  /** Variables to add to the environment of the process. Needs gcc, the first time. */
  environment(): Record<string, string> {
    return {
      LD_PRELOAD: shimLibrary("disk-faults"),
      SHIM_DIRECTORY: this.#directory,
      SHIM_CONTROL: this.#control,
      UV_USE_IO_URING: "0",
    };
  }
}

const built = new Map<string, string>();

function shimLibrary(name: "power-loss" | "disk-faults"): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  const source = join(repository, `tests/robustness/shim/${name}.c`);
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const library = join(tmpdir(), `etcd-ts-shim-${hash}.so`);
  if (!existsSync(library)) {
    const building = `${library}.${process.pid}`;
    execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", building, source, "-ldl"]);
    renameSync(building, library);
  }
  built.set(name, library);
  return library;
}
