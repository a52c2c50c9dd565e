/** Files of the real file system. Failures are `DiskError`s with the system's name of the failure. */

import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { tryLock, unlock } from "fs-native-extensions";
import { type Disk, DiskError, type DiskFile, type DiskLock, type OpenMode } from "../env.js";
import { SyncWorker } from "./sync-worker.js";

const open = promisify(fs.open);
const read = promisify(fs.read);
const writev = promisify(fs.writev);
const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);
const ftruncate = promisify(fs.ftruncate);
const fstat = promisify(fs.fstat);
const close = promisify(fs.close);

const directoryMode = 0o700;
const fileMode = 0o600;
/** How many directories of a path are synced to its parents although they were there: a member's own and its parent. */
const existingLevelsSynced = 2;
const zeros = new Uint8Array(1 << 20);

const openFlags: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR | fs.constants.O_CREAT,
  append: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_APPEND,
};

export class NodeDisk implements Disk {
  readonly #syncWorker = new SyncWorker();

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const fd = await attempt("open", path, () => open(path, openFlags[mode], fileMode));
    if (mode !== "read") this.#syncWorker.addFile();
    return new NodeDiskFile(fd, path, mode === "read" ? undefined : this.#syncWorker);
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    return await attempt("read", path, () => unlessMissing(fs.promises.readFile(path), undefined));
  }

  async list(path: string): Promise<readonly string[]> {
    const names = await attempt("list", path, () => unlessMissing(fs.promises.readdir(path), []));
    return names.sort();
  }

  async exists(path: string): Promise<boolean> {
    const stat = await attempt("stat", path, () => unlessMissing(fs.promises.stat(path), undefined));
    return stat !== undefined;
  }

  async mode(path: string): Promise<number> {
    const stat = await attempt("stat", path, () => fs.promises.stat(path));
    return stat.mode & 0o777;
  }

  async makeDirectory(path: string): Promise<void> {
    const first = await attempt("mkdir", path, () => fs.promises.mkdir(path, { recursive: true, mode: directoryMode }));
    const made = first === undefined ? Number.POSITIVE_INFINITY : resolve(first).length;
    // Existing ones need not be durable: a process may have been killed right after making them.
    let directory = resolve(path);
    for (let level = 1; level <= existingLevelsSynced || directory.length >= made; level++) {
      const parent = dirname(directory);
      if (parent === directory) break;
      await this.#syncParent(parent, { mustSync: directory.length >= made });
      directory = parent;
    }
  }

  /** A parent that was there before may be unreadable; whoever made it has to answer for its name. */
  async #syncParent(path: string, { mustSync }: { readonly mustSync: boolean }): Promise<void> {
    try {
      await this.syncDirectory(path);
    } catch (error) {
      if (mustSync || !(error instanceof DiskError && error.code === "EACCES")) throw error;
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt("rename", from, () => fs.promises.rename(from, to));
  }

  async remove(path: string): Promise<void> {
    await attempt("remove", path, () => fs.promises.rm(path, { recursive: true, force: true }));
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = await attempt("open", path, () => open(path, fs.constants.O_RDONLY));
    try {
      await attempt("fsync", path, () => fsync(fd));
    } finally {
      await close(fd);
    }
  }

  async lock(path: string): Promise<DiskLock | undefined> {
    const fd = await attempt("open", path, () => open(path, openFlags.write, fileMode));
    // An open file description lock: held against other opens of the file, even by this process, and gone with it.
    if (!tryLock(fd)) {
      await close(fd);
      return undefined;
    }
    // What is locked is going to be written.
    this.#syncWorker.addFileSoonWritten();
    let isHeld = true;
    return {
      release: async () => {
        if (!isHeld) return;
        isHeld = false;
        unlock(fd);
        await close(fd);
        this.#syncWorker.removeFile();
      },
    };
  }
}

class NodeDiskFile implements DiskFile {
  readonly #fd: number;
  readonly #path: string;
  readonly #syncWorker: SyncWorker | undefined;
  #closed = false;

  constructor(fd: number, path: string, syncWorker: SyncWorker | undefined) {
    this.#fd = fd;
    this.#path = path;
    this.#syncWorker = syncWorker;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await attempt("read", this.#path, () =>
        read(this.#fd, bytes, done, length - done, offset + done),
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  }

  async write(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    let rest = bytes;
    for (let at = offset; rest.length > 0; ) {
      const { bytesWritten } = await attempt("write", this.#path, () => writev(this.#fd, rest, at));
      at += bytesWritten;
      rest = skipBytes(rest, bytesWritten);
    }
  }

  writeAndSyncNow(offset: number, bytes: readonly Uint8Array[]): void {
    attemptNow("write", this.#path, () => {
      let rest = bytes;
      for (let at = offset; rest.length > 0; ) {
        const written = fs.writevSync(this.#fd, rest, at);
        at += written;
        rest = skipBytes(rest, written);
      }
    });
    attemptNow("fdatasync", this.#path, () => fs.fdatasyncSync(this.#fd));
  }

  async writeAndSync(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    if (this.#syncWorker === undefined) throw new DiskError("write", this.#path, "EBADF");
    await this.#syncWorker.writeAndSync(this.#fd, this.#path, offset, bytes);
  }

  async syncData(): Promise<void> {
    await attempt("fdatasync", this.#path, () => fdatasync(this.#fd));
  }

  async truncate(length: number): Promise<void> {
    await attempt("truncate", this.#path, () => ftruncate(this.#fd, length));
  }

  async zero(offset: number, length: number): Promise<void> {
    for (let at = offset; at < offset + length; at += zeros.length) {
      await this.write(at, [zeros.subarray(0, Math.min(zeros.length, offset + length - at))]);
    }
  }

  async size(): Promise<number> {
    const stat = await attempt("stat", this.#path, () => fstat(this.#fd));
    return stat.size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await attempt("close", this.#path, () => close(this.#fd));
    this.#syncWorker?.removeFile();
  }
}

/** What remains of `parts` behind their first `count` bytes. */
function skipBytes(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let rest = count;
  let first = 0;
  for (const part of parts) {
    if (rest < part.length) break;
    rest -= part.length;
    first++;
  }
  const [partial, ...others] = parts.slice(first);
  return partial === undefined ? [] : [partial.subarray(rest), ...others];
}

async function unlessMissing<T, U>(work: Promise<T>, missing: U): Promise<T | U> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return missing;
    throw error;
  }
}

async function attempt<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new DiskError(operation, path, codeOf(error), error);
  }
}

function attemptNow(operation: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new DiskError(operation, path, codeOf(error), error);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "EIO";
}
