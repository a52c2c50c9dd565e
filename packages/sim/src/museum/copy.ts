/** A copy of the built packages with one bug in it, to run the simulator on. */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bug } from "./bugs.js";

const packages = ["api", "raft", "store", "grpc", "client", "server", "sim"];

/** `packages/` of this repository. */
export const packagesDirectory: string = fileURLToPath(new URL("../../..", import.meta.url));

export interface PatchedCopy {
  /** The simulator's program. */
  readonly main: string;
  remove(): void;
}

/** Throws unless the text to be replaced is there exactly once. */
export function applyBug(source: string, bug: Pick<Bug, "name" | "file" | "find" | "replace">): string {
  const parts = source.split(bug.find);
  if (bug.find === "" || parts.length !== 2) {
    throw new Error(`bug ${bug.name}: its text occurs ${parts.length - 1} times in ${bug.file}`);
  }
  return parts.join(bug.replace);
}

export function copyWithBug(bug: Bug | undefined): PatchedCopy {
  const root = mkdtempSync(join(tmpdir(), "etcd-museum-"));
  for (const name of packages) {
    mkdirSync(join(root, "packages", name), { recursive: true });
    for (const part of ["package.json", "dist"]) {
      cpSync(join(packagesDirectory, name, part), join(root, "packages", name, part), { recursive: true });
    }
  }
  linkModules(root);
  if (bug !== undefined) {
    const path = join(root, "packages", bug.file);
    writeFileSync(path, applyBug(readFileSync(path, "utf8"), bug));
  }
  return {
    main: join(root, "packages", "sim", "dist", "main.js"),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Foreign modules as they are, ours from the copy. */
function linkModules(root: string): void {
  const modules = join(packagesDirectory, "..", "node_modules");
  mkdirSync(join(root, "node_modules", "@etcd-ts"), { recursive: true });
  for (const name of readdirSync(modules)) {
    if (name !== "@etcd-ts" && !name.startsWith("."))
      symlinkSync(join(modules, name), join(root, "node_modules", name));
  }
  for (const name of packages) symlinkSync(join(root, "packages", name), join(root, "node_modules", "@etcd-ts", name));
}
