/**
 * The world as the ported part of the server sees it. `platform/` implements these ports over Node; the simulator
 * implements them over virtual time. Nothing outside `platform/` and `main.ts` may reach the world another way.
 */

import type { Database, DatabaseOptions } from "./backend/database.js";

/** A timer that can be cancelled; cancelling a fired timer does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, fractional. Orders events and measures durations. */
  now(): number;
  /** Wall time in milliseconds since the Unix epoch; for display and id seeds only. */
  wallTime(): number;
  /** Runs `callback` once after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` after the events of this loop turn, before timers. */
  defer(callback: () => void): void;
}

export interface Random {
  /** A uniform integer in [0, bound). bound ≤ 2^32. */
  integer(bound: number): number;
  bytes(length: number): Uint8Array;
}

/** How a file is opened. `append` and `write` create it when missing (mode 0600); `read` does not. */
export type OpenMode = "read" | "write" | "append";

/**
 * An open file. Offsets and lengths are bytes. Every method may reject with `DiskError`; after a failed `sync`, what
 * was written since the last good one is in an unknown state, and the caller must stop the member.
 */
export interface DiskFile {
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` at `offset`. The bytes must not change until the promise settles. */
  write(offset: number, bytes: readonly Uint8Array[]): Promise<void>;
  /**
   * `write` and `syncData` in one step, synchronously in the loop. Only for a member that is the only voter and whose
   * disk is fast; blocks the loop for the duration of the fdatasync.
   */
  writeAndSyncNow(offset: number, bytes: readonly Uint8Array[]): void;
  /** `write` and `syncData` in one step off the loop. */
  writeAndSync(offset: number, bytes: readonly Uint8Array[]): Promise<void>;
  /** fdatasync. */
  syncData(): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Writes zeros over [offset, offset + length), off the loop, so that later writes need no allocation. */
  zero(offset: number, length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** An exclusive advisory lock on a file; released by `release` or by the end of the process, however it ends. */
export interface DiskLock {
  release(): Promise<void>;
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Whole file, or undefined when it does not exist. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** Names in a directory, sorted; empty when the directory does not exist. */
  list(path: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  /** Permission bits of a path, e.g. 0o700. */
  mode(path: string): Promise<number>;
  /**
   * Creates the directory and its parents with mode 0700, durably: their names are synced, and those of the last two
   * even if they existed.
   */
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a directory tree; missing is not an error. */
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names of a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Takes the lock without waiting; undefined when another process holds it. */
  lock(path: string): Promise<DiskLock | undefined>;
}

/** Of codes that an operator may meet. */
const meanings: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EIO: "input/output error",
  EROFS: "read-only file system",
};

/** `code` is the operating system's name of the failure: ENOSPC, EIO, EACCES, … */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: string;
  readonly path: string;
  constructor(operation: string, path: string, code: string, cause?: unknown) {
    const reason = meanings[code] === undefined ? code : `${code}: ${meanings[code]}`;
    super(`${operation} ${path}: ${reason}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = path;
  }
}

/** A SHA-256 of bytes that come in pieces. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Once. */
  finish(): Uint8Array;
}

export interface Digest {
  sha1(bytes: Uint8Array): Uint8Array;
  sha256(bytes: Uint8Array): Uint8Array;
  startSha256(): Sha256;
  /** CRC-32C of bytes[start, end) continued from `crc` (0 to start): a finished value, as Go's crc32.Update has it. */
  crc32c(crc: number, bytes: Uint8Array, start?: number, end?: number): number;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void;
}

/** The process itself. `exit` does not return in production. */
export interface ProcessPort {
  exit(code: number): void;
  onSignal(signal: "SIGTERM" | "SIGINT", handler: () => void): void;
}

/** A request to a peer's HTTP port and its whole answer. */
export interface PostRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  /** Chunks are pulled in order; undefined when there is no body. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Fields that follow a body which comes in chunks; asked for behind the last one. Lower-case names. */
  readonly trailers?: () => Readonly<Record<string, string>>;
  /** Milliseconds until the attempt is given up; 0 = never. */
  readonly timeoutMs: number;
  /** The answer's body may not be longer than this. */
  readonly responseBytesMax: number;
}

export interface PostResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A long-lived answer body. `onData` is called in order; `onEnd` once, with the error that ended it, if any. */
export interface PeerStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  start(onData: (chunk: Uint8Array) => void, onEnd: (error: Error | undefined) => void): void;
  close(): void;
}

/** A request that this member's peer port received. */
export interface ServedRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  /** The body; ends early with an error when the sender goes away. */
  body(): AsyncIterable<Uint8Array>;
  /** What followed the body, once that has ended. Lower-case names. */
  trailers(): Readonly<Record<string, string>>;
  /** Answers with a whole body and ends. */
  respond(status: number, headers: Readonly<Record<string, string>>, body: Uint8Array | string): void;
  /** Answers with a body that stays open. `write` false = the kernel's buffer is full until `onDrain`. */
  openBody(status: number, headers: Readonly<Record<string, string>>): ServedBody;
}

export interface ServedBody {
  write(bytes: Uint8Array): boolean;
  onDrain(callback: () => void): void;
  onClose(callback: () => void): void;
  end(): void;
}

export interface Listener {
  close(): Promise<void>;
}

/** Member to member traffic: requests and byte streams over HTTP/1.1. */
export interface Network {
  post(request: PostRequest): Promise<PostResponse>;
  openStream(request: Omit<PostRequest, "body" | "responseBytesMax">): Promise<PeerStream>;
  serve(url: string, handler: (request: ServedRequest) => void): Promise<Listener>;
}

export interface ServiceRecord {
  /** A host's name, perhaps with the dot of the root behind it. */
  readonly target: string;
  readonly port: number;
}

/** The name service. Every method rejects when there is no answer, or when the answer is that there is no such name. */
export interface Dns {
  /** SRV records of a name such as `_etcd-server._tcp.example.com`, the preferred ones first. */
  services(name: string): Promise<readonly ServiceRecord[]>;
  /** IP addresses of a host; an address is its own. */
  addresses(host: string): Promise<readonly string[]>;
  /** Names of an IP address. */
  names(address: string): Promise<readonly string[]>;
}

export interface Env {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  /** Opens the database in a directory, made if missing. Rejects with `DiskError`. */
  openDatabase(directory: string, options?: DatabaseOptions): Promise<Database>;
  readonly network: Network;
  readonly dns: Dns;
  readonly digest: Digest;
  readonly logger: Logger;
  readonly process: ProcessPort;
  /** Rare paths that a fault run may force; constant false in production. */
  fault(name: string): boolean;
}
