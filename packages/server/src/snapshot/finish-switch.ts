/** What boot does about a database that was received before a crash; received-snapshots.ts says why that is enough. */

import { receivedDatabase, switchDatabase } from "../backend/directory.js";
import type { Env } from "../env.js";
import { findLatestMark } from "../wal/log-reader.js";
import { Wal } from "../wal/wal.js";

/**
 * A crash may have come between raft's word that a received database is the state and the switch to it: then the log's
 * last mark is that database's.
 */
export async function finishSwitch(
  env: Pick<Env, "disk" | "digest" | "logger">,
  memberDirectory: string,
  walDirectory: string,
): Promise<void> {
  const { disk, digest, logger } = env;
  const received = await receivedDatabase(disk, memberDirectory);
  if (received === undefined || !(await Wal.exists(disk, walDirectory))) return;
  const mark = await findLatestMark(disk, digest, walDirectory);
  if (mark.index !== received.index) return;
  await switchDatabase(disk, memberDirectory, received.directory);
  logger.log("info", "switched to the database of a snapshot that was received", { "snapshot-index": mark.index });
}
