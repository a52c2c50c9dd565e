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
import { ImageFile } from "./image-file.js";
import { importImage } from "./import-image.js";

/** Of an image, unless told otherwise. A database of etcd has 8 GiB at most, by its documentation. */
const defaultImageBytesMax = 2 ** 38;
const writeBytes = 1 << 20;

/** Why a snapshot was not taken. */
export class SnapshotRefusedError extends Error {
  override readonly name = "SnapshotRefusedError";
}

/** A database that has just become the live one. */
export interface TakenDatabase {
  readonly database: Database;
  /** Removes the one before, which must be closed. */
  removePrevious(): Promise<void>;
}

export class ReceivedSnapshots {
  readonly #env: Env;
  readonly #member: string;
  readonly #imageBytesMax: number;
  #received: ReceivedDatabase | undefined;
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
   * Takes an image that stands at a raft index. When its database is complete and durable, `offer` tells raft, and
   * whether raft wants it; if not, it is removed again. Rejects with `SnapshotRefusedError`, `ImageFormatError`,
   * `DiskError` or what ended the body; nothing is left on disk then.
   */
  async receive(body: AsyncIterable<Uint8Array>, index: number, offer: () => boolean): Promise<void> {
    if (this.#stopped) throw new SnapshotRefusedError("the member is stopped");
    if (this.#busy) throw new SnapshotRefusedError("another snapshot is being received");
    if (this.isWaiting) throw new SnapshotRefusedError("another snapshot is being installed");
    this.#busy = true;
    try {
      const received = { directory: await this.#save(body, index), index };
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

  /** Returns the directory of the database. */
  async #save(body: AsyncIterable<Uint8Array>, index: number): Promise<string> {
    const { disk } = this.#env;
    const path = receivedImagePath(this.#member);
    await disk.remove(path);
    const file = await disk.open(path, "write");
    try {
      const sizeBytes = await save(body, file, this.#imageBytesMax, () => this.#checkRunning());
      return await this.#build(file, sizeBytes, index);
    } finally {
      await file.close();
      await disk.remove(path);
    }
  }

  async #build(file: DiskFile, sizeBytes: number, index: number): Promise<string> {
    const { disk, clock, digest, openDatabase } = this.#env;
    const directory = await nextDatabase(disk, this.#member);
    await disk.makeDirectory(directory);
    try {
      const database = await openDatabase(directory);
      try {
        const facts = await importImage({
          clock,
          digest,
          image: new ImageFile(file, sizeBytes),
          database,
          checkpoint: () => this.#checkRunning(),
        });
        if (facts.index !== index) {
          throw new ImageFormatError(`the image stands at index ${facts.index}, its message at ${index}`);
        }
        if (facts.sizeBytes !== sizeBytes) {
          throw new ImageFormatError(`the image has ${sizeBytes} bytes, by its own account ${facts.sizeBytes}`);
        }
      } finally {
        await database.close();
      }
      return directory;
    } catch (error) {
      await disk.remove(directory);
      throw error;
    }
  }
}

async function save(
  body: AsyncIterable<Uint8Array>,
  file: DiskFile,
  bytesMax: number,
  checkpoint: () => void,
): Promise<number> {
  let offset = 0;
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (bytes === 0) return;
    await file.write(offset, chunks);
    offset += bytes;
    chunks = [];
    bytes = 0;
  };
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (offset + bytes > bytesMax) throw new SnapshotRefusedError(`a snapshot exceeds ${bytesMax} bytes`);
    checkpoint();
    if (bytes >= writeBytes) await flush();
  }
  await flush();
  return offset;
}
