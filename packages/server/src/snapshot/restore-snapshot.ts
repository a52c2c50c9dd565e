/**
 * Makes the data directory of a member of a new cluster from a saved snapshot: its keys, leases, alarms, users and
 * roles, with the members of the new cluster in place of the old ones and a log that begins with them.
 *
 * Source: etcd etcdutl/snapshot/v3_snapshot.go Restore.
 */

import { bytesFromLatin1, encodeUtf8, messageBytes } from "@etcd-ts/api";
import { encodeMetadata, sizeMetadata } from "@etcd-ts/api/etcdserverpb";
import { encodeConfChange, sizeConfChange } from "@etcd-ts/api/raftpb";
import { type Entry, EntryType } from "@etcd-ts/raft";
import {
  type Member as ClusterMember,
  confStateOf,
  encodeRevisionKey,
  memberIdText,
  stringifyConfState,
  stringifyMember,
} from "@etcd-ts/store";
import { BatchWriter } from "../backend/batch.js";
import { type Database, tableNames } from "../backend/database.js";
import { nextDatabase, switchDatabase } from "../backend/directory.js";
import { readMain } from "../backend/revision-key.js";
import { BootstrapError } from "../config/bootstrap-error.js";
import { checkedInitialCluster, type NewCluster, newCluster } from "../config/initial-cluster.js";
import type { DiskFile, Env } from "../env.js";
import { writeUint64 } from "../uint64.js";
import { Wal } from "../wal/wal.js";
import { ImageFile } from "./image-file.js";
import { importImage } from "./import-image.js";

export interface RestoreOptions {
  readonly file: string;
  readonly name: string;
  readonly initialCluster: string;
  readonly initialClusterToken: string;
  readonly advertisedPeerUrls: readonly string[];
  readonly dataDir: string;
  /** Undefined = below the data directory. */
  readonly walDir: string | undefined;
  readonly skipHashCheck: boolean;
  /** How far revisions jump ahead, so that none the old cluster gave out is given out again; 0 = not at all. */
  readonly bumpRevision: number;
  /** Whether everything before the jump is compacted, so that watchers notice. */
  readonly markCompacted: boolean;
}

const digestBytes = 32;
const sectorBytes = 512;
const hashedPieceBytes = 1 << 20;
const confChangeAddNode = 0;

type RestoreEnv = Omit<Env, "network">;

/** Rejects with `BootstrapError`, `ImageFormatError` or `DiskError`. */
export async function restoreSnapshot(env: RestoreEnv, options: RestoreOptions): Promise<void> {
  const { disk } = env;
  const { name, dataDir, initialClusterToken: token } = options;
  const cluster = newCluster(env.digest, await checkedInitialCluster(env, options), { name, token });
  if ((await disk.list(dataDir)).length > 0) {
    throw new BootstrapError(`data-dir ${JSON.stringify(dataDir)} not empty or could not be read`);
  }
  if (options.walDir !== undefined && (await disk.exists(options.walDir))) {
    throw new BootstrapError(`wal-dir ${JSON.stringify(options.walDir)} exists`);
  }
  const file = await disk.open(options.file, "read");
  try {
    const sizeBytes = await checkedSize(env, file, options.skipHashCheck);
    const member = `${dataDir}/member`;
    await disk.makeDirectory(member);
    const directory = await nextDatabase(disk, member);
    await disk.makeDirectory(directory);
    try {
      await fillDatabase(env, directory, { file, sizeBytes }, cluster, options);
      await createLog(env, options.walDir ?? `${member}/wal`, cluster);
      await switchDatabase(disk, member, directory);
    } catch (error) {
      await disk.remove(member);
      if (options.walDir !== undefined) await disk.remove(options.walDir);
      throw error;
    }
  } finally {
    await file.close();
  }
}

