/**
 * Builds what a power cut could have left of a directory, from the log that shim/power-loss.c wrote of everything that
 * was done to it.
 *
 * The disk owes nothing but what was synced: of each file the writes before a successful fsync or fdatasync, of each
 * directory the names before a successful fsync of it. Whatever came later is kept or lost by chance, in sectors of 512
 * bytes and in any order. After a failed sync the writes it was to cover are lost for good, although the process still
 * reads them: a later sync does not bring them back, only writing them again does.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const headerBytes = 40;
const magic = 0x4c504c31;
const sectorBytes = 512;

const Kind = {
  create: 1,
  makeDirectory: 2,
  rename: 3,
  unlink: 4,
  removeDirectory: 5,
  write: 6,
  truncate: 7,
  syncBegin: 8,
  syncEnd: 9,
} as const;

const flagDurable = 1;
const flagFailed = 2;

/** One thing the process did, as logged. */
export interface LoggedOperation {
  readonly kind: number;
  readonly flags: number;
  /** CLOCK_MONOTONIC, nanoseconds, as `process.hrtime.bigint`. */
  readonly timeNs: bigint;
  readonly inode: bigint;
  readonly offset: number;
  readonly path: string;
  readonly secondPath: string;
  readonly data: Uint8Array;
}

/** Draws numbers: uniform in [0, 1). */
export type Draw = () => number;

export function readShimLog(file: string): readonly LoggedOperation[] {
  const bytes = readFileSync(file);
  const operations: LoggedOperation[] = [];
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    if (bytes.readUInt32LE(at) !== magic) throw new Error(`${file}: no record at ${at}`);
    const pathEnd = at + headerBytes + bytes.readUInt16LE(at + 6);
    const secondEnd = pathEnd + bytes.readUInt16LE(at + 36);
    const dataEnd = secondEnd + bytes.readUInt32LE(at + 32);
    operations.push({
      kind: bytes[at + 4] ?? 0,
      flags: bytes[at + 5] ?? 0,
      timeNs: bytes.readBigUInt64LE(at + 8),
      inode: bytes.readBigUInt64LE(at + 16),
      offset: Number(bytes.readBigInt64LE(at + 24)),
      path: bytes.toString("utf8", at + headerBytes, pathEnd),
      secondPath: bytes.toString("utf8", pathEnd, secondEnd),
      data: bytes.subarray(secondEnd, dataEnd),
    });
    at = dataEnd;
  }
  return operations;
}

interface Change {
  readonly sequence: number;
}

interface ContentChange extends Change {
  /** Undefined: the file is cut or extended to `offset`. */
  readonly data: Uint8Array | undefined;
  readonly offset: number;
}

interface NameChange extends Change {
  readonly names: readonly (readonly [string, Node | undefined])[];
}

class Content {
  #bytes: Uint8Array = new Uint8Array(0);
  length = 0;

  apply(change: ContentChange): void {
    const { data, offset } = change;
    if (data === undefined) {
      this.#reserve(offset);
      if (offset < this.length) this.#bytes.fill(0, offset, this.length);
      this.length = offset;
      return;
    }
    this.#reserve(offset + data.length);
    this.#bytes.set(data, offset);
    this.length = Math.max(this.length, offset + data.length);
  }

  copy(): Content {
    const copy = new Content();
    copy.apply({ sequence: 0, data: this.bytes(), offset: 0 });
    return copy;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }
}

class FileNode {
  /** What processes read, and what is on disk. */
  readonly live = new Content();
  readonly durable = new Content();
  pending: ContentChange[] = [];

  change(change: ContentChange, isDurable: boolean): void {
    this.live.apply(change);
    if (isDurable) this.durable.apply(change);
    else this.pending.push(change);
  }

  synced(before: number, failed: boolean): void {
    for (const change of this.pending) if (!failed && change.sequence < before) this.durable.apply(change);
    this.pending = this.pending.filter((change) => change.sequence >= before);
  }
}

class DirectoryNode {
  readonly live = new Map<string, Node>();
  readonly durable = new Map<string, Node>();
  pending: NameChange[] = [];

  change(change: NameChange): void {
    applyNames(this.live, change);
    this.pending.push(change);
  }

  synced(before: number, failed: boolean): void {
    if (failed) return;
    for (const change of this.pending) if (change.sequence < before) applyNames(this.durable, change);
    this.pending = this.pending.filter((change) => change.sequence >= before);
  }
}

type Node = FileNode | DirectoryNode;

function applyNames(entries: Map<string, Node>, change: NameChange): void {
  for (const [name, node] of change.names) {
    if (node === undefined) entries.delete(name);
    else entries.set(name, node);
  }
}

/** The directory at some point of the log, and what of it is on disk. */
export class PowerLoss {
  readonly #operations: readonly LoggedOperation[];
  readonly #root: string;
  readonly #tree = new DirectoryNode();
  readonly #files = new Map<bigint, FileNode>();
  /** Where in the log each sync under way began. */
  readonly #syncs = new Map<number, number>();
  #position = 0;

  /** `root` is the watched directory, which was empty when the log began. */
  constructor(operations: readonly LoggedOperation[], root: string) {
    this.#operations = operations;
    this.#root = root;
  }

  /** Operations in the log. */
  get length(): number {
    return this.#operations.length;
  }

