/** Parts of the server for the repository's own tools and tests. Not promised to users. */

export { BufferedBackend, type BufferedBackendOptions } from "./backend/buffered-backend.js";
export { currentDatabase, nextDatabase, removeStrays, switchDatabase } from "./backend/directory.js";
export type { Env, Logger } from "./env.js";
export { createNodeEnv } from "./platform/env.js";
export { WalError } from "./wal/errors.js";
export { findLatestMark } from "./wal/log-reader.js";
export { type OpenedWal, type OpenOptions, Wal, type WalEnv, type WalOptions } from "./wal/wal.js";
