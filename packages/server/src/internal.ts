/** Parts of the server for the repository's own tools and tests. Not promised to users. */

export { forEachOperation } from "./backend/batch.js";
export { BufferedBackend, type BufferedBackendOptions } from "./backend/buffered-backend.js";
export {
  type Batch,
  type Database,
  type DatabaseRowVisitor,
  type DatabaseSize,
  type PinnedDatabase,
  tableNames,
} from "./backend/database.js";
export { currentDatabase, nextDatabase, removeStrays, switchDatabase } from "./backend/directory.js";
export { BootstrapError } from "./config/bootstrap-error.js";
export { configFromFlags } from "./config/load-config.js";
export type { MemberConfig } from "./config/member-config.js";
export type {
  Clock,
  Digest,
  Listener,
  LogFields,
  LogLevel,
  Network,
  PeerStream,
  PostRequest,
  PostResponse,
  Random,
  ServedBody,
  ServedRequest,
  Timer,
} from "./env.js";
export { type Disk, DiskError, type DiskFile, type DiskLock, type Env, type Logger, type OpenMode } from "./env.js";
export { versionBody } from "./http/client-handler.js";
export { countCalls } from "./metrics/counted-services.js";
export { MemberMetrics } from "./metrics/member-metrics.js";
export { type MemberLimits, type OpenedMember, openMember } from "./node/bootstrap.js";
export { CorruptionMonitor } from "./node/corruption-monitor.js";
export type { Member } from "./node/member.js";
export { memberProbe } from "./node/probe.js";
export { promoteHere } from "./node/promotion.js";
export { publishAttributes } from "./node/publisher.js";
export { VersionMonitor } from "./node/version-monitor.js";
export { corruptionOptions } from "./peers/peer-hashes.js";
export { PeerNetwork } from "./peers/peer-network.js";
export { nodeDigest } from "./platform/digest.js";
export { createNodeEnv } from "./platform/env.js";
export { type IssuedCertificate, issueCertificate } from "./platform/issue-certificate.js";
export { HealthService } from "./rpc/health.js";
export { memberServices } from "./rpc/services.js";
export { derName, derSigned, derTime, ecdsaWithSha512 } from "./tls/certificate.js";
export { der, derInteger, derTag } from "./tls/der.js";
export { WalError } from "./wal/errors.js";
export { findLatestMark, listSegments, readLog, readSegment, segmentsFrom } from "./wal/log-reader.js";
export { Replay } from "./wal/replay.js";
export { type OpenedWal, type OpenOptions, Wal, type WalEnv, type WalOptions } from "./wal/wal.js";
