/**
 * Several lives of programs/storage-writer.ts in one directory, under the shim: each but the last is killed at some
 * operation, or stopped by a sync that fails. The log of all of them is then cut at random points.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CutResult, cutPower } from "./cut-power.js";
import { repository, type ShimOptions, shimEnvironment } from "./shim.js";

export interface Life extends Pick<ShimOptions, "failSync" | "killAt" | "holdMs"> {
  /** Index of the last entry to write. */
  readonly entries: number;
  readonly seed: number;
}

export interface LifeEnd {
  /** Exit status; null when killed. */
  readonly status: number | null;
  readonly stderr: string;
}

/** A temporary directory with the watched one in it. */
export class Lives {
  readonly #root = realpathSync(mkdtempSync(join(tmpdir(), "etcd-ts-lives-")));
  readonly directory: string = join(this.#root, "data");
  readonly log: string = join(this.#root, "shim.log");

  constructor() {
    mkdirSync(this.directory);
  }

  run(life: Life): LifeEnd {
    const program = join(repository, "build/tests/robustness/programs/storage-writer.js");
    const { directory, log } = this;
    const { status, stderr } = spawnSync(process.execPath, [program, directory, `${life.entries}`, `${life.seed}`], {
      env: { ...process.env, ...shimEnvironment({ directory, log, ...life }) },
      encoding: "utf8",
    });
    return { status, stderr };
  }

  cut(cuts: number, seed: number): Promise<CutResult> {
    return cutPower({ log: this.log, directory: this.directory, target: join(this.#root, "left"), cuts, seed });
  }

  /** A path beside the watched directory. */
  beside(name: string): string {
    return join(this.#root, name);
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
