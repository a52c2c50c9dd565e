/**
 * Writes a raft log and a database as a member does, until it has done enough or is killed:
 *
 *   node storage-writer.js DIRECTORY ENTRIES SEED
 *
 * Entry i has term 1 and data that only i determines; applying it writes one record and a row that counts entries.
 * After each durable step a line is appended to DIRECTORY/acks: `log N` when entries up to N are synced, `db N` when
 * the database has what they did. Started again, it goes on where the log ends.
 */

import { appendFileSync, openSync } from "node:fs";
import type { Entry } from "@etcd-ts/raft";
import {
  BufferedBackend,
  createNodeEnv,
  currentDatabase,
  nextDatabase,
  removeStrays,
  switchDatabase,
  Wal,
} from "@etcd-ts/server/internal";
import { seededDraw } from "../support/random.js";
import { applyEntry, entryOf, segmentSizeBytes, startOf } from "../support/storage-model.js";

const [directory = "", entriesText = "0", seedText = "0"] = process.argv.slice(2);
const entriesMax = Number(entriesText);
const draw = seededDraw(Number(seedText));
const env = createNodeEnv({ logLevel: "error" });
const acks = openSync(`${directory}/acks`, "a");

const backend = new BufferedBackend({
  clock: env.clock,
  digest: env.digest,
  database: await openDatabase(),
  commitIntervalMs: 5,
  onFailure: (error) => {
    throw error;
  },
});

const { wal, last } = await openLog();
for (let index = last + 1; index <= entriesMax; ) {
  const entries: Entry[] = [];
  for (let count = 1 + Math.floor(draw() * 8); count > 0 && index <= entriesMax; count--)
    entries.push(entryOf(index++));
  const state = { term: 1, vote: 1n, commit: index - 1 };
  if (draw() < 0.5 && wal.canSaveNow) wal.saveNow(state, entries);
  else await wal.save(state, entries);
  appendFileSync(acks, `log ${index - 1}\n`);
  for (const entry of entries) applyEntry(backend, entry);
  if (draw() < 0.1) {
    await backend.whenDurable(index - 1);
    appendFileSync(acks, `db ${index - 1}\n`);
  }
  if (draw() < 0.05) {
    const mark = { index: backend.durableIndex, term: 1 };
    if (mark.index > 0) {
      const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
      await wal.saveSnapshot({ ...mark, confState });
      await wal.releaseTo(mark.index);
      await wal.purge(3);
    }
  }
}
await wal.close();
await backend.close();

/** As a member does: a new database is switched to when it is complete. */
async function openDatabase(): ReturnType<typeof env.openDatabase> {
  await removeStrays(env.disk, directory);
  const current = await currentDatabase(env.disk, directory);
  if (current !== undefined) return env.openDatabase(current);
  const made = await nextDatabase(env.disk, directory);
  await env.disk.makeDirectory(made);
  const database = await env.openDatabase(made);
  await switchDatabase(env.disk, directory, made);
  return database;
}

async function openLog(): Promise<{ wal: Wal; last: number }> {
  const path = `${directory}/wal`;
  if (!(await Wal.exists(env.disk, path))) {
    const created = await Wal.create(env, path, Uint8Array.of(8, 1, 16, 2), { segmentSizeBytes });
    return { wal: created, last: 0 };
  }
  const start = await startOf(env, path);
  const opened = await Wal.open(env, path, start, { segmentSizeBytes, durableIndex: backend.durableIndex });
  const { entries } = opened;
  for (const entry of entries) if (entry.index > backend.durableIndex) applyEntry(backend, entry);
  return { wal: opened.wal, last: entries.at(-1)?.index ?? start.index };
}
