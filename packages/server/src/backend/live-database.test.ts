/** A live database that is moved while transactions go on: both sides end alike, and a failure leaves the old one. */

import { expect, test } from "vitest";
import { MemoryDatabase } from "../memory/memory-database.js";
import { BatchWriter } from "./batch.js";
import { type Batch, type Database, type DatabaseSize, tableNames } from "./database.js";
import { LiveDatabase, type MoveOptions } from "./live-database.js";
import { writeRevisionKey } from "./revision-key.js";

const keyTable = tableNames.indexOf("key");
const leaseTable = tableNames.indexOf("lease");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pace = { isOver: true, next: turn };
const plainMove: MoveOptions = { pace, checkpoint: () => undefined, switchOver: turn };

function revisionKey(main: number, tombstone: boolean): Uint8Array {
  const key = new Uint8Array(18);
  return key.slice(0, writeRevisionKey(key, main, 0, tombstone));
}

/** mulberry32 */
function drawFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** Puts and deletions all over two tables. */
function randomBatch(draw: (bound: number) => number): Batch {
  const writer = new BatchWriter();
  for (let left = 1 + draw(40); left > 0; left--) {
    const value = draw(3) === 0 ? undefined : new Uint8Array(draw(20) === 0 ? 200_000 : draw(200)).fill(draw(256));
    const main = draw(500);
    if (draw(2) === 0) writer.add(keyTable, revisionKey(main, main % 5 === 0), value);
    else writer.add(leaseTable, bytes(`${draw(300)}`), value);
  }
  return writer.upTo(writer.place);
}

function contentOf(database: Database): string[] {
  const rows: string[] = [];
  for (const table of tableNames.keys()) {
    database.scan(table, new Uint8Array(0), undefined, (key, value) => {
      rows.push(`${table} ${Buffer.from(key).toString("hex")} ${value.length} ${value[0]}`);
      return true;
    });
  }
  return rows;
}

test("whatever is committed meanwhile, the copy ends as the database that was left", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const draw = drawFrom(seed);
    const live = new LiveDatabase(new MemoryDatabase(turn));
    for (let i = 0; i < 20; i++) await live.commit(randomBatch(draw));
    let isMoved = false;
    const copy = new MemoryDatabase(turn);
    const moving = live.moveTo(copy, plainMove).finally(() => {
      isMoved = true;
    });
    let meanwhile = 0;
    while (!isMoved) {
      await live.commit(randomBatch(draw));
      if (!isMoved) meanwhile++;
    }
    const former = await moving;
    expect(meanwhile).toBeGreaterThan(2);
    // The last commit went to the copy alone.
    await live.commit(randomBatch(draw));
    expect(contentOf(live)).toEqual(contentOf(copy));
    const writer = new BatchWriter();
    writer.add(leaseTable, bytes("only here"), bytes("1"));
    await live.commit(writer.upTo(writer.place));
    expect(former.database.get(leaseTable, bytes("only here"))).toBeUndefined();
    expect(copy.get(leaseTable, bytes("only here"))).toEqual(bytes("1"));
  }
});

test("at the moment of the switch both hold the same", async () => {
  const draw = drawFrom(7);
  const first = new MemoryDatabase(turn);
  const live = new LiveDatabase(first);
  for (let i = 0; i < 20; i++) await live.commit(randomBatch(draw));
  const copy = new MemoryDatabase(turn);
  let compared = 0;
  const moving = live.moveTo(copy, {
    ...plainMove,
    switchOver: async () => {
      await turn();
      expect(contentOf(copy)).toEqual(contentOf(first));
      compared++;
    },
  });
  for (let i = 0; i < 20; i++) await live.commit(randomBatch(draw));
  await moving;
  expect(compared).toBe(1);
});

test("a read that is pinned keeps what it sees, and holds the former database", async () => {
  const live = new LiveDatabase(new MemoryDatabase(turn));
  await live.commit(randomBatch(drawFrom(3)));
  const before = contentOf(live);
  const pinned = live.pin();
  const { unpinned } = await live.moveTo(new MemoryDatabase(turn), plainMove);
  let isFree = false;
  void unpinned.then(() => {
    isFree = true;
  });
  await live.commit(randomBatch(drawFrom(4)));
  expect(contentOf({ ...live, scan: pinned.scan } as unknown as Database)).toEqual(before);
  await turn();
  expect(isFree).toBe(false);
  pinned.release();
  await turn();
  expect(isFree).toBe(true);
});

/** Fails one of its commits. */
class FailingDatabase extends MemoryDatabase {
  #left: number;
  constructor(left: number) {
    super(turn);
    this.#left = left;
  }
  override commit(batch: Batch): Promise<DatabaseSize> {
    return --this.#left === 0 ? Promise.reject(new Error("ENOSPC")) : super.commit(batch);
  }
}

test("a copy that fails, with a chunk or with a transaction, leaves the database as it was", async () => {
  for (let failing = 1; failing <= 12; failing++) {
    const draw = drawFrom(failing);
    const first = new MemoryDatabase(turn);
    const live = new LiveDatabase(first);
    for (let i = 0; i < 20; i++) await live.commit(randomBatch(draw));
    const moving = live.moveTo(new FailingDatabase(failing), plainMove).then(
      () => "moved",
      (error: Error) => error.message,
    );
    for (let i = 0; i < 20; i++) await live.commit(randomBatch(draw));
    expect(await moving).toBe("ENOSPC");
    const writer = new BatchWriter();
    writer.add(leaseTable, bytes("after"), bytes("1"));
    await live.commit(writer.upTo(writer.place));
    expect(first.get(leaseTable, bytes("after"))).toEqual(bytes("1"));
    // And it can be tried again.
    await live.moveTo(new MemoryDatabase(turn), plainMove);
  }
});

test("after a switch that failed nothing is committed: nobody knows which database is opened next time", async () => {
  const live = new LiveDatabase(new MemoryDatabase(turn));
  await live.commit(randomBatch(drawFrom(3)));
  const switchOver = (): Promise<void> => Promise.reject(new Error("EIO"));
  await expect(live.moveTo(new MemoryDatabase(turn), { ...plainMove, switchOver })).rejects.toThrow("EIO");
  await expect(live.commit(randomBatch(drawFrom(4)))).rejects.toThrow("EIO");
});

test("a move that is given up leaves the database as it was", async () => {
  const live = new LiveDatabase(new MemoryDatabase(turn));
  for (let i = 0; i < 20; i++) await live.commit(randomBatch(drawFrom(i)));
  const before = contentOf(live);
  let chunks = 0;
  const checkpoint = (): void => {
    if (++chunks === 2) throw new Error("stopped");
  };
  await expect(live.moveTo(new MemoryDatabase(turn), { ...plainMove, checkpoint })).rejects.toThrow("stopped");
  expect(contentOf(live)).toEqual(before);
});
