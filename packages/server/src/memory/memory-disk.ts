/**
 * The disk port in memory, for `--memory`. Syncs have nothing to do. Of files that no process will ever read again,
 * such as the segments of the log, only the size is kept.
 */

import { type Disk, DiskError, type DiskFile, type DiskLock, type OpenMode } from "../env.js";

export interface MemoryDiskOptions {
  /** Whether the content of what is opened under this path may be forgotten. */
  readonly forgets: (path: string) => boolean;
}

class Content {
  readonly #isForgotten: boolean;
  #bytes = new Uint8Array(0);
  size = 0;

  constructor(isForgotten: boolean) {
    this.#isForgotten = isForgotten;
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.size);
    return this.#isForgotten ? new Uint8Array(Math.max(0, end - offset)) : this.#bytes.slice(offset, end);
  }

  write(offset: number, parts: readonly Uint8Array[]): void {
    let at = offset;
    for (const part of parts) {
      this.#reserve(at + part.length);
      if (!this.#isForgotten) this.#bytes.set(part, at);
      at += part.length;
      this.size = Math.max(this.size, at);
    }
  }

  resize(size: number): void {
    this.#reserve(size);
    if (!this.#isForgotten && size < this.size) this.#bytes.fill(0, size, this.size);
    this.size = size;
  }

  #reserve(size: number): void {
    if (this.#isForgotten || size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

export class MemoryDisk implements Disk {
  readonly #forgets: (path: string) => boolean;
  readonly #files = new Map<string, Content>();
  readonly #directories = new Set<string>();
  readonly #locks = new Set<string>();

  constructor({ forgets }: MemoryDiskOptions) {
    this.#forgets = forgets;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    let content = this.#files.get(path);
    if (content === undefined) {
      if (mode === "read") throw new DiskError("open", path, "ENOENT");
      content = new Content(this.#forgets(path));
      this.#files.set(path, content);
    }
    return new MemoryFile(content);
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    const content = this.#files.get(path);
    return content?.read(0, content.size);
  }

  async list(path: string): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const name of [...this.#files.keys(), ...this.#directories]) {
      if (name.startsWith(`${path}/`)) names.add(name.slice(path.length + 1).split("/", 1)[0] ?? "");
    }
    return [...names].sort();
  }

  async exists(path: string): Promise<boolean> {
    return this.#files.has(path) || this.#directories.has(path);
  }

  async mode(): Promise<number> {
    return 0o700;
  }

  async makeDirectory(path: string): Promise<void> {
    for (let at = path; at !== "" && at !== "."; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
      this.#directories.add(at);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const moved = (name: string): string | undefined => {
      if (name === from) return to;
      return name.startsWith(`${from}/`) ? to + name.slice(from.length) : undefined;
    };
    for (const [name, content] of [...this.#files]) {
      const target = moved(name);
      if (target === undefined) continue;
      this.#files.delete(name);
      this.#files.set(target, content);
    }
    for (const name of [...this.#directories]) {
      const target = moved(name);
      if (target === undefined) continue;
      this.#directories.delete(name);
      this.#directories.add(target);
    }
  }

  async remove(path: string): Promise<void> {
    for (const names of [this.#files, this.#directories]) {
      for (const name of [...names.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) names.delete(name);
      }
    }
  }

  async syncDirectory(): Promise<void> {}

  async lock(path: string): Promise<DiskLock | undefined> {
    if (this.#locks.has(path)) return undefined;
    this.#locks.add(path);
    return { release: async () => void this.#locks.delete(path) };
  }
}

class MemoryFile implements DiskFile {
  readonly #content: Content;

  constructor(content: Content) {
    this.#content = content;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#content.read(offset, length);
  }

  async write(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    this.#content.write(offset, bytes);
  }

  writeAndSyncNow(offset: number, bytes: readonly Uint8Array[]): void {
    this.#content.write(offset, bytes);
  }

  async writeAndSync(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    this.#content.write(offset, bytes);
  }

  async syncData(): Promise<void> {}

  async truncate(length: number): Promise<void> {
    this.#content.resize(length);
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#content.write(offset, [new Uint8Array(length)]);
  }

  async size(): Promise<number> {
    return this.#content.size;
  }

  async close(): Promise<void> {}
}
