/**
 * Where the live database lies: `member/CURRENT` names one of the directories `member/lmdb-<n>`. A whole new database is
 * built beside the live one and switched to by renaming CURRENT; what CURRENT does not name is a leftover.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import type { Disk } from "../env.js";

const currentName = "CURRENT";
const prefix = "lmdb-";

/** The live database's directory, below `member`; undefined when there is none yet. Throws when CURRENT is unreadable. */
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
  const name = directory.slice(member.length + 1);
  const building = `${member}/${currentName}.tmp`;
  await disk.remove(building);
  await disk.syncDirectory(directory);
  const file = await disk.open(building, "write");
  await file.write(0, [bytesFromLatin1(`${name}\n`)]);
  await file.syncData();
  await file.close();
  await disk.rename(building, `${member}/${currentName}`);
  await disk.syncDirectory(member);
}

/**
 * Removes databases that are not the live one; returns their names. Called before the live one is opened: it also makes
 * CURRENT durable, which a process that was killed may have renamed only.
 */
export async function removeStrays(disk: Disk, member: string): Promise<readonly string[]> {
  const current = await currentDatabase(disk, member);
  const strays = (await disk.list(member)).filter(
    (name) => (isDatabaseName(name) && `${member}/${name}` !== current) || name === `${currentName}.tmp`,
  );
  for (const name of strays) await disk.remove(`${member}/${name}`);
  await disk.syncDirectory(member);
  return strays;
}

function isDatabaseName(name: string): boolean {
  return /^lmdb-\d+$/.test(name);
}
