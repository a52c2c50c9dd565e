/** Files in memory: for tests that open the same log thousands of times. Syncs do nothing; locks are held per path. */

import { type Disk, DiskError, type DiskFile, type DiskLock, type OpenMode } from "@etcd-ts/server/internal";

/** A file's content, whatever its name. */
export interface MemoryInode {
  bytes: Uint8Array;
  /** Where the last write that was synced ends; undefined before the first. */
  syncedEnd?: number;
}

export class MemoryDisk implements Disk {
  readonly files = new Map<string, MemoryInode>();
  readonly #locked = new Set<string>();

  /** What a file holds; empty when there is none. */
  bytes(path: string): Uint8Array {
    return this.files.get(path)?.bytes ?? new Uint8Array(0);
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (!this.files.has(path)) {
      if (mode === "read") throw new DiskError("open", path, "ENOENT");
      this.files.set(path, { bytes: new Uint8Array(0) });
    }
    return new MemoryFile(this.files.get(path) ?? { bytes: new Uint8Array(0) });
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    return this.files.get(path)?.bytes;
  }

  async list(path: string): Promise<readonly string[]> {
    const names = [...this.files.keys()].filter((name) => name.startsWith(`${path}/`));
    return names.map((name) => name.slice(path.length + 1)).sort();
  }

  async exists(path: string): Promise<boolean> {
    return this.files.has(path);
  }

  async mode(): Promise<number> {
    return 0o700;
  }

  async makeDirectory(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    for (const [path, inode] of [...this.files]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.files.delete(path);
      this.files.set(to + path.slice(from.length), inode);
    }
  }

  async remove(path: string): Promise<void> {
    for (const name of [...this.files.keys()]) {
      if (name === path || name.startsWith(`${path}/`)) this.files.delete(name);
    }
  }

  async syncDirectory(): Promise<void> {}

  async lock(path: string): Promise<DiskLock | undefined> {
    if (this.#locked.has(path)) return undefined;
    this.#locked.add(path);
    return { release: async () => void this.#locked.delete(path) };
  }
}

class MemoryFile implements DiskFile {
  readonly #inode: MemoryInode;

  constructor(inode: MemoryInode) {
    this.#inode = inode;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#inode.bytes.slice(offset, offset + length);
  }

  async write(offset: number, parts: readonly Uint8Array[]): Promise<void> {
    this.#put(offset, parts);
  }

  writeAndSyncNow(offset: number, parts: readonly Uint8Array[]): void {
    this.#inode.syncedEnd = this.#put(offset, parts);
  }

  /** Returns where what was written ends. */
  #put(offset: number, parts: readonly Uint8Array[]): number {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const old = this.#inode.bytes;
    const bytes = new Uint8Array(Math.max(old.length, offset + size));
    bytes.set(old);
    let at = offset;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#inode.bytes = bytes;
    return offset + size;
  }

  async writeAndSync(offset: number, parts: readonly Uint8Array[]): Promise<void> {
    this.writeAndSyncNow(offset, parts);
  }

  async syncData(): Promise<void> {}

  async truncate(length: number): Promise<void> {
    const bytes = new Uint8Array(length);
    bytes.set(this.#inode.bytes.subarray(0, length));
    this.#inode.bytes = bytes;
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#put(offset, [new Uint8Array(length)]);
  }

  async size(): Promise<number> {
    return this.#inode.bytes.length;
  }

  async close(): Promise<void> {}
}
