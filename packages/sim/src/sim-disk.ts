/**
 * A disk with a page cache: what was written is read back at once, but a power cut keeps only what was synced, plus any
 * part of what was not, torn at sectors. Names are durable once their directory was synced.
 *
 * The content belongs to the machine and outlives an incarnation; each incarnation reaches it through its own
 * `SimDisk`.
 */

import { type Disk, DiskError, type DiskFile, type DiskLock, type OpenMode } from "@etcd-ts/server/internal";
import type { Incarnation } from "./incarnation.js";
import type { SimRandom } from "./random.js";

const sectorBytes = 512;

interface Unsynced {
  readonly offset: number;
  /** Bytes written; 0 for a truncation to `offset`. */
  readonly length: number;
}

class FileContent {
  /** What reads see: the page cache. */
  #bytes = new Uint8Array(0);
  #size = 0;
  /** What a power cut surely leaves. */
  #durable = new Uint8Array(0);
  #durableSize = 0;
  /** Writes and truncations since the last sync, in order. */
  #unsynced: Unsynced[] = [];
  /** How many writes and truncations were taken from `#unsynced`. */
  #settled = 0;

  get size(): number {
    return this.#size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(Math.min(offset, this.#size), Math.min(offset + length, this.#size));
  }

  write(offset: number, parts: readonly Uint8Array[]): void {
    let at = offset;
    for (const part of parts) {
      this.#bytes = reserve(this.#bytes, at + part.length);
      this.#bytes.set(part, at);
      at += part.length;
    }
    this.#size = Math.max(this.#size, at);
    this.#unsynced.push({ offset, length: at - offset });
  }

  truncate(length: number): void {
    if (length < this.#size) this.#bytes.fill(0, length, this.#size);
    this.#bytes = reserve(this.#bytes, length);
    this.#size = length;
    this.#unsynced.push({ offset: length, length: 0 });
  }

  /** What a sync that begins now will make durable: pass it to `endSync`. */
  beginSync(): number {
    return this.#settled + this.#unsynced.length;
  }

  endSync(to: number): void {
    for (const change of this.#settle(to)) this.#persist(change, change.offset, change.offset + change.length);
  }

  /**
   * The pages count as clean all the same: reads see them, no later sync writes them, and a random part of them is on
   * the disk. Source: Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
   */
  failSync(to: number, random: SimRandom, keepsUnsynced: number): void {
    this.#keepSome(this.#settle(to), random, keepsUnsynced);
  }

  /** Keeps what was synced and a random part of what was not. */
  losePower(random: SimRandom, keepsUnsynced: number): void {
    this.#keepSome(this.#settle(Number.POSITIVE_INFINITY), random, keepsUnsynced);
    this.#bytes = this.#durable.slice(0, this.#durableSize);
    this.#size = this.#durableSize;
  }

  #settle(to: number): readonly Unsynced[] {
    const changes = this.#unsynced.splice(0, Math.max(0, to - this.#settled));
    this.#settled += changes.length;
    return changes;
  }

  #keepSome(changes: readonly Unsynced[], random: SimRandom, keepsUnsynced: number): void {
    for (const change of changes) {
      const { offset, length } = change;
      if (length === 0) {
        if (random.chance(keepsUnsynced)) this.#persist(change, offset, offset);
        continue;
      }
      const first = Math.floor(offset / sectorBytes) * sectorBytes;
      for (let sector = first; sector < offset + length; sector += sectorBytes) {
        if (!random.chance(keepsUnsynced)) continue;
        this.#persist(change, Math.max(sector, offset), Math.min(sector + sectorBytes, offset + length));
      }
    }
  }

  #persist(change: Unsynced, lo: number, hi: number): void {
    if (change.length === 0) {
      this.#durable = reserve(this.#durable, change.offset);
      this.#durable.fill(0, change.offset);
      this.#durableSize = change.offset;
      return;
    }
    // What was cut off since is gone, whatever was written there.
    const end = Math.min(hi, this.#size);
    if (end <= lo) return;
    this.#durable = reserve(this.#durable, end);
    this.#durable.set(this.#bytes.subarray(lo, end), lo);
    this.#durableSize = Math.max(this.#durableSize, end);
  }
}

