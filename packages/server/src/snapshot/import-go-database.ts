/**
 * A data directory of Go etcd, taken over at the first start: its database is read into one of ours, its log stays what
 * it is, since ours has the same format.
 *
 * If Go's member stopped between noting in its log that a snapshot of the leader is the state and putting it in place,
 * the snapshot's file is the database.
 *
 * Source: etcd server/etcdserver/api/snap/db.go, server/storage/backend.go RecoverSnapshotBackend.
 */

import type { Database } from "../backend/database.js";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { Env } from "../env.js";
import { findLatestMark, listSegments } from "../wal/log-reader.js";
import { Wal } from "../wal/wal.js";
import { ImageFile } from "./image-file.js";
import { importImage } from "./import-image.js";

export interface GoDirectory {
  readonly memberDirectory: string;
  readonly walDirectory: string;
  /** Empty; gets the rows. */
  readonly database: Database;
}

/**
 * Does nothing where Go etcd has left no database. Rejects with `ImageFormatError`, `BootstrapError` or `DiskError`.
 */
export async function importGoDatabase(env: Env, directory: GoDirectory): Promise<void> {
  const { memberDirectory, walDirectory, database } = directory;
  const { disk, logger } = env;
  const snap = `${memberDirectory}/snap`;
  if (!(await disk.exists(`${snap}/db`))) return;
  let path = `${snap}/db`;
  let markedIndex = 0;
  if (await Wal.exists(disk, walDirectory)) {
    await checkUnused(env, walDirectory);
    markedIndex = (await findLatestMark(disk, env.digest, walDirectory)).index;
    const received = `${snap}/${markedIndex.toString(16).padStart(16, "0")}.snap.db`;
    if (await disk.exists(received)) path = received;
  }
  logger.log("info", "importing a database of Go etcd", { path });
  const index = await importFile(env, path, database);
  if (index < markedIndex) {
    throw new BootstrapError(`${path} stands at index ${index}, the write-ahead log begins after index ${markedIndex}`);
  }
  logger.log("info", "imported a database of Go etcd; member/snap is not used any more", { path, index });
}

/** Go etcd locks the segments that it writes to. */
async function checkUnused({ disk }: Env, walDirectory: string): Promise<void> {
  const last = (await listSegments(disk, walDirectory)).at(-1);
  if (last === undefined) return;
  const lock = await disk.lock(`${walDirectory}/${last.name}`);
  if (lock === undefined) throw new BootstrapError(`${walDirectory} is in use by another process`);
  await lock.release();
}

/** Returns the index the database stands at. */
async function importFile(env: Env, path: string, database: Database): Promise<number> {
  const file = await env.disk.open(path, "read");
  try {
    const image = new ImageFile(file, await file.size());
    const { index } = await importImage({ clock: env.clock, digest: env.digest, image, database });
    return index;
  } finally {
    await file.close();
  }
}
