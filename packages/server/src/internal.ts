/** Parts of the server for the repository's own tools and tests. Not promised to users. */

export { BufferedBackend, type BufferedBackendOptions } from "./backend/buffered-backend.js";
export { currentDatabase, nextDatabase, removeStrays, switchDatabase } from "./backend/directory.js";
export { type Disk, DiskError, type DiskFile, type DiskLock, type Env, type Logger, type OpenMode } from "./env.js";
export { nodeDigest } from "./platform/digest.js";
export { createNodeEnv } from "./platform/env.js";
export { WalError } from "./wal/errors.js";
export { findLatestMark, listSegments, readLog, readSegment } from "./wal/log-reader.js";
export { Replay } from "./wal/replay.js";
export { type OpenedWal, type OpenOptions, Wal, type WalEnv, type WalOptions } from "./wal/wal.js";
