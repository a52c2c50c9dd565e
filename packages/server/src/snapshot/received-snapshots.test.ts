/** Databases as images, from one member's LMDB to another's, with everything that can go wrong in between. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { confStateOf, RestoringIndex, stringifyMember } from "@etcd-ts/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BufferedBackend } from "../backend/buffered-backend.js";
import { currentDatabase, removeStrays, switchDatabase } from "../backend/directory.js";
import type { Env } from "../env.js";
import { createNodeEnv } from "../platform/env.js";
import { createNetwork } from "../platform/network.js";
import { Wal } from "../wal/wal.js";
import type { DatabaseImage } from "./database-image.js";
import { finishSwitch } from "./finish-switch.js";
import { ImageMaker } from "./image-maker.js";
import { type ReceivedMessage, ReceivedSnapshots } from "./received-snapshots.js";
import { recordOf } from "./testing/record.js";

const env: Env = { ...createNodeEnv(), logger: { log: () => {} }, network: createNetwork() };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const member = { id: 5n, name: "a", peerUrls: ["http://a:1"], clientUrls: [], isLearner: false };
const confState = confStateOf([member]);
const wanted = (): boolean => true;
const longName = (last: string): Uint8Array => bytes("u".repeat(3000) + last);

let root: string;
let source: BufferedBackend;

async function openBackend(directory: string): Promise<BufferedBackend> {
  mkdirSync(directory, { recursive: true });
  const onFailure = (error: Error): never => {
    throw error;
  };
  return new BufferedBackend({
    clock: env.clock,
    digest: env.digest,
    database: await env.openDatabase(directory),
    onFailure,
  });
}

function fill(backend: BufferedBackend, index: number): void {
  for (let main = 1; main <= 500; main++)
    backend.putRecord(main, 0, main % 7 === 0, recordOf(main, `${main}`, bytes(`${index}`)));
  backend.putRecord(501, 3, false, recordOf(501, "long", new Uint8Array(300_000).fill(9)));
  backend.put("authUsers", bytes("bob"), bytes(`${index}`));
  for (const last of ["z", "a"]) backend.put("authUsers", longName(last), bytes(last));
  backend.put("authUsers", bytes("v"), bytes("v"));
  backend.put("alarm", bytes("m"), new Uint8Array(0));
  backend.put("members", bytes("5"), bytes(stringifyMember(member)));
  backend.sealEntry(index, 3);
}

function contentOf(backend: BufferedBackend): string[] {
  const rows: string[] = [];
  for (const bucket of ["alarm", "authUsers", "key", "members", "meta"] as const) {
    backend.scan(bucket, new Uint8Array(0), undefined, (key, value) => {
      rows.push(`${bucket} ${Buffer.from(key).toString("hex")} ${env.digest.crc32c(0, value)}`);
      return true;
    });
  }
  return rows;
}

function message(index: number, offer: () => boolean): ReceivedMessage {
  return { index, rows: new RestoringIndex(), offer };
}

async function* once(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function maker(backend: BufferedBackend): ImageMaker {
  return new ImageMaker({ clock: env.clock, digest: env.digest, backend: () => backend, appliedIndex: () => 10 });
}

async function imageOf(backend: BufferedBackend): Promise<Uint8Array> {
  return maker(backend).withImage("client", async (image) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of image.pieces()) pieces.push(piece);
    expect(image).toMatchObject({ index: 10, term: 3, confState });
    return new Uint8Array(Buffer.concat(pieces));
  });
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "etcd-ts-snapshot-"));
  source = await openBackend(`${root}/source`);
  fill(source, 10);
});

afterEach(async () => {
  await source.close();
  rmSync(root, { recursive: true, force: true });
});

test("a database arrives whole, as it was when its image was begun", async () => {
  const expected = contentOf(source);
  const target = `${root}/member`;
  mkdirSync(target);
  const received = new ReceivedSnapshots(env, target);
  await maker(source).withImage("member", async (image: DatabaseImage) => {
    fill(source, 11);
    await source.whenDurable(11);
    await received.receive(image.pieces(), message(10, wanted));
  });
  expect(received.isWaiting).toBe(true);
  const { database, rows, removePrevious } = await received.take(10);
  await removePrevious();
  expect(rows).toMatchObject({ isComplete: true, newestMain: 501 });
  expect(rows.index.size).toBe(501);
  expect(rows.index.isDeleted(rows.index.slotOf("7"))).toBe(true);
  rows.index.validate();
  const onFailure = (): void => {};
  const backend = new BufferedBackend({ clock: env.clock, digest: env.digest, database, onFailure });
  expect(contentOf(backend)).toEqual(expected);
  expect(backend.durableIndex).toBe(10);
  await backend.close();
  expect(readdirSync(target).sort()).toEqual(["CURRENT", "lmdb-1"]);
});

test("rows that the store cannot read are refused before raft hears of them", async () => {
  source.putRecord(600, 0, false, bytes("no record"));
  source.sealEntry(11, 3);
  await source.whenDurable(11);
  const image = await maker(source).withImage("client", async (made) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of made.pieces()) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  });
  const target = `${root}/member`;
  mkdirSync(target);
  const received = new ReceivedSnapshots(env, target);
  await expect(received.receive(once(image), message(11, wanted))).rejects.toThrow("a value is no record");
  expect(readdirSync(target)).toEqual([]);
});

test("what is cut off, damaged or of another index is refused and leaves nothing", async () => {
  const image = await imageOf(source);
  const target = `${root}/member`;
  mkdirSync(target);
  const received = new ReceivedSnapshots(env, target);
  const refused = async (body: AsyncIterable<Uint8Array>, index = 10): Promise<void> => {
    await expect(received.receive(body, message(index, wanted))).rejects.toThrow();
    expect(readdirSync(target)).toEqual([]);
  };
  await refused(once(image), 9);
  await refused(once());
  for (const length of [100, 4096, 8192, image.length >> 1, image.length - 4096]) {
    await refused(once(image.subarray(0, length)));
  }
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield image.subarray(0, 50_000);
    throw new Error("connection reset");
  }
  await refused(broken());
  for (const pageAt of [2 * 4096, 5 * 4096, image.length - 4096]) {
    const damaged = image.slice();
    // The page's id.
    damaged[pageAt] = (damaged[pageAt] ?? 0) ^ 1;
    await refused(once(damaged));
  }
  await received.receive(once(image), message(10, wanted));
  expect(received.isWaiting).toBe(true);
});

test("a received database that raft does not want is removed", async () => {
  const target = `${root}/member`;
  mkdirSync(target);
  const received = new ReceivedSnapshots(env, target);
  await received.receive(
    once(await imageOf(source)),
    message(10, () => false),
  );
  expect(received.isWaiting).toBe(false);
  expect(readdirSync(target)).toEqual([]);
});

test("while raft's word for one is carried out, no other is received", async () => {
  const image = await imageOf(source);
  const target = `${root}/member`;
  mkdirSync(target);
  const received = new ReceivedSnapshots(env, target);
  const refused = (): Promise<void> =>
    expect(received.receive(once(image), message(10, wanted))).rejects.toThrow("another snapshot is being installed");
  await received.receive(once(image), message(10, wanted));
  await refused();
  const taking = received.take(10);
  await refused();
  const { database } = await taking;
  expect(database.size().sizeInUseBytes).toBeGreaterThan(300_000);
  await database.close();
  await received.receive(once(image), message(10, wanted));
});

test.each([
  ["not marked in the log is thrown away", undefined, "lmdb-1"],
  ["marked in the log, but not covered by its commit, is thrown away", 4, "lmdb-1"],
  ["marked in the log becomes the live one", 10, "lmdb-2"],
])("after a crash, a received database %s", async (_name, commit, live) => {
  const target = `${root}/member`;
  const old = await openBackend(`${target}/lmdb-1`);
  await old.close();
  await switchDatabase(env.disk, target, `${target}/lmdb-1`);
  const wal = await Wal.create(env, `${target}/wal`, bytes("metadata"));
  const entry = (index: number) => ({ type: 0, term: 2, index, data: undefined }) as const;
  await wal.save({ term: 2, vote: 5n, commit: 4 }, [1, 2, 3, 4, 5].map(entry));
  await new ReceivedSnapshots(env, target).receive(once(await imageOf(source)), message(10, wanted));
  if (commit !== undefined) await wal.saveReceivedSnapshot({ index: 10, term: 3, confState });
  if (commit !== undefined) await wal.save({ term: 3, vote: 0n, commit }, []);
  await wal.close();

  await finishSwitch(env, target, `${target}/wal`);
  await removeStrays(env.disk, target);
  expect(await currentDatabase(env.disk, target)).toBe(`${target}/${live}`);
  expect(readdirSync(target).sort()).toEqual(["CURRENT", live, "wal"]);
  expect(readFileSync(`${target}/CURRENT`, "utf8")).toBe(`${live}\n`);
});

test("images are made one at a time, and given up when the database goes", async () => {
  const images = maker(source);
  let begun = 0;
  const waiting = Array.from({ length: 3 }, () =>
    images.withImage("client", async (image) => {
      begun++;
      await new Promise<never>((_resolve, reject) => image.onGivenUp(reject));
    }),
  );
  const ended = Promise.allSettled(waiting);
  await maker(source).withImage("member", () => Promise.resolve());
  while (begun < 1) await new Promise((resolve) => setImmediate(resolve));
  for (let expected = 1; expected <= 3; expected++) {
    while (begun < expected) await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toBe(expected);
    images.abort();
  }
  expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
});
