/** Why a log is refused. `path` is the file or directory, `offset` the byte in it where reading stopped, if any. */
export class WalError extends Error {
  override readonly name = "WalError";
  readonly code: WalErrorCode;
  readonly path: string;
  readonly offset: number | undefined;

  constructor(code: WalErrorCode, reason: string, path: string, offset?: number) {
    super(`wal: ${reason} (${path}${offset === undefined ? "" : `, offset ${offset}`})`);
    this.code = code;
    this.path = path;
    this.offset = offset;
  }
}

/**
 * - `corrupt`: bytes that no crash leaves behind. Never repaired here: the log held more than can be read.
 * - `incomplete`: the log ends before what the backend already holds, or a segment is missing.
 * - `snapshotNotFound`, `snapshotMismatch`: the log has no mark at the index it was to be opened at, or another term.
 * - `locked`: another process has the log open.
 * - `exists`: a log is already there.
 */
export type WalErrorCode = "corrupt" | "incomplete" | "snapshotNotFound" | "snapshotMismatch" | "locked" | "exists";
