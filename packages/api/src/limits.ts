/**
 * Defaults and limits that more than one package reads, each written once. Flags override the defaults.
 *
 * Source, where no other is named: etcd 3.7, server/embed/config.go and server/etcdserver/server.go.
 */

/** `--max-request-bytes`: a proposal's InternalRaftRequest in bytes. */
export const maxRequestBytes: number = 1.5 * 1024 * 1024;

/** A received gRPC message may be longer than `maxRequestBytes` by this much. */
export const grpcOverheadBytes: number = 512 * 1024;

/** `--max-txn-ops`: operations or comparisons of a transaction. */
export const maxTxnOps: number = 128;

/** `--max-concurrent-streams` on one client connection. */
export const maxConcurrentStreams: number = 2 ** 32 - 1;

/** `--quota-backend-bytes` 0: the database may grow to this. */
export const defaultQuotaBytes: number = 2 * 1024 ** 3;

/** Above this a quota is warned of: 8 GiB. */
export const maxQuotaBytes: number = 8 * 1024 ** 3;

/** `--max-learners`. */
export const maxLearners: number = 1;

/** `--heartbeat-interval` and `--election-timeout`, milliseconds. */
export const heartbeatIntervalMs: number = 100;
export const electionTimeoutMs: number = 1000;

/** `--snapshot-count`: applied entries between two snapshots. */
export const snapshotCount: number = 10_000;

/** `--snapshot-catchup-entries`: entries kept behind a snapshot for slow followers. */
export const snapshotCatchUpEntries: number = 5000;

/** `--max-wals`: segments of the log kept; 0 = all. */
export const maxWals: number = 5;

/** `--backend-batch-interval` 0, milliseconds, and `--backend-batch-limit` 0, operations. */
export const backendBatchIntervalMs: number = 100;
export const backendBatchLimit: number = 10_000;

/** `--compaction-batch-limit` 0, revisions, and `--compaction-sleep-interval` 0, milliseconds. */
export const compactionBatchLimit: number = 1000;
export const compactionSleepMs: number = 10;

/** `--watch-progress-notify-interval` 0, milliseconds. */
export const watchProgressNotifyMs: number = 10 * 60 * 1000;

/** Longest TTL a lease may be granted, seconds. Source: server/lease/lessor.go, MaxLeaseTTL. */
export const maxLeaseTtlSeconds: number = 9_000_000_000;

/** `--auth-token-ttl`, seconds, and `--bcrypt-cost`. */
export const authTokenTtlSeconds: number = 300;
export const bcryptCost: number = 10;

/** Bytes of the database in one message of Maintenance.Snapshot. Source: server/etcdserver/api/v3rpc/maintenance.go. */
export const snapshotChunkBytes: number = 32 * 1024;

/** A message on a peer stream, and the envelope of a snapshot, in bytes. Source: server/etcdserver/api/rafthttp. */
export const peerMessageBytesMax: number = 512 * 1024 * 1024;
export const snapshotEnvelopeBytesMax: number = 64 * 1024 * 1024;

/** Body of a lease request a follower forwards. Source: server/lease/leasehttp. */
export const leaseRequestBytesMax: number = 64 * 1024;
