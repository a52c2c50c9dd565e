/**
 * The database port over LMDB. Reads are made here, on the loop, from one read transaction; a worker thread carries out
 * batches, each in one `transactionSync` with default flags, which alone returns only when the transaction is on disk.
 *
 * lmdb-js keeps the read transaction until a timer turn; `refresh` resets it, so that what was just committed is seen.
 * No iterator outlives `scan`, as an open one would keep its own.
 */

import { existsSync } from "node:fs";
import { open as openFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Database as LmdbTable, open, type RootDatabase, type RootDatabaseOptions, type Transaction } from "lmdb";
import {
  type Batch,
  type Database,
  type DatabaseOptions,
  type DatabaseRowVisitor,
  type DatabaseSize,
  type PinnedDatabase,
  tableNames,
} from "../backend/database.js";
import { Spares } from "../backend/spares.js";
import { DiskError } from "../env.js";

/** lmdb-js's limit for 4 KiB pages. */
const keySizeMax = 1978;
/** Address space only: the file grows with its data. */
const mapSizeBytes = 2 ** 40;
const maxDbs = 16;
/**
 * For what the estimate of a commit does not know: branch pages, the list of free ones, what others write meanwhile.
 */
const freeBytesMin = 4 << 20;
/** Buffers that go to the worker and come back, and how many are kept. */
const spareBytes = 1 << 20;
const sparesMax = 8;
const copiedBytesPerTurn = 4 << 20;
const dataFile = "data.mdb";
const probeFile = "probe";
/** More than the first pages of a database take. */
const probeBytes = 256 * 1024;

/** A value that is handed out as it lies in lmdb-js's own buffer, with its length beside. */
interface RawValue {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** Keeps values as bytes without a copy: lmdb-js's `binary` encoding copies each value of a scan. */
const rawEncoder = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array, length: number): RawValue => ({ bytes, length }),
};

/** The same for keys. */
const rawKeyEncoder = {
  writeKey(key: Uint8Array, target: Uint8Array, start: number): number {
    target.set(key, start);
    return start + key.length;
  },
  readKey: (source: Uint8Array, start: number, end: number): Uint8Array =>
    new Uint8Array(source.buffer, source.byteOffset + start, end - start),
};

const tableOptions: RootDatabaseOptions = { keyEncoder: rawKeyEncoder, encoder: rawEncoder };

/** What is slow about it, writing and syncing, is done off the loop. */
export async function openLmdbDatabase(directory: string, options: DatabaseOptions = {}): Promise<Database> {
  const mapSize = options.mapSizeBytes ?? mapSizeBytes;
  const freeMin = options.freeBytesMin ?? freeBytesMin;
  try {
    if (!existsSync(join(directory, dataFile))) await probeSpace(join(directory, probeFile));
    // `noSubdir`: a name with a dot would be taken for a file.
    const root = open<RawValue, Uint8Array>(directory, { ...tableOptions, noSubdir: false, maxDbs, mapSize });
    const tables = tableNames.map((name) => root.openDB<RawValue, Uint8Array>(name, tableOptions));
    await syncFile(join(directory, dataFile));
    return new LmdbDatabase(directory, { mapSize, freeMin }, root, tables);
  } catch (error) {
    throw databaseError("open", directory, await reasonOf(directory, error));
  }
}

/** LMDB's own reason says what could not be done next; that the disk takes nothing more explains it better. */
async function reasonOf(directory: string, error: unknown): Promise<unknown> {
  try {
    await probeSpace(join(directory, probeFile));
    return error;
  } catch (diskError) {
    return diskError;
  }
}

