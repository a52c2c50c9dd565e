/**
 * The metric families a member exposes, with etcd's names, types, labels and buckets.
 * Source: the exposition of etcd 3.7.3.
 */

import { grpcCodeNames } from "@etcd-ts/api";
import type { Histogram } from "./histogram.js";
import type { LabelledHistograms, LabelledNumbers, LabelValues } from "./labelled.js";
import type { GrpcMethodMetrics, MemberMetrics, PeerMetrics, SnapshotMetrics } from "./member-metrics.js";

/** One line of the exposition, or the lines of one histogram. */
export type Series =
  | { readonly labels: LabelValues; readonly value: number }
  | { readonly labels: LabelValues; readonly histogram: Histogram };

export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** In the order of every series' label values. */
  readonly labels: readonly string[];
  readonly read: (metrics: MemberMetrics) => Iterable<Series>;
}

type ReadNumber = (metrics: MemberMetrics) => number;

function counter(name: string, help: string, read: ReadNumber): Family {
  return { name, type: "counter", help, labels: [], read: (metrics) => [{ labels: [], value: read(metrics) }] };
}

function gauge(name: string, help: string, read: ReadNumber): Family {
  return { ...counter(name, help, read), type: "gauge" };
}

function histogram(name: string, help: string, read: (metrics: MemberMetrics) => Histogram): Family {
  return { name, type: "histogram", help, labels: [], read: (metrics) => [{ labels: [], histogram: read(metrics) }] };
}

type ReadNumbers = (metrics: MemberMetrics) => LabelledNumbers;

function counters(name: string, labels: readonly string[], help: string, read: ReadNumbers): Family {
  return { name, type: "counter", help, labels, read: (metrics) => read(metrics).cells() };
}

function gauges(name: string, labels: readonly string[], help: string, read: ReadNumbers): Family {
  return { ...counters(name, labels, help, read), type: "gauge" };
}

type ReadHistograms = (metrics: MemberMetrics) => LabelledHistograms;

function histograms(name: string, labels: readonly string[], help: string, read: ReadHistograms): Family {
  return { name, type: "histogram", help, labels, read: (metrics) => read(metrics).histograms() };
}

/** A gauge that is 1 and says something by its label; absent while there is nothing to say. */
function fact(name: string, label: string, help: string, read: (metrics: MemberMetrics) => string): Family {
  const series = (text: string) => (text === "" ? [] : [{ labels: [text], value: 1 }]);
  return { name, type: "gauge", help, labels: [label], read: (metrics) => series(read(metrics)) };
}

/** Present in etcd, and always empty there too: its v2 store and its proxy, which this member has not. */
function unused(type: "counter" | "gauge", name: string): Family {
  return { ...counter(name, "Always 0; kept because etcd exposes it.", () => 0), type };
}

type PeerSeries = (peer: PeerMetrics) => { readonly value: number } | { readonly histogram: Histogram };

/** By the other member's id under `label`; by both ids when the label is `Remote`. */
function byPeer(
  type: Family["type"],
  name: string,
  label: "From" | "Remote" | "To",
  help: string,
  read: PeerSeries,
): Family {
  const labels = label === "Remote" ? ["Local", "Remote"] : [label];
  return {
    name,
    type,
    help,
    labels,
    *read(metrics) {
      for (const [id, peer] of metrics.peers()) {
        if (id === metrics.memberId && name !== "etcd_network_known_peers") continue;
        yield { labels: label === "Remote" ? [metrics.memberId, id] : [id], ...read(peer) };
      }
    },
  };
}

function snapshots(
  direction: "receive" | "send",
  label: "From" | "To",
  of: (peer: PeerMetrics) => SnapshotMetrics,
): Family[] {
  const prefix = `etcd_network_snapshot_${direction}`;
  const what = direction === "send" ? "snapshots sent to a member" : "snapshots received from a member";
  return [
    byPeer("counter", `${prefix}_success`, label, `Number of ${what}.`, (peer) => ({ value: of(peer).successes })),
    byPeer("counter", `${prefix}_failures`, label, `Number of ${what} that failed.`, (peer) => ({
      value: of(peer).failures,
    })),
    byPeer("gauge", `${prefix}_inflights_total`, label, `Number of ${what} that are under way.`, (peer) => ({
      value: of(peer).inflight,
    })),
    byPeer("histogram", `${prefix}_total_duration_seconds`, label, `Time taken by ${what}.`, (peer) => ({
      histogram: of(peer).seconds,
    })),
  ];
}

