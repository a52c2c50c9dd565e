/** A directory for one test on the real file system, and an environment with a silent log. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDigest } from "../../platform/digest.js";
import { NodeDisk } from "../../platform/disk.js";
import type { WalEnv } from "../wal.js";

export async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-"));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function testEnv(): WalEnv {
  return { disk: new NodeDisk(), digest: nodeDigest, logger: { log: () => undefined } };
}