/** lmdb-js crashes the process when a full disk does not take the first pages of a new file. */
async function probeSpace(path: string): Promise<void> {
  try {
    const file = await openFile(path, "w", 0o600);
    try {
      await file.writeFile(new Uint8Array(probeBytes));
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

/** lmdb-js makes a file and its tables without a sync. */
async function syncFile(path: string): Promise<void> {
  const file = await openFile(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What lmdb-js takes, but does not declare. */
interface PinnableTable {
  getBinaryFast(key: Uint8Array, options: { readonly transaction: Transaction }): Buffer | undefined;
}

/** Bytes. */
interface Limits {
  readonly mapSize: number;
  readonly freeMin: number;
}

interface Pending {
  readonly resolve: (size: DatabaseSize) => void;
  readonly reject: (error: Error) => void;
}

class LmdbDatabase implements Database {
  readonly keySizeMax: number = keySizeMax;
  readonly #directory: string;
  readonly #limits: Limits;
  readonly #root: RootDatabase<RawValue, Uint8Array>;
  readonly #tables: readonly LmdbTable<RawValue, Uint8Array>[];
  readonly #worker: Worker;
  readonly #workerExited: Promise<void>;
  #workerFailure: DiskError | undefined;
  #pending: Pending | undefined;
  readonly #spares = new Spares<ArrayBuffer>(sparesMax);

  constructor(
    directory: string,
    limits: Limits,
    root: RootDatabase<RawValue, Uint8Array>,
    tables: readonly LmdbTable<RawValue, Uint8Array>[],
  ) {
    this.#directory = directory;
    this.#limits = limits;
    this.#root = root;
    this.#tables = tables;
    // The first commit should not wait for the 80 ms that a new thread takes. Until then nothing depends on it.
    this.#worker = this.#start();
    this.#workerExited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.unref();
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    const store = this.#table(table);
    // The buffer is lmdb-js's own and longer than the value; `length` on it is what was set last.
    const shared = store.getBinaryFast(key);
    return shared === undefined ? undefined : view(shared, shared.length);
  }

  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void {
    const range = this.#table(table).getRange({ start: lo, ...(hi === undefined ? {} : { end: hi }) });
    for (const { key, value } of range) {
      if (!visit(key, view(value.bytes, value.length))) break;
    }
  }

  async commit(batch: Batch): Promise<DatabaseSize> {
    const copies: Uint8Array[] = [];
    let copiedBytes = 0;
    for (const block of batch) {
      // Those of a large entry together would take too long for one turn of the loop.
      if (copiedBytes > copiedBytesPerTurn) {
        await setImmediate();
        copiedBytes = 0;
      }
      copies.push(this.#copy(block));
      copiedBytes += block.length;
    }
    return new Promise((resolve, reject) => {
      if (this.#workerFailure !== undefined) return reject(this.#workerFailure);
      this.#pending = { resolve, reject };
      this.#worker.ref();
      this.#worker.postMessage(copies, buffersOf(copies));
    });
  }

  /** A copy for the worker. Reads go on from the original, and LMDB does not take values that lie in shared memory. */
  #copy(block: Uint8Array): Uint8Array {
    if (block.length > spareBytes || block.length < spareBytes / 16) return block.slice();
    const copy = new Uint8Array(this.#spares.take() ?? new ArrayBuffer(spareBytes), 0, block.length);
    copy.set(block);
    return copy;
  }

  refresh(): void {
    this.#root.resetReadTxn();
  }

  pin(): PinnedDatabase {
    const transaction = this.#root.useReadTransaction();
    return {
      get: (table, key) => {
        const shared = (this.#table(table) as PinnableTable).getBinaryFast(key, { transaction });
        return shared === undefined ? undefined : view(shared, shared.length);
      },
      scan: (table, lo, hi, visit) => {
        const end = hi === undefined ? {} : { end: hi };
        for (const { key, value } of this.#table(table).getRange({ start: lo, ...end, transaction })) {
          if (!visit(key, view(value.bytes, value.length))) break;
        }
      },
      release: () => transaction.done(),
    };
  }

  size(): DatabaseSize {
    return databaseSize(this.#tables.map((table) => table.getStats() as TableStats));
  }

  async close(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage(undefined);
    await this.#workerExited;
    await this.#root.close();
  }

  #table(table: number): LmdbTable<RawValue, Uint8Array> {
    const store = this.#tables[table];
    if (store === undefined) throw new Error(`no table ${table}`);
    return store;
  }

  #start(): Worker {
    const gate = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
    holdExitFor(gate);
    const worker = new Worker(`(${runCommitWorker.toString()})()`, {
      eval: true,
      workerData: {
        lmdb: createRequire(import.meta.url).resolve("lmdb"),
        directory: this.#directory,
        tableNames,
        maxDbs,
        ...this.#limits,
        gate,
      },
    });
    worker.once("exit", () => releaseExit(gate));
    worker.on("message", (reply: CommitReply) => {
      const pending = this.#pending;
      this.#pending = undefined;
      if ("error" in reply) pending?.reject(databaseError("commit", this.#directory, reply.error));
      else {
        for (const buffer of buffersOf(reply.batch)) if (buffer.byteLength === spareBytes) this.#spares.give(buffer);
        pending?.resolve(databaseSize(reply.stats));
      }
    });
    worker.on("error", (error) => {
      const pending = this.#pending;
      this.#pending = undefined;
      this.#workerFailure = databaseError("commit", this.#directory, error);
      pending?.reject(this.#workerFailure);
    });
    return worker;
  }
}

/**
 * A worker that is stopped while lmdb-js throws or calls back aborts the whole process, which then ends with the wrong
 * code and a native stack behind the reason for its end. So `process.exit` waits until the worker is out of there, and
 * the worker stays out: the first number of a gate is 1 while it is in, the second once it must not go in any more.
 */
const gates = new Set<Int32Array>();
/** A disk that hangs holds the end of the process up no longer. */
const exitWaitMs = 5000;

function holdExitFor(gate: Int32Array): void {
  if (gates.size === 0) process.on("exit", closeGates);
  gates.add(gate);
}

function releaseExit(gate: Int32Array): void {
  gates.delete(gate);
  if (gates.size === 0) process.off("exit", closeGates);
}

function closeGates(): void {
  for (const gate of gates) Atomics.store(gate, 1, 1);
  for (const gate of gates) Atomics.wait(gate, 0, 1, exitWaitMs);
}

/** What LMDB tells of a table, and of the whole file with it. */
interface TableStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly lastPageNumber: number;
  readonly root: Omit<TableStats, "root" | "free" | "lastPageNumber">;
  readonly free: Omit<TableStats, "root" | "free" | "lastPageNumber">;
}

/** `batch` is given back. */
type CommitReply = { readonly stats: readonly TableStats[]; readonly batch: Batch } | { readonly error: string };

function buffersOf(batch: Batch): ArrayBuffer[] {
  return batch.map((block) => block.buffer as ArrayBuffer);
}

/** Pages 0 and 1 hold the meta pages. */
const metaPages = 2;

function databaseSize(tables: readonly TableStats[]): DatabaseSize {
  const [first] = tables;
  if (first === undefined) return { sizeBytes: 0, sizeInUseBytes: 0 };
  const used = [...tables, first.root, first.free].reduce(
    (sum, tree) => sum + tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages,
    metaPages,
  );
  return { sizeBytes: (first.lastPageNumber + 1) * first.pageSize, sizeInUseBytes: used * first.pageSize };
}

/**
 * The first `length` bytes, whatever the length the array claims to have; not a Buffer, whose `slice` does not copy.
 */
function view(bytes: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

/** LMDB names system errors by their text or number only. */
function databaseError(operation: string, directory: string, error: unknown): DiskError {
  const message = error instanceof Error ? error.message : String(error);
  const code = systemErrors.find(([text]) => message.includes(text))?.[1] ?? message;
  return new DiskError(operation, directory, code, error);
}

const systemErrors = [
  ["No space left on device", "ENOSPC"],
  ["Input/output error", "EIO"],
  ["Permission denied", "EACCES"],
  ["Read-only file system", "EROFS"],
  ["Disk quota exceeded", "EDQUOT"],
] as const;

/**
 * The worker's program: opens the same database and carries out the batches it is sent (their format is in
 * backend/batch.ts), each in one transaction; `undefined` ends it. It is started from this function's text, so that it
 * runs from sources and builds alike; hence it must not refer to anything outside itself.
 */
function runCommitWorker(): void {
  const { parentPort, workerData } = process.getBuiltinModule("node:worker_threads");
  const { createRequire } = process.getBuiltinModule("node:module");
  const gate: Int32Array = workerData.gate;
  const goIn = (): void => {
    Atomics.store(gate, 0, 1);
    if (Atomics.load(gate, 1) === 0) return;
    goOut();
    // Once is not enough: the wait that is stopped returns before the worker is.
    for (;;) Atomics.wait(gate, 1, 1);
  };
  const goOut = (): void => {
    Atomics.store(gate, 0, 0);
    Atomics.notify(gate, 0);
  };

  const binary = { keyEncoding: "binary", encoding: "binary" } as const;
  const open = () => {
    const lmdb: typeof import("lmdb") = createRequire(workerData.lmdb)(workerData.lmdb);
    const root = lmdb.open<Uint8Array, Uint8Array>(workerData.directory, {
      ...binary,
      noSubdir: false,
      maxDbs: workerData.maxDbs,
      mapSize: workerData.mapSize,
    });
    const names: readonly string[] = workerData.tableNames;
    return { root, tables: names.map((name) => root.openDB<Uint8Array, Uint8Array>(name, binary)) };
  };
  const inside = <Result>(work: () => Result): Result => {
    goIn();
    try {
      return work();
    } finally {
      goOut();
    }
  };
  const { root, tables } = inside(open);

  const { statfsSync } = process.getBuiltinModule("node:fs");
  /**
   * lmdb-js may abort the process when a full disk refuses a page, so a commit that might not fit is not begun. What is
   * new takes twice its bytes at most, in pages half full; besides, each operation changes a page that is there
   * already, which is written elsewhere, and for all of them together those are the whole file at most.
   */
  const checkSpace = (batch: readonly Uint8Array[], fileBytes: number, pageSize: number): void => {
    let bytes = 0;
    let operations = 0;
    for (const block of batch) {
      const header = new DataView(block.buffer, block.byteOffset, block.byteLength);
      bytes += block.length;
      for (let at = 0; at < block.length; operations++) {
        at += 7 + header.getUint16(at + 1, true) + header.getUint32(at + 3, true);
      }
    }
    const needed = 2 * bytes + Math.min(operations * pageSize, fileBytes) + workerData.freeMin;
    const free = freeBytes();
    if (free !== undefined && free < needed)
      throw new Error(`No space left on device: ${free} bytes free of ${needed}`);
  };
  /** For this user; undefined where the file system does not tell. */
  const freeBytes = (): number | undefined => {
    try {
      const { blocks, bavail, bsize } = statfsSync(workerData.directory);
      return blocks > 0 ? bavail * bsize : undefined;
    } catch {
      return undefined;
    }
  };

  const carryOut = (block: Uint8Array): void => {
    const header = new DataView(block.buffer, block.byteOffset, block.byteLength);
    for (let at = 0; at < block.length; ) {
      const operation = header.getUint8(at);
      const keyEnd = at + 7 + header.getUint16(at + 1, true);
      const valueEnd = keyEnd + header.getUint32(at + 3, true);
      const table = tables[operation & 0x7f];
      const key = block.subarray(at + 7, keyEnd);
      if (operation < 0x80) void table?.put(key, block.subarray(keyEnd, valueEnd));
      else void table?.remove(key);
      at = valueEnd;
    }
  };

  parentPort?.on("message", (batch: readonly Uint8Array[] | undefined) => {
    if (batch === undefined) {
      void root.close().then(() => parentPort?.close());
      return;
    }
    try {
      const stats = inside(() => {
        const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
        checkSpace(batch, (lastPageNumber + 1) * pageSize, pageSize);
        root.transactionSync(() => {
          for (const block of batch) carryOut(block);
        });
        return tables.map((table) => table.getStats());
      });
      parentPort?.postMessage(
        { stats, batch },
        batch.map((block) => block.buffer as ArrayBuffer),
      );
    } catch (error) {
      parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) });
    }
  });
}
