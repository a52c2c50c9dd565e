import type { LogLevelName } from "../config/member-config.js";
import type { Env } from "../env.js";
import { nodeClock } from "./clock.js";
import { nodeDigest } from "./digest.js";
import { NodeDisk } from "./disk.js";
import { nodeDns } from "./dns.js";
import { openLmdbDatabase } from "./lmdb-database.js";
import { createNodeLogger } from "./logger.js";
import { nodeProcess } from "./process.js";
import { nodeRandom } from "./random.js";

export interface NodeEnvOptions {
  /** What ends the member is logged at every level. */
  readonly logLevel?: LogLevelName;
  /** Where log lines go: 1 is stdout, 2 stderr. */
  readonly logFd?: number;
}

/** The world as Node gives it. The network is made apart, since it needs the member's certificates. */
export function createNodeEnv(options: NodeEnvOptions = {}): Omit<Env, "network"> {
  const { logLevel = "info", logFd = 2 } = options;
  const level = logLevel === "panic" || logLevel === "fatal" ? "error" : logLevel;
  return {
    clock: nodeClock,
    random: nodeRandom,
    disk: new NodeDisk(),
    openDatabase: openLmdbDatabase,
    dns: nodeDns,
    digest: nodeDigest,
    logger: createNodeLogger({ level, fd: logFd }),
    process: nodeProcess,
    fault: () => false,
  };
}