  /** When the last operation before the current point was logged. */
  get timeNs(): bigint {
    return this.#operations[this.#position - 1]?.timeNs ?? 0n;
  }

  /** Moves on until `position` operations are done; never back. */
  advanceTo(position: number): void {
    for (; this.#position < position; this.#position++) {
      const operation = this.#operations[this.#position];
      if (operation !== undefined) this.#advance(operation, this.#position);
    }
  }

  /** What a process would read of a file now; empty when there is none. */
  readLive(name: string): Uint8Array {
    const node = this.#lookUp(join(this.#root, name));
    return node instanceof FileNode ? node.live.bytes() : new Uint8Array(0);
  }

  /** Replaces `target` by the directory as a power cut at this point could leave it. */
  build(target: string, draw: Draw): void {
    const style = Math.floor(draw() * 4);
    const keptShare = style === 0 ? 0 : style === 1 ? 1 : draw();
    rmSync(target, { recursive: true, force: true });
    writeTree(target, this.#tree, { draw, keptShare, inOrder: style === 2 });
  }

  /** Replaces `target` by what processes see now. */
  buildLive(target: string): void {
    rmSync(target, { recursive: true, force: true });
    writeTree(target, this.#tree, { draw: () => 0, keptShare: 1, inOrder: true });
  }

  #advance(operation: LoggedOperation, sequence: number): void {
    const { kind, path, secondPath, inode, offset, data, flags } = operation;
    switch (kind) {
      case Kind.create: {
        const file = new FileNode();
        this.#files.set(inode, file);
        this.#name(path, file, sequence);
        return;
      }
      case Kind.makeDirectory:
        return this.#name(path, new DirectoryNode(), sequence);
      case Kind.unlink:
      case Kind.removeDirectory:
        return this.#name(path, undefined, sequence);
      case Kind.rename:
        return this.#rename(path, secondPath, sequence);
      case Kind.write:
        return this.#file(operation).change({ sequence, data, offset }, (flags & flagDurable) !== 0);
      case Kind.truncate:
        return this.#file(operation).change({ sequence, data: undefined, offset }, false);
      case Kind.syncBegin:
        this.#syncs.set(offset, sequence);
        return;
      case Kind.syncEnd: {
        // An unlinked file has no path; a directory may have the inode of a file that is gone.
        const node = this.#lookUp(path) ?? this.#files.get(inode);
        node?.synced(this.#syncs.get(offset) ?? 0, (flags & flagFailed) !== 0);
        this.#syncs.delete(offset);
        return;
      }
    }
  }

  #file({ inode, path }: LoggedOperation): FileNode {
    const file = this.#files.get(inode);
    if (file === undefined) throw new Error(`${path} was changed, but never created`);
    return file;
  }

  #rename(from: string, to: string, sequence: number): void {
    const node = this.#lookUp(from);
    if (node === undefined) throw new Error(`${from} was renamed, but never created`);
    if (dirname(from) === dirname(to)) {
      this.#directory(dirname(from)).change({
        sequence,
        names: [
          [basename(from), undefined],
          [basename(to), node],
        ],
      });
      return;
    }
    this.#name(from, undefined, sequence);
    this.#name(to, node, sequence);
  }

  #name(path: string, node: Node | undefined, sequence: number): void {
    if (path === this.#root) return;
    this.#directory(dirname(path)).change({ sequence, names: [[basename(path), node]] });
  }

  #directory(path: string): DirectoryNode {
    const node = this.#lookUp(path);
    if (!(node instanceof DirectoryNode)) throw new Error(`${path} is no directory`);
    return node;
  }

  #lookUp(path: string): Node | undefined {
    let node: Node | undefined = this.#tree;
    for (const name of path.slice(this.#root.length).split("/")) {
      if (name === "") continue;
      node = node instanceof DirectoryNode ? node.live.get(name) : undefined;
    }
    return node;
  }
}

interface Chance {
  readonly draw: Draw;
  /** Share of what was not synced that is kept. */
  readonly keptShare: number;
  /** Whether names are lost from the last change back, as a journal loses them, or any of them. */
  readonly inOrder: boolean;
}

function writeTree(target: string, directory: DirectoryNode, chance: Chance): void {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  const names = new Map(directory.durable);
  for (const change of directory.pending) {
    if (chance.draw() >= chance.keptShare) {
      if (chance.inOrder) break;
      continue;
    }
    applyNames(names, change);
  }
  for (const [name, node] of names) {
    const path = join(target, name);
    if (node instanceof DirectoryNode) writeTree(path, node, chance);
    else writeFileSync(path, contentAfter(node, chance), { mode: 0o600 });
  }
}

function contentAfter(file: FileNode, { draw, keptShare }: Chance): Uint8Array {
  if (file.pending.length === 0) return file.durable.bytes();
  const content = file.durable.copy();
  for (const { sequence, data, offset } of file.pending) {
    if (data === undefined) {
      if (draw() < keptShare) content.apply({ sequence, data, offset });
      continue;
    }
    for (let lo = 0; lo < data.length; ) {
      const hi = Math.min(data.length, (Math.floor((offset + lo) / sectorBytes) + 1) * sectorBytes - offset);
      if (draw() < keptShare) content.apply({ sequence, data: data.subarray(lo, hi), offset: offset + lo });
      lo = hi;
    }
  }
  return content.bytes();
}
