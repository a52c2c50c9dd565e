/**
 * Databases that other members send to this one: saved, checked and built beside the live database while that serves,
 * then put in its place when raft says so.
 *
 * A crash at any moment leaves one of two states, and boot tells them apart: the log's last mark is the received
 * database's index, then that one is complete and goes on; or it is not, and the received one is thrown away. So the
 * received database is made durable before raft hears of it, and switched to after raft's mark is in the log. From the
 * moment that raft takes it until it is switched to, no other is received: raft's word is for that one.
 *
 * Source: etcd server/etcdserver/api/snap/db.go, server.go applySnapshot (which keeps the image instead).
 */

import type { RestoringIndex } from "@etcd-ts/store";
import { assert } from "../assert.js";
import type { Database } from "../backend/database.js";
import {
  currentDatabase,
  forgetReceived,
  keepReceived,
  nextDatabase,
  type ReceivedDatabase,
  receivedImagePath,
  switchDatabase,
} from "../backend/directory.js";
import { ImageFormatError } from "../bbolt/image-reader.js";
import type { DiskFile, Env } from "../env.js";
import { blockBytes, ImageFile } from "./image-file.js";
import { type ImportedFacts, importImage } from "./import-image.js";

/** Of an image, unless told otherwise. A database of etcd has 8 GiB at most, by its documentation. */
const defaultImageBytesMax = 2 ** 38;
const writeBytes = 4 * blockBytes;

/** Why a snapshot was not taken. */
export class SnapshotRefusedError extends Error {
  override readonly name = "SnapshotRefusedError";
}

/** A database that has just become the live one. */
export interface TakenDatabase {
  readonly database: Database;
  /** Its index, complete. */
  readonly rows: RestoringIndex;
  /** Removes the one before, which must be closed. */
  removePrevious(): Promise<void>;
}

/** What comes with an image. */
export interface ReceivedMessage {
  /** The raft index that the image must stand at. */
  readonly index: number;
  /** Empty; becomes the database's index while that is built. */
  readonly rows: RestoringIndex;
  /** Tells raft of the snapshot, and whether raft wants it. */
  offer(): boolean;
}

/** A database that raft may take. */
interface Received extends ReceivedDatabase {
  readonly rows: RestoringIndex;
}

export class ReceivedSnapshots {
  readonly #env: Env;
  readonly #member: string;
  readonly #imageBytesMax: number;
  #received: Received | undefined;
  #busy = false;
  #stopped = false;
  /** Called when what is under way has ended. */
  #whenIdle: () => void = () => {};

  /** `member`: the directory that holds the databases. A longer image than `imageBytesMax` is refused. */
  constructor(env: Env, member: string, imageBytesMax: number = defaultImageBytesMax) {
    this.#env = env;
    this.#member = member;
    this.#imageBytesMax = imageBytesMax;
  }

  /** Whether raft has taken the snapshot of a received database that is not switched to yet. */
  get isWaiting(): boolean {
    return this.#received !== undefined;
  }