const grpcLabels = ["grpc_method", "grpc_service", "grpc_type"];

/** Services whose methods are listed before their first call. */
const presetServices = /^(etcdserverpb\.|grpc\.health\.v1\.)/;

type GrpcSeries = (method: GrpcMethodMetrics, labels: LabelValues) => Iterable<Series>;

function grpc(
  type: Family["type"],
  name: string,
  help: string,
  read: GrpcSeries,
  more: readonly string[] = [],
): Family {
  return {
    name,
    type,
    help,
    labels: [...more, ...grpcLabels],
    *read(metrics) {
      for (const method of metrics.grpcMethods.values()) {
        if (method.started === 0 && !presetServices.test(method.service)) continue;
        yield* read(method, [method.method, method.service, method.type]);
      }
    },
  };
}

function* handledByCode({ handled }: GrpcMethodMetrics, labels: LabelValues): Iterable<Series> {
  for (const [code, name] of grpcCodeNames.entries()) yield { labels: [name, ...labels], value: handled[code] ?? 0 };
}

/** All families but those of the process, in order of their names. */
export const families: readonly Family[] = [
  // Who this is.
  fact("etcd_cluster_version", "cluster_version", "Version the cluster runs at.", (m) => m.clusterVersion),
  fact("etcd_server_version", "server_version", "Version of this member.", (m) => m.serverVersion),
  fact("etcd_server_go_version", "server_go_version", "What this member runs on.", (m) => m.runtimeVersion),
  fact("etcd_server_id", "server_id", "This member's id.", (m) => m.memberId),
  gauges("etcd_server_feature_enabled", ["name", "stage"], "Whether a feature gate is on.", (m) => m.featureEnabled),

  // Consensus.
  gauge("etcd_server_has_leader", "Whether a leader is known.", (m) => m.hasLeader),
  gauge("etcd_server_is_leader", "Whether this member leads.", (m) => m.isLeader),
  gauge("etcd_server_is_learner", "Whether this member is a learner.", (m) => m.isLearner),
  counter("etcd_server_leader_changes_seen_total", "Changes of leader seen.", (m) => m.leaderChanges),
  counters("etcd_server_learner_promote_failures", ["Reason"], "Promotions refused.", (m) => m.learnerPromoteFailures),
  counter("etcd_server_learner_promote_successes", "Promotions done.", (m) => m.learnerPromoteSuccesses),
  counter("etcd_server_heartbeat_send_failures_total", "Heartbeats sent late.", (m) => m.heartbeatSendFailures),
  gauge(
    "etcd_server_snapshot_apply_in_progress_total",
    "Whether a snapshot is being applied.",
    (m) => m.snapshotApplyInProgress,
  ),
  gauge("etcd_server_proposals_committed_total", "Index of the last committed entry.", (m) => m.proposalsCommitted),
  gauge("etcd_server_proposals_applied_total", "Index of the last applied entry.", (m) => m.proposalsApplied),
  gauge("etcd_server_proposals_pending", "Proposals that wait for their entry.", (m) => m.proposalsPending),
  counter("etcd_server_proposals_failed_total", "Proposals that failed.", (m) => m.proposalsFailed),
  counter(
    "etcd_server_slow_read_indexes_total",
    "Linearizable reads that waited long for their index.",
    (m) => m.slowReadIndexes,
  ),
  counter("etcd_server_read_indexes_failed_total", "Linearizable reads that got no index.", (m) => m.readIndexesFailed),

  // Requests.
  histograms(
    "etcd_server_request_duration_seconds",
    ["success", "type"],
    "Time taken by requests.",
    (m) => m.requestSeconds,
  ),
  histograms(
    "etcd_server_apply_duration_seconds",
    ["op", "success", "version"],
    "Time taken to apply entries.",
    (m) => m.applySeconds,
  ),
  histograms("etcd_server_range_duration_seconds", ["success"], "Time taken by ranges.", (m) => m.rangeSeconds),
  counter("etcd_server_slow_apply_total", "Applies slower than --warning-apply-duration.", (m) => m.slowApplies),
  counters(
    "etcd_server_client_requests_total",
    ["client_api_version", "type"],
    "Requests by client version.",
    (m) => m.clientRequests,
  ),
  counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of messages sent to clients.", (m) => m.clientSentBytes),
  counter(
    "etcd_network_client_grpc_received_bytes_total",
    "Bytes of messages received from clients.",
    (m) => m.clientReceivedBytes,
  ),
  counters(
    "etcd_network_server_stream_failures_total",
    ["API", "Type"],
    "Failures of streams.",
    (m) => m.streamFailures,
  ),
  grpc("counter", "grpc_server_started_total", "Calls started.", (method, labels) => [
    { labels, value: method.started },
  ]),
  grpc("counter", "grpc_server_handled_total", "Calls ended, by status.", handledByCode, ["grpc_code"]),
  grpc("counter", "grpc_server_msg_received_total", "Messages received.", (method, labels) => [
    { labels, value: method.messagesReceived },
  ]),
  grpc("counter", "grpc_server_msg_sent_total", "Messages sent.", (method, labels) => [
    { labels, value: method.messagesSent },
  ]),
  grpc("histogram", "grpc_server_handling_seconds", "Time taken by calls.", ({ handlingSeconds }, labels) =>
    handlingSeconds === undefined ? [] : [{ labels, histogram: handlingSeconds }],
  ),

  // Health.
  counter("etcd_server_health_success", "Answers of /health that were good.", (m) => m.healthSuccesses),
  counter("etcd_server_health_failures", "Answers of /health that were bad.", (m) => m.healthFailures),
  gauges("etcd_server_healthcheck", ["name", "type"], "Whether a check's last run was good.", (m) => m.healthCheck),
  counters("etcd_server_healthchecks_total", ["name", "status", "type"], "Runs of a check.", (m) => m.healthChecks),
  gauges("etcd_debugging_server_alarms", ["alarm_type", "server_id"], "Whether an alarm is on.", (m) => m.alarms),

  // Store.
  counter("etcd_mvcc_range_total", "Ranges.", (m) => m.ranges),
  counter("etcd_mvcc_put_total", "Puts.", (m) => m.puts),
  counter("etcd_mvcc_delete_total", "Deletes.", (m) => m.deletes),
  counter("etcd_mvcc_txn_total", "Transactions.", (m) => m.txns),
  gauge("etcd_debugging_mvcc_keys_total", "Keys that exist.", (m) => m.keys),
  gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes put.", (m) => m.totalPutBytes),
  gauge("etcd_debugging_mvcc_current_revision", "Revision of the store.", (m) => m.currentRevision),
  gauge("etcd_debugging_mvcc_compact_revision", "Revision of the last compaction.", (m) => m.compactRevision),
  counter("etcd_debugging_mvcc_db_compaction_keys_total", "Revisions removed by compactions.", (m) => m.compactedKeys),
  gauge("etcd_debugging_mvcc_db_compaction_last", "Unix time of the last compaction.", (m) => m.lastCompactionSeconds),
  histogram(
    "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
    "Pauses of the index by compactions.",
    (m) => m.indexCompactionPauseMs,
  ),
  histogram(
    "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
    "Pauses of the database by compactions.",
    (m) => m.dbCompactionPauseMs,
  ),
  histogram(
    "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
    "Time taken by compactions.",
    (m) => m.dbCompactionTotalMs,
  ),
  histogram("etcd_mvcc_hash_duration_seconds", "Time taken to hash the database.", (m) => m.hashSeconds),
  histogram("etcd_mvcc_hash_rev_duration_seconds", "Time taken to hash up to a revision.", (m) => m.hashRevSeconds),
  gauge("etcd_debugging_auth_revision", "Revision of users and roles.", (m) => m.authRevision),

  // Watch.
  gauge("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", (m) => m.watchStreams),
  gauge("etcd_debugging_mvcc_watcher_total", "Watchers.", (m) => m.watchers),
  gauge("etcd_debugging_mvcc_slow_watcher_total", "Watchers that lag.", (m) => m.slowWatchers),
  counter("etcd_debugging_mvcc_events_total", "Events sent.", (m) => m.events),
  gauge("etcd_debugging_mvcc_pending_events_total", "Events that wait to be sent.", (m) => m.pendingEvents),
  histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds",
    "Time taken to send a watch response.",
    (m) => m.watchSendSeconds,
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds",
    "The same for each event.",
    (m) => m.watchSendPerEventSeconds,
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds",
    "Time taken to send a control response.",
    (m) => m.watchControlSeconds,
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_progress_duration_seconds",
    "Time taken by a round of progress.",
    (m) => m.watchProgressSeconds,
  ),

  // Leases.
  counter("etcd_debugging_lease_granted_total", "Leases granted.", (m) => m.leasesGranted),
  counter("etcd_debugging_lease_revoked_total", "Leases revoked.", (m) => m.leasesRevoked),
  counter("etcd_debugging_lease_renewed_total", "Renewals.", (m) => m.leasesRenewed),
  counter("etcd_debugging_server_lease_expired_total", "Leases expired.", (m) => m.leasesExpired),
  histogram("etcd_debugging_lease_ttl_total", "Seconds that leases were granted for.", (m) => m.leaseTtlSeconds),

  // Disk.
  gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes allocated to the database.", (m) => m.dbSizeBytes),
  gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes in use of the database.", (m) => m.dbSizeInUseBytes),
  gauge("etcd_mvcc_db_open_read_transactions", "Open read transactions.", (m) => m.dbOpenReadTransactions),
  gauge("etcd_server_quota_backend_bytes", "Quota of the database.", (m) => m.quotaBackendBytes),
  histogram("etcd_disk_backend_commit_duration_seconds", "Time taken by commits.", (m) => m.backendCommitSeconds),
  histogram(
    "etcd_debugging_disk_backend_commit_write_duration_seconds",
    "Time taken to write commits.",
    (m) => m.backendCommitWriteSeconds,
  ),
  histogram(
    "etcd_disk_backend_snapshot_duration_seconds",
    "Time taken to send the database.",
    (m) => m.backendSnapshotSeconds,
  ),
  histogram(
    "etcd_disk_backend_defrag_duration_seconds",
    "Time taken by defragmentations.",
    (m) => m.backendDefragSeconds,
  ),
  gauge("etcd_disk_defrag_inflight", "Whether a defragmentation is under way.", (m) => m.defragInflight),
  histogram("etcd_disk_wal_fsync_duration_seconds", "Time taken to sync the log.", (m) => m.walFsyncSeconds),
  histogram("etcd_disk_wal_write_duration_seconds", "Time taken to write the log.", (m) => m.walWriteSeconds),
  gauge("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", (m) => m.walWriteBytes),
  histogram(
    "etcd_snap_db_save_total_duration_seconds",
    "Time taken to store a received snapshot.",
    (m) => m.snapDbSaveSeconds,
  ),
  histogram(
    "etcd_snap_db_fsync_duration_seconds",
    "Time taken to sync a received snapshot.",
    (m) => m.snapDbFsyncSeconds,
  ),

  // Network between members.
  byPeer("gauge", "etcd_network_known_peers", "Remote", "Members known.", () => ({ value: 1 })),
  byPeer("gauge", "etcd_network_active_peers", "Remote", "Members connected.", (peer) => ({ value: peer.active })),
  byPeer("counter", "etcd_network_disconnected_peers_total", "Remote", "Connections lost.", (peer) => ({
    value: peer.disconnections,
  })),
  byPeer("counter", "etcd_network_peer_sent_bytes_total", "To", "Bytes sent to a member.", (peer) => ({
    value: peer.sentBytes,
  })),
  byPeer("counter", "etcd_network_peer_received_bytes_total", "From", "Bytes received from a member.", (peer) => ({
    value: peer.receivedBytes,
  })),
  byPeer("counter", "etcd_network_peer_sent_failures_total", "To", "Messages to a member that failed.", (peer) => ({
    value: peer.sentFailures,
  })),
  byPeer(
    "counter",
    "etcd_network_peer_received_failures_total",
    "From",
    "Messages from a member that failed.",
    (peer) => ({ value: peer.receivedFailures }),
  ),
  byPeer("histogram", "etcd_network_peer_round_trip_time_seconds", "To", "Round trips to a member.", (peer) => ({
    histogram: peer.roundTripSeconds,
  })),
  ...snapshots("send", "To", (peer) => peer.snapshotSent),
  ...snapshots("receive", "From", (peer) => peer.snapshotReceived),

  unused("gauge", "etcd_grpc_proxy_cache_hits_total"),
  unused("gauge", "etcd_grpc_proxy_cache_keys_total"),
  unused("gauge", "etcd_grpc_proxy_cache_misses_total"),
  unused("counter", "etcd_grpc_proxy_events_coalescing_total"),
  unused("gauge", "etcd_grpc_proxy_watchers_coalescing_total"),
  unused("counter", "etcd_debugging_store_expires_total"),
  unused("counter", "etcd_debugging_store_watch_requests_total"),
  unused("gauge", "etcd_debugging_store_watchers"),
].sort((a, b) => (a.name < b.name ? -1 : 1));
