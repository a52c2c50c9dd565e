/** The world of a member that keeps everything in memory (`--memory`): nothing is read from or written to a disk. */

import { parseInitialCluster } from "@etcd-ts/store";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { MemberConfig } from "../config/member-config.js";
import type { Env } from "../env.js";
import { MemoryDatabase } from "./memory-database.js";
import { MemoryDisk } from "./memory-disk.js";

/** Segments of the log and those being made. */
const segmentFile = /(\.wal|\/\d\.tmp)$/;
const tokenBytes = 8;

export function memoryEnv(env: Env): Env {
  const pause = (): Promise<void> => new Promise((resolve) => env.clock.defer(resolve));
  return {
    ...env,
    disk: new MemoryDisk({ forgets: (path) => segmentFile.test(path) }),
    openDatabase: () => Promise.resolve(new MemoryDatabase(pause)),
  };
}

/**
 * With a token of its own each start is another cluster: members that were added to an earlier one do not take this
 * member for the one they know, whose votes it has forgotten. Throws `BootstrapError` when it were to begin as one of
 * several, or to join others.
 */
export function memoryConfig(env: Env, config: MemberConfig): MemberConfig {
  const parsed = parseInitialCluster(config.initialCluster);
  const isAlone = parsed.kind === "invalid" || parsed.cluster.size === 1;
  if (!isAlone || config.initialClusterState === "existing") {
    throw new BootstrapError("--memory is for a cluster of one: a member that forgets its votes endangers the others");
  }
  const own = [...env.random.bytes(tokenBytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { ...config, initialClusterToken: `${config.initialClusterToken}-${own}` };
}
