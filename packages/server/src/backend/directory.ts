/**
 * Where the live database lies: `member/CURRENT` names one of the directories `member/lmdb-<n>`. A whole new database
 * is built beside the live one and switched to by renaming CURRENT; what CURRENT does not name is a leftover.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import type { Disk } from "../env.js";

const currentName = "CURRENT";
const receivedName = "RECEIVED";
/** Where a received image is kept until its database is built. */
const receivedImageName = "received.db";
const prefix = "lmdb-";

/** A database that was received whole and becomes the live one once the log says so. */
export interface ReceivedDatabase {
  readonly directory: string;
  /** The raft index it stands at. */
  readonly index: number;
}

/**
 * The live database's directory, below `member`; undefined when there is none yet. Throws when CURRENT is unreadable.
 */
export async function currentDatabase(disk: Disk, member: string): Promise<string | undefined> {
  const bytes = await disk.readFile(`${member}/${currentName}`);
  if (bytes === undefined) return undefined;
  const name = latin1FromBytes(bytes).trim();
  if (!isDatabaseName(name)) throw new Error(`${member}/${currentName} names no database`);
  return `${member}/${name}`;
}

/** A directory for the next database, which does not exist yet. */
export async function nextDatabase(disk: Disk, member: string): Promise<string> {
  const numbers = (await disk.list(member)).filter(isDatabaseName).map((name) => Number(name.slice(prefix.length)));
  return `${member}/${prefix}${Math.max(0, ...numbers) + 1}`;
}

/** Makes a complete database the live one, durably. */
export async function switchDatabase(disk: Disk, member: string, directory: string): Promise<void> {
  await disk.syncDirectory(directory);
  await replaceFile(disk, member, currentName, `${directory.slice(member.length + 1)}\n`);
}

export function receivedImagePath(member: string): string {
  return `${member}/${receivedImageName}`;
}

/** Remembers, durably, a complete database that is not the live one yet. */
export async function keepReceived(disk: Disk, member: string, received: ReceivedDatabase): Promise<void> {
  const { directory, index } = received;
  await disk.syncDirectory(directory);
  await replaceFile(disk, member, receivedName, `${directory.slice(member.length + 1)} ${index}\n`);
}

/** What `keepReceived` remembered, unless it was forgotten since. */
export async function receivedDatabase(disk: Disk, member: string): Promise<ReceivedDatabase | undefined> {
  const bytes = await disk.readFile(`${member}/${receivedName}`);
  const [name = "", index = ""] = bytes === undefined ? [] : latin1FromBytes(bytes).trim().split(" ");
  if (!isDatabaseName(name) || !/^\d{1,16}$/.test(index)) return undefined;
  return { directory: `${member}/${name}`, index: Number(index) };
}

/** The received database has become the live one, or will not. */
export async function forgetReceived(disk: Disk, member: string): Promise<void> {
  await disk.remove(`${member}/${receivedName}`);
  await disk.syncDirectory(member);
}

/** Replaces a small file as a whole, durably. */
async function replaceFile(disk: Disk, directory: string, name: string, content: string): Promise<void> {
  const building = `${directory}/${name}.tmp`;
  await disk.remove(building);
  const file = await disk.open(building, "write");
  await file.write(0, [bytesFromLatin1(content)]);
  await file.syncData();
  await file.close();
  await disk.rename(building, `${directory}/${name}`);
  await disk.syncDirectory(directory);
}

/**
 * Removes databases that are not the live one; returns their names. Called before the live one is opened: it also makes
 * CURRENT durable, which a process that was killed may have renamed only.
 */
export async function removeStrays(disk: Disk, member: string): Promise<readonly string[]> {
  const current = await currentDatabase(disk, member);
  const strays = (await disk.list(member)).filter(
    (name) => (isDatabaseName(name) && `${member}/${name}` !== current) || leftovers.has(name),
  );
  for (const name of strays) await disk.remove(`${member}/${name}`);
  await disk.syncDirectory(member);
  return strays;
}

const leftovers: ReadonlySet<string> = new Set([
  `${currentName}.tmp`,
  receivedName,
  `${receivedName}.tmp`,
  receivedImageName,
]);

function isDatabaseName(name: string): boolean {
  return /^lmdb-\d+$/.test(name);
}