async function fillDatabase(
  env: RestoreEnv,
  directory: string,
  source: { readonly file: DiskFile; readonly sizeBytes: number },
  cluster: NewCluster,
  options: RestoreOptions,
): Promise<void> {
  const database = await env.openDatabase(directory);
  try {
    const image = new ImageFile(source.file, source.sizeBytes);
    await importImage({ clock: env.clock, digest: env.digest, image, database });
    await rewrite(database, cluster, options);
  } finally {
    await database.close();
  }
}

/** Size of the image without the checksum behind it, which is checked unless that is to be skipped. */
async function checkedSize(env: RestoreEnv, file: DiskFile, skipHashCheck: boolean): Promise<number> {
  const size = await file.size();
  const hasHash = size % sectorBytes === digestBytes;
  if (!hasHash && !skipHashCheck) throw new BootstrapError("snapshot missing hash but --skip-hash-check=false");
  const sizeBytes = hasHash ? size - digestBytes : size;
  if (!hasHash || skipHashCheck) return sizeBytes;
  const sum = env.digest.startSha256();
  for (let at = 0; at < sizeBytes; at += hashedPieceBytes) {
    sum.update(await file.read(at, Math.min(hashedPieceBytes, sizeBytes - at)));
  }
  const expected = await file.read(sizeBytes, digestBytes);
  const got = sum.finish();
  if (!got.every((byte, i) => byte === expected[i])) {
    throw new BootstrapError(`expected sha256 [${expected.join(" ")}], got [${got.join(" ")}]`);
  }
  return sizeBytes;
}

/** Puts the new cluster's members, and where its log will stand, into the database. */
async function rewrite(database: Database, { members }: NewCluster, options: RestoreOptions): Promise<void> {
  const batch = new BatchWriter();
  const put = (table: number, key: string, value: Uint8Array): void =>
    void batch.add(table, bytesFromLatin1(key), value);
  database.refresh();
  for (const table of [membersTable, removedTable]) {
    database.scan(table, noBytes, undefined, (key) => {
      batch.add(table, key, undefined);
      return true;
    });
  }
  for (const member of members) put(membersTable, memberIdText(member.id), encodeUtf8(stringifyMember(member)));
  if (options.markCompacted && options.bumpRevision > 0) {
    const revision = encodeRevisionKey(latestRevision(database) + options.bumpRevision, 0);
    batch.add(keyTable, revision, noBytes);
    put(metaTable, "scheduledCompactRev", revision);
  }
  put(metaTable, "consistent_index", uint64(members.length));
  put(metaTable, "term", uint64(1));
  put(metaTable, "confState", encodeUtf8(stringifyConfState(confStateOf(members))));
  await database.commit(batch.upTo(batch.place));
}

function latestRevision(database: Database): number {
  let latest = 0;
  database.scan(keyTable, noBytes, undefined, (key) => {
    latest = readMain(key);
    return true;
  });
  return latest;
}

async function createLog(env: RestoreEnv, directory: string, cluster: NewCluster): Promise<void> {
  const { members, self, clusterId } = cluster;
  const metadata = messageBytes({ size: sizeMetadata, encode: encodeMetadata }, { nodeId: self.id, clusterId });
  const wal = await Wal.create(env, directory, metadata);
  try {
    const entries = members.map((member, i): Entry => addingEntry(member, i + 1));
    const vote = members[0]?.id ?? 0n;
    await wal.save({ term: 1, vote, commit: entries.length }, entries);
    await wal.saveSnapshot({ index: entries.length, term: 1, confState: confStateOf(members) });
  } finally {
    await wal.close();
  }
}

function addingEntry(member: ClusterMember, index: number): Entry {
  const change = { type: confChangeAddNode, nodeId: member.id, context: encodeUtf8(stringifyMember(member)) } as const;
  const data = messageBytes({ size: sizeConfChange, encode: encodeConfChange }, change);
  return { type: EntryType.confChange, term: 1, index, data };
}

const membersTable = tableNames.indexOf("members");
const removedTable = tableNames.indexOf("members_removed");
const keyTable = tableNames.indexOf("key");
const metaTable = tableNames.indexOf("meta");
const noBytes = new Uint8Array(0);

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeUint64(bytes, 0, value);
  return bytes;
}
