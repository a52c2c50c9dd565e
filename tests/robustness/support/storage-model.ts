/** What programs/storage-writer.ts writes, and what must be found of it after a power cut. */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import type { Entry } from "@etcd-ts/raft";
import {
  BufferedBackend,
  createNodeEnv,
  currentDatabase,
  findLatestMark,
  Wal,
  type WalEnv,
} from "@etcd-ts/server/internal";
import { seededDraw } from "./random.js";

export const segmentSizeBytes = 20_000;

const countKey = bytesFromLatin1("count");
const dataBytesMax = 1500;

export function entryOf(index: number): Entry {
  const draw = seededDraw(index);
  const data = new Uint8Array(Math.floor(draw() * dataBytesMax));
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(draw() * 256);
  return { type: 0, term: 1, index, data };
}

export function applyEntry(backend: BufferedBackend, { index, term, data }: Entry): void {
  backend.putRecord(index + 1, 0, false, data ?? new Uint8Array(0));
  backend.put("lease", countKey, bytesFromLatin1(`${index}`));
  if (index > 20) backend.deleteRecord(index - 19, 0, false);
  backend.sealEntry(index, term);
}

export async function startOf(env: WalEnv, directory: string): Promise<{ index: number; term: number }> {
  const { index, term } = await findLatestMark(env.disk, env.digest, directory);
  return { index, term };
}

/** The highest numbers acknowledged in a text of ack lines. */
export function acknowledged(text: string): { readonly log: number; readonly db: number } {
  const last = (name: string): number =>
    Math.max(0, ...text.split("\n").map((line) => (line.startsWith(name) ? Number(line.slice(name.length)) : 0)));
  return { log: last("log "), db: last("db ") };
}

/**
 * Opens what is left in `directory` as a member does and checks it: nothing acknowledged is lost, nothing is altered,
 * and the database is what exactly its index of entries leaves. Throws what is wrong.
 */
export async function checkStorage(
  directory: string,
  acks: { readonly log: number; readonly db: number },
): Promise<void> {
  const env = createNodeEnv({ logLevel: "error" });
  const path = `${directory}/wal`;
  const database = await currentDatabase(env.disk, directory);
  const backend =
    database === undefined
      ? undefined
      : new BufferedBackend({
          clock: env.clock,
          digest: env.digest,
          database: await env.openDatabase(database),
          onFailure: (error) => {
            throw error;
          },
        });
  try {
    const durableIndex = backend?.durableIndex ?? 0;
    if (durableIndex < acks.db) throw new Error(`the database has ${durableIndex}, acknowledged ${acks.db}`);
    if (backend !== undefined) checkDatabase(backend);
    if (!(await Wal.exists(env.disk, path))) {
      if (acks.log > 0) throw new Error(`no log, acknowledged ${acks.log}`);
      return;
    }
    const start = await startOf(env, path);
    const { wal, entries } = await Wal.open(env, path, start, { segmentSizeBytes, durableIndex });
    try {
      const last = entries.at(-1)?.index ?? start.index;
      if (last < acks.log) throw new Error(`the log ends at ${last}, acknowledged ${acks.log}`);
      if (start.index > durableIndex)
        throw new Error(`the log begins at ${start.index}, the database has ${durableIndex}`);
      for (const [i, entry] of entries.entries()) {
        const expected = entryOf(start.index + 1 + i);
        if (entry.index !== expected.index || latin1(entry.data) !== latin1(expected.data)) {
          throw new Error(`entry ${entry.index} is not what was written`);
        }
      }
      // What was recovered can be continued and read again.
      await wal.save({ term: 1, vote: 1n, commit: last }, [entryOf(last + 1)]);
    } finally {
      await wal.close();
    }
    const again = await Wal.open(env, path, start, { segmentSizeBytes, durableIndex });
    await again.wal.close();
  } finally {
    await backend?.close();
  }
}

function checkDatabase(backend: BufferedBackend): void {
  const index = backend.durableIndex;
  const count = backend.get("lease", countKey);
  if ((count === undefined ? "" : latin1(count)) !== (index === 0 ? "" : `${index}`)) {
    throw new Error(`the database is at ${index}, but counts ${count === undefined ? "nothing" : latin1(count)}`);
  }
  let next = Math.max(1, index - 19);
  backend.scanRecords(0, 0, Number.MAX_SAFE_INTEGER, (main, _sub, _tombstone, value) => {
    if (main !== next + 1 || latin1(value) !== latin1(entryOf(next).data)) throw new Error(`record ${main} is wrong`);
    next++;
    return true;
  });
  if (next !== index + 1) throw new Error(`the database is at ${index}, but its records end at ${next - 1}`);
}

function latin1(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : latin1FromBytes(bytes);
}
