/**
 * The synchronous port through which the replicated state machine reaches the live database.
 *
 * A backend is a set of named buckets of byte keys. Writes go to a buffer that every later read consults first, so
 * a reader always sees its own writes; an implementation commits the buffer later, in whole entries only: what lies
 * between two `sealEntry` calls reaches the disk in one transaction, together with the index and term given to the
 * second call. A crash therefore leaves the database exactly as some entry left it.
 *
 * The `key` bucket has its own methods because it is the hot path: its rows are addressed by revision numbers, not by
 * key bytes. Rows order by (main, sub); a tombstone is a row whose `tombstone` flag is set.
 *
 * Implementations: `MemoryBackend` here (tests, simulation, `--memory`), LMDB in the server package.
 */

export type BucketName =
  | "alarm"
  | "auth"
  | "authRoles"
  | "authUsers"
  | "cluster"
  | "key"
  | "lease"
  | "members"
  | "members_removed"
  | "meta";

/** All buckets, in byte order of their names. */
export const bucketNames: readonly BucketName[] = [
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
];

/**
 * Receives a row. `value` is a view that is valid only during the call: copy what must outlive it.
 * Returning false ends the scan.
 */
export type RecordVisitor = (main: number, sub: number, tombstone: boolean, value: Uint8Array) => boolean;
export type RowVisitor = (key: Uint8Array, value: Uint8Array) => boolean;

export interface Backend {
  /** The value of a row that is not a tombstone; a view valid until the next call on this backend. */
  getRecord(main: number, sub: number): Uint8Array | undefined;
  /** Adds or replaces a row. `value` is copied. */
  putRecord(main: number, sub: number, tombstone: boolean, value: Uint8Array): void;
  deleteRecord(main: number, sub: number, tombstone: boolean): void;
  /** Rows with (loMain, loSub) ≤ (main, sub) < (hiMain, 0), ascending. The visitor must not write. */
  scanRecords(loMain: number, loSub: number, hiMain: number, visit: RecordVisitor): void;

  /** Any bucket, by key bytes (for `key`: the 17 or 18 bytes of etcd's revision encoding). Views as above. */
  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined;
  put(bucket: Exclude<BucketName, "key">, key: Uint8Array, value: Uint8Array): void;
  delete(bucket: Exclude<BucketName, "key">, key: Uint8Array): void;
  /** Rows with lo ≤ key < hi in byte order; `hi` undefined means no upper bound. The visitor must not write. */
  scan(bucket: BucketName, lo: Uint8Array, hi: Uint8Array | undefined, visit: RowVisitor): void;

  /**
   * Ends an entry: everything written since the previous call belongs to it and is from now on eligible for the next
   * commit, which also stores `meta/consistent_index` = index and, when term > 0, `meta/term` = term (8 bytes BE each).
   */
  sealEntry(index: number, term: number): void;
  /** Asks that what is sealed be committed now instead of at the next interval; does not wait. */
  requestCommit(): void;

  /** Bytes of the database as etcd reports them: allocated, and allocated minus free. As of the last commit. */
  sizeBytes(): number;
  sizeInUseBytes(): number;
}
