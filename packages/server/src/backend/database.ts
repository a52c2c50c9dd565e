/**
 * The committed part of the live database, as the backend needs it: ordered tables of byte rows, one durable
 * transaction at a time, and reads of one snapshot. Implemented over LMDB in platform/.
 */

import type { BucketName } from "@etcd-ts/store";

/**
 * The tables, by number: etcd's buckets, in byte order of their names, and one for rows whose key is too long for the
 * database. Numbers are stored in batches in memory only; names are stored on disk.
 */
export const tableNames: readonly [...BucketName[], "overflow"] = [
  "alarm",
  "auth",
  "authRoles",
  "authUsers",
  "cluster",
  "key",
  "lease",
  "members",
  "members_removed",
  "meta",
  "overflow",
];

/** A committed row; both views are valid during the call only. False ends the scan. */
export type DatabaseRowVisitor = (key: Uint8Array, value: Uint8Array) => boolean;

export interface DatabaseSize {
  /** Bytes allocated, free pages included. */
  readonly sizeBytes: number;
  readonly sizeInUseBytes: number;
}

/**
 * Operations in the order they are to be carried out; encoded by `BatchWriter`. The blocks are lent: they do not change
 * until the commit has settled, and the database does not use them afterwards.
 */
export type Batch = readonly Uint8Array[];

/**
 * The committed state of one moment, which later commits do not change. It keeps the pages it reads from being used
 * again, so it must be released soon, and before the database is closed.
 */
export interface PinnedDatabase {
  /** As `Database.get`. */
  get(table: number, key: Uint8Array): Uint8Array | undefined;
  /** As `Database.scan`. */
  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void;
  /** Once; nothing may be read afterwards. */
  release(): void;
}

export interface Database {
  /** Longest key a row may have, in bytes. */
  readonly keySizeMax: number;
  /** The row as of the last `refresh`; a view that is valid until the next call. */
  get(table: number, key: Uint8Array): Uint8Array | undefined;
  /** Rows with lo ≤ key < hi in byte order; `hi` undefined means no bound. */
  scan(table: number, lo: Uint8Array, hi: Uint8Array | undefined, visit: DatabaseRowVisitor): void;
  /**
   * Carries out a batch in one transaction; resolves once it is durable. One at a time. Reads see it after `refresh`.
   */
  commit(batch: Batch): Promise<DatabaseSize>;
  /** Moves reads to the last commit. */
  refresh(): void;
  /** Pins what reads see now. */
  pin(): PinnedDatabase;
  /** As of opening. */
  size(): DatabaseSize;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Largest size of the file; address space, not memory or disk. */
  readonly mapSizeBytes?: number;
  /** What a commit must leave free on the disk at least; a commit that may not is refused. */
  readonly freeBytesMin?: number;
}
