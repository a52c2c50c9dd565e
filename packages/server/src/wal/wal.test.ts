import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Entry, HardState } from "@etcd-ts/raft";
import { describe, expect, test } from "vitest";
import type { Disk, DiskFile } from "../env.js";
import { findLatestMark, listSegments, readLog } from "./log-reader.js";
import { testEnv, withDirectory } from "./testing/directory.js";
import { Wal, type WalEnv } from "./wal.js";

const metadata = Uint8Array.from([8, 1, 16, 2]);
const beginning = { index: 0, term: 0 };
const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

function entry(index: number, term = 1, size = 10): Entry {
  return { index, term, type: 0, data: new Uint8Array(size).fill(index) };
}

function state(commit: number, term = 1): HardState {
  return { term, vote: 1n, commit };
}

describe("a log", () => {
  test("gives back what was saved, across openings", () =>
    withDirectory(async (root) => {
      const directory = `${root}/wal`;
      const env = testEnv();
      const wal = await Wal.create(env, directory, metadata);
      await wal.save(state(0), [entry(1), entry(2)]);
      await wal.save(state(2), [entry(3)]);
      await wal.close();
      const second = await Wal.open(env, directory, beginning);
      expect(second.metadata).toEqual(metadata);
      expect(second.entries).toEqual([entry(1), entry(2), entry(3)]);
      expect(second.hardState).toEqual(state(2));
      await second.wal.save(state(3), [entry(4)]);
      await second.wal.close();
      const third = await Wal.open(env, directory, beginning);
      expect(third.entries).toHaveLength(4);
      await third.wal.close();
    }));

  test("replaces the entries at and behind the first of a save", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await wal.save(state(0), [entry(1), entry(2), entry(3)]);
      await wal.save(state(1, 2), [entry(2, 2)]);
      await wal.close();
      const { wal: second, entries } = await Wal.open(env, `${root}/wal`, beginning);
      expect(entries).toEqual([entry(1), entry(2, 2)]);
      await second.close();
    }));

  test("cuts segments at their size, and opens at a mark in a later one", () =>
    withDirectory(async (root) => {
      const directory = `${root}/wal`;
      const env = testEnv();
      const options = { segmentSizeBytes: 1000 };
      const wal = await Wal.create(env, directory, metadata, options);
      for (let i = 1; i <= 60; i++) await wal.save(state(i - 1), [entry(i, 1, 90)]);
      await wal.save(state(60), []);
      await wal.saveSnapshot({ index: 50, term: 1, confState });
      await wal.close();
      const names = readdirSync(directory);
      expect(names.length).toBeGreaterThan(5);
      expect(names[0]).toBe("0000000000000000-0000000000000000.wal");
      expect(names.every((name) => name.endsWith(".wal"))).toBe(true);
      expect(await findLatestMark(env.disk, env.digest, directory)).toEqual({ index: 50, term: 1, confState });
      const { wal: second, entries } = await Wal.open(env, directory, { index: 50, term: 1 }, options);
      expect(entries.map((e) => e.index)).toEqual([51, 52, 53, 54, 55, 56, 57, 58, 59, 60]);
      await second.releaseTo(50);
      expect(await second.purge(2)).toBeGreaterThan(0);
      await second.save(state(60), [entry(61)]);
      await second.close();
      const third = await Wal.open(env, directory, { index: 50, term: 1 }, options);
      expect(third.entries.at(-1)).toEqual(entry(61));
      await third.wal.close();
    }));

  test("holds each hard state as soon as it is saved, also where a segment begins", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const directory = `${root}/wal`;
      const wal = await Wal.create(env, directory, metadata, { segmentSizeBytes: 400 });
      for (let i = 1; i <= 30; i++) {
        await wal.save(state(i - 1), [entry(i)]);
        const { hardState } = await readLog(
          env.disk,
          env.digest,
          directory,
          await listSegments(env.disk, directory),
          beginning,
        );
        expect(hardState).toEqual(state(i - 1));
      }
      await wal.close();
    }));

  test("can be opened at a mark whose hard state comes later", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await wal.save(state(1), [entry(1), entry(2), entry(3)]);
      await wal.saveSnapshot({ index: 3, term: 1, confState });
      await wal.save(state(2), [entry(4)]);
      await wal.close();
      expect(await findLatestMark(env.disk, env.digest, `${root}/wal`)).toMatchObject({ index: 3 });
      const { wal: second, hardState } = await Wal.open(env, `${root}/wal`, { index: 3, term: 1 });
      expect(hardState.commit).toBe(3);
      await second.close();
    }));

  test("takes a received state in place of its own entries, once a hard state covers it", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await wal.save(state(1), [entry(1), entry(2), entry(3), entry(4)]);
      await wal.saveReceivedSnapshot({ index: 3, term: 2, confState });
      // Nothing says yet that entries up to the mark are committed: they are another member's.
      expect(await findLatestMark(env.disk, env.digest, `${root}/wal`)).toMatchObject({ index: 0 });
      await wal.save({ ...state(3), term: 2 }, []);
      await wal.save(undefined, [{ ...entry(4), term: 2 }]);
      // A mark that was under way is late.
      await wal.saveSnapshot({ index: 1, term: 1, confState });
      await wal.close();
      expect(await findLatestMark(env.disk, env.digest, `${root}/wal`)).toMatchObject({ index: 3, term: 2 });
      const { wal: second, entries } = await Wal.open(env, `${root}/wal`, { index: 3, term: 2 });
      expect(entries.map(({ index, term }) => [index, term])).toEqual([[4, 2]]);
      await second.close();
    }));

  test("has a received state's commit index on disk as soon as it is saved, though nothing else changed", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await wal.save(state(1), [entry(1), entry(2)]);
      await wal.saveReceivedSnapshot({ index: 9, term: 1, confState });
      await wal.save(state(9), []);
      // Not closed: the process may end here, and the state has been acknowledged.
      expect(await findLatestMark(env.disk, env.digest, `${root}/wal`)).toMatchObject({ index: 9, term: 1 });
      await wal.close();
    }));

  test("a commit index alone is written with the next entries", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      expect(await wal.save(state(0), [entry(1, 1, 50)])).toBe(true);
      expect(wal.saveNow(state(1), [])).toBe(false);
      expect(await wal.save(state(1), [])).toBe(false);
      await wal.close();
    }));

  test("groups saves that are made during a sync", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata, { segmentSizeBytes: 2000 });
      const saves: Promise<boolean>[] = [];
      for (let i = 1; i <= 100; i++) saves.push(wal.save(state(i - 1), [entry(i, 1, 50)]));
      await Promise.all(saves);
      await wal.close();
      const { wal: second, entries } = await Wal.open(env, `${root}/wal`, beginning);
      expect(entries).toHaveLength(100);
      await second.close();
    }));

  test("saves within the loop turn", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata, { segmentSizeBytes: 3000 });
      let inLoop = 0;
      for (let i = 1; i <= 100; i++) {
        if (wal.canSaveNow) {
          wal.saveNow(state(i - 1), [entry(i, 1, 50)]);
          inLoop++;
        } else await wal.save(state(i - 1), [entry(i, 1, 50)]);
      }
      await wal.close();
      expect(inLoop).toBeGreaterThan(50);
      const { wal: second, entries } = await Wal.open(env, `${root}/wal`, beginning);
      expect(entries).toHaveLength(100);
      await second.close();
    }));

  test("is open for one writer only", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await expect(Wal.open(env, `${root}/wal`, beginning)).rejects.toMatchObject({ code: "locked" });
      await wal.close();
    }));

  test("that ends before the backend's index is refused", () =>
    withDirectory(async (root) => {
      const env = testEnv();
      const wal = await Wal.create(env, `${root}/wal`, metadata);
      await wal.save(state(2), [entry(1), entry(2)]);
      await wal.close();
      await expect(Wal.open(env, `${root}/wal`, beginning, { durableIndex: 3 })).rejects.toMatchObject({
        code: "incomplete",
      });
      const { wal: second } = await Wal.open(env, `${root}/wal`, beginning, { durableIndex: 2 });
      await second.close();
    }));
});