  /**
   * Takes an image. When its database is complete and durable, raft is told; if raft does not want it, it is removed
   * again. Rejects with `SnapshotRefusedError`, `ImageFormatError`,
   * `DiskError` or what ended the body; nothing is left on disk then.
   */
  async receive(body: AsyncIterable<Uint8Array>, { index, rows, offer }: ReceivedMessage): Promise<void> {
    if (this.#stopped) throw new SnapshotRefusedError("the member is stopped");
    if (this.#busy) throw new SnapshotRefusedError("another snapshot is being received");
    if (this.isWaiting) throw new SnapshotRefusedError("another snapshot is being installed");
    this.#busy = true;
    try {
      const received = { directory: await this.#save(body, index, rows), index, rows };
      await keepReceived(this.#env.disk, this.#member, received);
      this.#received = received;
      if (!offer()) await this.#forget(received);
    } finally {
      this.#busy = false;
      this.#whenIdle();
    }
  }

  /** Raft has taken the snapshot at `index`, and the log says so: its database becomes the live one. */
  async take(index: number): Promise<TakenDatabase> {
    const { disk, openDatabase } = this.#env;
    const received = this.#received;
    assert(received?.index === index, "raft installs the snapshot that it took");
    const previous = await currentDatabase(disk, this.#member);
    await switchDatabase(disk, this.#member, received.directory);
    await forgetReceived(disk, this.#member);
    this.#received = undefined;
    return {
      database: await openDatabase(received.directory),
      rows: received.rows,
      removePrevious: async () => {
        if (previous !== undefined) await disk.remove(previous);
      },
    };
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#busy) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
  }

  #checkRunning(): void {
    if (this.#stopped) throw new SnapshotRefusedError("the member is stopped");
  }

  async #forget({ directory }: ReceivedDatabase): Promise<void> {
    this.#received = undefined;
    await forgetReceived(this.#env.disk, this.#member);
    await this.#env.disk.remove(directory);
  }

  /**
   * Returns the directory of the database. It is built while the image comes, as far as that has come; what the image
   * is worth is known only when all of it is there.
   */
  async #save(body: AsyncIterable<Uint8Array>, index: number, rows: RestoringIndex): Promise<string> {
    const { disk } = this.#env;
    const path = receivedImagePath(this.#member);
    await disk.remove(path);
    const directory = await nextDatabase(disk, this.#member);
    const file = await disk.open(path, "write");
    try {
      const image = new ImageFile(file, undefined);
      const saving = save(body, file, { bytesMax: this.#imageBytesMax, image, checkpoint: () => this.#checkRunning() });
      const [saved, built] = await Promise.allSettled([saving, this.#build(image, directory, rows)]);
      // What is wrong with the transfer explains what is wrong with the image.
      if (saved.status === "rejected") throw saved.reason;
      if (built.status === "rejected") throw built.reason;
      checkFacts(built.value, { index, sizeBytes: saved.value });
      return directory;
    } catch (error) {
      await disk.remove(directory);
      throw error;
    } finally {
      await file.close();
      await disk.remove(path);
    }
  }

  async #build(image: ImageFile, directory: string, rows: RestoringIndex): Promise<ImportedFacts> {
    const { disk, clock, digest, openDatabase } = this.#env;
    await disk.makeDirectory(directory);
    const database = await openDatabase(directory);
    try {
      return await importImage({ clock, digest, image, database, rows, checkpoint: () => this.#checkRunning() });
    } finally {
      await database.close();
    }
  }
}

function checkFacts(facts: ImportedFacts, expected: ImportedFacts): void {
  if (facts.index !== expected.index) {
    throw new ImageFormatError(`the image stands at index ${facts.index}, its message at ${expected.index}`);
  }
  if (facts.sizeBytes !== expected.sizeBytes) {
    throw new ImageFormatError(`the image has ${expected.sizeBytes} bytes, by its own account ${facts.sizeBytes}`);
  }
}

interface SaveOptions {
  readonly bytesMax: number;
  /** Told how much is in the file, and when that is all. */
  readonly image: ImageFile;
  /** Throws to give up. */
  checkpoint(): void;
}

/** Returns how many bytes came. */
async function save(
  body: AsyncIterable<Uint8Array>,
  file: DiskFile,
  { bytesMax, image, checkpoint }: SaveOptions,
): Promise<number> {
  let sizeBytes = 0;
  let buffer = new Uint8Array(writeBytes);
  let used = 0;
  const flush = async (): Promise<void> => {
    const bytes = buffer.subarray(0, used);
    await file.write(sizeBytes, [bytes]);
    sizeBytes += used;
    buffer = new Uint8Array(writeBytes);
    used = 0;
    image.grown(bytes);
  };
  try {
    for await (const chunk of body) {
      if (sizeBytes + used + chunk.length > bytesMax) {
        throw new SnapshotRefusedError(`a snapshot exceeds ${bytesMax} bytes`);
      }
      checkpoint();
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + writeBytes - used);
        buffer.set(part, used);
        used += part.length;
        at += part.length;
        if (used === writeBytes) await flush();
      }
    }
    if (used > 0) await flush();
  } catch (error) {
    image.failed(error);
    throw error;
  }
  image.ended();
  return sizeBytes;
}