function reserve(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (size <= bytes.length) return bytes;
  const grown = new Uint8Array(Math.max(size, bytes.length * 2, 4096));
  grown.set(bytes);
  return grown;
}

export interface DiskFaults {
  /** Milliseconds of one operation, on average. */
  readonly latencyMs: number;
  /** Chance that an operation takes `stallMs`. */
  readonly stallChance: number;
  readonly stallMs: number;
  /** Chance that a sync fails, which must end the member. */
  readonly syncErrorChance: number;
  /** Chance that a sector written and not synced survives a power cut. */
  readonly keepsUnsynced: number;
}

export const quietDisk: DiskFaults = {
  latencyMs: 0.5,
  stallChance: 0,
  stallMs: 0,
  syncErrorChance: 0,
  keepsUnsynced: 0.5,
};

/** The files of one machine. */
export class DiskContent {
  readonly files: Map<string, FileContent> = new Map();
  /** Names as of the last sync of their directory. */
  #durableNames = new Map<string, FileContent>();
  readonly directories: Set<string> = new Set();

  /**
   * Makes the names of a directory durable, those of a renamed subdirectory included: its entries lie in the
   * subdirectory itself, which keeps them, whatever its own name is.
   */
  syncDirectory(path: string): void {
    const prefix = `${path}/`;
    const known = new Set(this.#durableNames.values());
    for (const [name, file] of [...this.#durableNames]) {
      if (!name.startsWith(prefix)) continue;
      if (parentOf(name) === path || this.files.get(name) !== file) this.#durableNames.delete(name);
    }
    for (const [name, file] of this.files) {
      if (parentOf(name) === path || (name.startsWith(prefix) && known.has(file))) this.#durableNames.set(name, file);
    }
  }

  losePower(random: SimRandom, keepsUnsynced: number): void {
    // A rename or removal that was not synced may have reached the disk all the same.
    if (random.chance(keepsUnsynced)) this.#durableNames = new Map(this.files);
    this.files.clear();
    for (const [name, file] of this.#durableNames) this.files.set(name, file);
    for (const file of new Set(this.files.values())) file.losePower(random, keepsUnsynced);
  }
}

/**
 * What a crash can be aimed at: the moments about which crashes are the hardest to survive. A switch is a rename that is
 * not of a segment of the log: most are of the file that names the live database.
 */
export type StorageStep = "sync" | "rename" | "switch" | "commit";

export interface SimDiskPorts {
  began(step: StorageStep): void;
  /** Told of what was removed, for what lies there besides files. */
  removed(path: string): void;
}

export class SimDisk implements Disk {
  readonly #content: DiskContent;
  readonly #incarnation: Incarnation;
  readonly #random: SimRandom;
  readonly #faults: () => DiskFaults;
  readonly #ports: SimDiskPorts;
  readonly #locks: Set<string> = new Set();
  #idleAt = 0;

  constructor(
    content: DiskContent,
    incarnation: Incarnation,
    random: SimRandom,
    faults: () => DiskFaults,
    ports: SimDiskPorts,
  ) {
    this.#content = content;
    this.#incarnation = incarnation;
    this.#random = random;
    this.#faults = faults;
    this.#ports = ports;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.operate(() => {
      let file = this.#content.files.get(path);
      if (file === undefined && mode === "read") throw new DiskError("open", path, "ENOENT");
      if (file === undefined) {
        file = new FileContent();
        this.#content.files.set(path, file);
      }
      return new SimFile(this, this.#incarnation, file, path);
    });
  }

  readFile(path: string): Promise<Uint8Array | undefined> {
    return this.operate(() => {
      const file = this.#content.files.get(path);
      return file?.read(0, file.size);
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.operate(() => {
      const names = new Set<string>();
      for (const name of [...this.#content.files.keys(), ...this.#content.directories]) {
        if (name.startsWith(`${path}/`)) names.add(name.slice(path.length + 1).split("/")[0] ?? "");
      }
      return [...names].sort();
    });
  }

  exists(path: string): Promise<boolean> {
    return this.operate(() => this.#content.files.has(path) || this.#content.directories.has(path));
  }

  mode(): Promise<number> {
    return this.operate(() => 0o700);
  }

  makeDirectory(path: string): Promise<void> {
    return this.operate(() => {
      for (let at = path; at !== "" && at !== "/"; at = parentOf(at)) this.#content.directories.add(at);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.operate(() => {
      this.#ports.began("rename");
      if (!to.endsWith(".wal")) this.#ports.began("switch");
      const moved = (name: string): string | undefined => {
        if (name === from) return to;
        return name.startsWith(`${from}/`) ? to + name.slice(from.length) : undefined;
      };
      for (const [name, file] of [...this.#content.files]) {
        const target = moved(name);
        if (target === undefined) continue;
        this.#content.files.delete(name);
        this.#content.files.set(target, file);
      }
      for (const name of [...this.#content.directories]) {
        const target = moved(name);
        if (target === undefined) continue;
        this.#content.directories.delete(name);
        this.#content.directories.add(target);
      }
    });
  }

  remove(path: string): Promise<void> {
    return this.operate(() => {
      for (const name of [...this.#content.files.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) this.#content.files.delete(name);
      }
      for (const name of [...this.#content.directories]) {
        if (name === path || name.startsWith(`${path}/`)) this.#content.directories.delete(name);
      }
      this.#ports.removed(path);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.operate(() => this.#content.syncDirectory(path));
  }

  lock(path: string): Promise<DiskLock | undefined> {
    return this.operate(() => {
      if (this.#locks.has(path)) return undefined;
      this.#locks.add(path);
      return {
        release: () => {
          this.#locks.delete(path);
          return Promise.resolve();
        },
      };
    });
  }

  /** One operation after the other, each taking its time. */
  operate<T>(operation: () => T): Promise<T> {
    const { latencyMs, stallChance, stallMs } = this.#faults();
    const now = this.#incarnation.world.now;
    const stall = stallChance > 0 && this.#random.chance(stallChance) ? this.#random.fraction() * stallMs : 0;
    this.#idleAt = Math.max(this.#idleAt, now) + this.#random.exponential(latencyMs) + stall;
    return this.#incarnation.complete(this.#idleAt - now, operation);
  }

  /** Makes durable what was written when it began. */
  sync(file: FileContent, path: string): Promise<void> {
    const to = file.beginSync();
    this.#ports.began("sync");
    return this.operate(() => this.endSync(file, to, path));
  }

  endSync(file: FileContent, to: number, path: string): void {
    const { syncErrorChance, keepsUnsynced } = this.#faults();
    if (syncErrorChance > 0 && this.#random.chance(syncErrorChance)) {
      file.failSync(to, this.#random, keepsUnsynced);
      throw new DiskError("fdatasync", path, "EIO");
    }
    file.endSync(to);
  }
}

class SimFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #incarnation: Incarnation;
  readonly #file: FileContent;
  readonly #path: string;

  constructor(disk: SimDisk, incarnation: Incarnation, file: FileContent, path: string) {
    this.#disk = disk;
    this.#incarnation = incarnation;
    this.#file = file;
    this.#path = path;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#disk.operate(() => this.#file.read(offset, length));
  }

  write(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    return this.#disk.operate(() => this.#file.write(offset, bytes));
  }

  writeAndSyncNow(offset: number, bytes: readonly Uint8Array[]): void {
    if (!this.#incarnation.alive) return;
    this.#file.write(offset, bytes);
    this.#disk.endSync(this.#file, this.#file.beginSync(), this.#path);
  }

  writeAndSync(offset: number, bytes: readonly Uint8Array[]): Promise<void> {
    // The write may reach the disk before, without or together with the sync: it counts as unsynced until then.
    if (this.#incarnation.alive) this.#file.write(offset, bytes);
    return this.#disk.sync(this.#file, this.#path);
  }

  syncData(): Promise<void> {
    return this.#disk.sync(this.#file, this.#path);
  }

  truncate(length: number): Promise<void> {
    return this.#disk.operate(() => this.#file.truncate(length));
  }

  zero(offset: number, length: number): Promise<void> {
    return this.#disk.operate(() => this.#file.write(offset, [new Uint8Array(length)]));
  }

  size(): Promise<number> {
    return this.#disk.operate(() => this.#file.size);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