test("a torn write is cut off after a copy was kept", () =>
  withDirectory(async (root) => {
    const directory = `${root}/wal`;
    const env = testEnv();
    const wal = await Wal.create(env, directory, metadata, { segmentSizeBytes: 4096 });
    await wal.save(state(0), [entry(1)]);
    await wal.save(state(1), [entry(2, 1, 2000)]);
    await wal.close();
    const name = `${directory}/0000000000000000-0000000000000000.wal`;
    const bytes = readFileSync(name);
    bytes.fill(0, 1024, 1536);
    writeFileSync(name, bytes);
    const { wal: second, entries } = await Wal.open(env, directory, beginning);
    expect(entries).toEqual([entry(1)]);
    expect(readdirSync(directory)).toContain("0000000000000000-0000000000000000.wal.broken");
    await second.save(state(1), [entry(2)]);
    await second.close();
    const third = await Wal.open(env, directory, beginning);
    expect(third.entries).toEqual([entry(1), entry(2)]);
    await third.wal.close();
  }));

test("what a failed sync left in the page cache is written anew at each start until a sync succeeds", () =>
  withDirectory(async (root) => {
    const directory = `${root}/wal`;
    const [synced, failed]: [number[], number[]] = [[], []];
    const sync = { fails: false };
    const env = withSyncs((offset) => {
      (sync.fails ? failed : synced).push(offset);
      if (sync.fails) throw new Error("EIO");
    });
    const wal = await Wal.create(env, directory, metadata);
    await wal.save(state(0), [entry(1)]);
    sync.fails = true;
    await expect(wal.save(state(1), [entry(2)])).rejects.toThrow("EIO");
    await wal.close();
    for (let starts = 0; starts < 2; starts++) {
      await expect(Wal.open(env, directory, beginning)).rejects.toThrow("EIO");
    }
    sync.fails = false;
    synced.length = 0;
    const { wal: second, entries } = await Wal.open(env, directory, beginning);
    expect(entries).toEqual([entry(1), entry(2)]);
    expect(new Set(failed).size).toBe(1);
    expect(synced[0]).toBe(failed[0]);
    await second.close();
  }));

/**
 * An environment whose writes reach the page cache; `synced` is told of each one's offset, and throws if its sync
 * fails.
 */
function withSyncs(synced: (offset: number) => void): WalEnv {
  const env = testEnv();
  const watched = (file: DiskFile): DiskFile =>
    replaceMethod(file, "writeAndSync", async (offset: number, parts: readonly Uint8Array[]) => {
      await file.write(offset, parts);
      synced(offset);
    });
  const disk: Disk = replaceMethod(env.disk, "open", async (path: string, mode: Parameters<Disk["open"]>[1]) =>
    watched(await env.disk.open(path, mode)),
  );
  return { ...env, disk };
}

function replaceMethod<T extends object, K extends keyof T>(target: T, name: K, method: T[K]): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === name) return method;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
