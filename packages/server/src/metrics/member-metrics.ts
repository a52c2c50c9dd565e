/**
 * What a member counts, as plain fields: whoever does the work adds to a field, and a scrape reads them all. Fields
 * that mirror a state (`hasLeader`, sizes, revisions) may be set when they change or all at once before a scrape; see
 * `MetricsRegistry`.
 *
 * Names say the unit; switches are 0 or 1. Labels are given in byte order of their names, as etcd prints them. Families
 * of the exposition are in `families.ts`.
 */

import { allMethods } from "@etcd-ts/api";
import { exponentialBounds, Histogram } from "./histogram.js";
import { LabelledHistograms, LabelledNumbers } from "./labelled.js";

/** Counts of one gRPC method. */
export interface GrpcMethodMetrics {
  readonly service: string;
  readonly method: string;
  readonly type: "unary" | "client_stream" | "server_stream" | "bidi_stream";
  started: number;
  /** By gRPC status code. */
  readonly handled: Float64Array;
  messagesReceived: number;
  messagesSent: number;
  /** Seconds; undefined unless metrics are extensive. */
  readonly handlingSeconds: Histogram | undefined;
}

/** Counts of the traffic with one other member. */
export interface PeerMetrics {
  active: number;
  disconnections: number;
  sentBytes: number;
  receivedBytes: number;
  sentFailures: number;
  receivedFailures: number;
  readonly roundTripSeconds: Histogram;
  readonly snapshotSent: SnapshotMetrics;
  readonly snapshotReceived: SnapshotMetrics;
}

export interface SnapshotMetrics {
  successes: number;
  failures: number;
  inflight: number;
  readonly seconds: Histogram;
}

const grpcStatusCodes = 17;

/** 1 ms to 8.2 s, as etcd's disks are measured. */
const diskBounds = exponentialBounds(0.001, 2, 14);
const snapshotBounds = exponentialBounds(0.1, 2, 10);
const applyBounds = exponentialBounds(0.0001, 2, 20);
const hashBounds = exponentialBounds(0.01, 2, 15);

export interface MemberMetricsOptions {
  /** Also measures how long gRPC calls take. */
  readonly extensive: boolean;
}

export class MemberMetrics {
  // Who this is.
  /** Lower-case hexadecimal; "" until known. */
  memberId = "";
  serverVersion = "";
  /** `major.minor`; "" until known. */
  clusterVersion = "";
  /** What runs the server; etcd reports its Go version here. */
  runtimeVersion = "";
  /** 1 when on: `with(name, stage)`. */
  readonly featureEnabled: LabelledNumbers = new LabelledNumbers();

  // Consensus.
  hasLeader = 0;
  isLeader = 0;
  isLearner = 0;
  leaderChanges = 0;
  /** `with(reason)`. */
  readonly learnerPromoteFailures: LabelledNumbers = new LabelledNumbers();
  learnerPromoteSuccesses = 0;
  heartbeatSendFailures = 0;
  snapshotApplyInProgress = 0;
  proposalsCommitted = 0;
  proposalsApplied = 0;
  proposalsPending = 0;
  proposalsFailed = 0;
  slowReadIndexes = 0;
  readIndexesFailed = 0;

  // Requests.
  /** `with("true", "Put")`: success, type. */
  readonly requestSeconds: LabelledHistograms = new LabelledHistograms(diskBounds);
  /** `with("Put", "true", "v3")`: operation, success, version. */
  readonly applySeconds: LabelledHistograms = new LabelledHistograms(applyBounds);
  /** `with("true")`: success. */
  readonly rangeSeconds: LabelledHistograms = new LabelledHistograms(applyBounds);
  slowApplies = 0;
  /** `with(clientApiVersion, type)`; version `unknown` when the client sends none, type `unary` or `stream`. */
  readonly clientRequests: LabelledNumbers = new LabelledNumbers();
  clientSentBytes = 0;
  clientReceivedBytes = 0;
  /** `with(api, type)`: `watch` or `lease-keepalive`, `receive` or `send`. */
  readonly streamFailures: LabelledNumbers = new LabelledNumbers();
  /** By path, e.g. `/etcdserverpb.KV/Put`. */
  readonly grpcMethods: ReadonlyMap<string, GrpcMethodMetrics>;

  // Health.
  healthSuccesses = 0;
  healthFailures = 0;
  /** 1 when the last run was good: `with(name, type)`, type `livez` or `readyz`. */
  readonly healthCheck: LabelledNumbers = new LabelledNumbers();
  /** `with(name, status, type)`, status `success` or `error`. */
  readonly healthChecks: LabelledNumbers = new LabelledNumbers();
  /** 1 while on: `with(alarmType, memberId)`, the id in lower-case hexadecimal. */
  readonly alarms: LabelledNumbers = new LabelledNumbers();

  // Store.
  ranges = 0;
  puts = 0;
  deletes = 0;
  txns = 0;
  keys = 0;
  totalPutBytes = 0;
  currentRevision = 0;
  compactRevision = 0;
  compactedKeys = 0;
  /** Unix time in seconds. */
  lastCompactionSeconds = 0;
  readonly indexCompactionPauseMs: Histogram = new Histogram(exponentialBounds(0.5, 2, 14));
  readonly dbCompactionPauseMs: Histogram = new Histogram(exponentialBounds(1, 2, 13));
  readonly dbCompactionTotalMs: Histogram = new Histogram(exponentialBounds(100, 2, 14));
  readonly hashSeconds: Histogram = new Histogram(hashBounds);
  readonly hashRevSeconds: Histogram = new Histogram(hashBounds);
  authRevision = 0;

  // Watch.
  watchStreams = 0;
  watchers = 0;
  slowWatchers = 0;
  events = 0;
  pendingEvents = 0;
  readonly watchSendSeconds: Histogram = new Histogram(diskBounds);
  readonly watchSendPerEventSeconds: Histogram = new Histogram(diskBounds);
  readonly watchControlSeconds: Histogram = new Histogram(diskBounds);
  readonly watchProgressSeconds: Histogram = new Histogram(diskBounds);

  // Leases.
  leasesGranted = 0;
  leasesRevoked = 0;
  leasesRenewed = 0;
  leasesExpired = 0;
  readonly leaseTtlSeconds: Histogram = new Histogram(exponentialBounds(1, 2, 24));

  // Disk.
  dbSizeBytes = 0;
  dbSizeInUseBytes = 0;
  dbOpenReadTransactions = 0;
  quotaBackendBytes = 0;
  readonly backendCommitSeconds: Histogram = new Histogram(diskBounds);
  readonly backendCommitWriteSeconds: Histogram = new Histogram(diskBounds);
  readonly backendSnapshotSeconds: Histogram = new Histogram(exponentialBounds(0.01, 2, 17));
  readonly backendDefragSeconds: Histogram = new Histogram(exponentialBounds(0.1, 2, 13));
  defragInflight = 0;
  readonly walFsyncSeconds: Histogram = new Histogram(diskBounds);
  readonly walWriteSeconds: Histogram = new Histogram(diskBounds);
  walWriteBytes = 0;
  readonly snapDbSaveSeconds: Histogram = new Histogram(snapshotBounds);
  readonly snapDbFsyncSeconds: Histogram = new Histogram(diskBounds);

  // Network between members.
  readonly #peers = new Map<string, PeerMetrics>();

  constructor({ extensive }: MemberMetricsOptions) {
    this.grpcMethods = new Map(
      allMethods.map((method) => [
        method.path,
        {
          service: method.service,
          method: method.name,
          type: callType(method),
          started: 0,
          handled: new Float64Array(grpcStatusCodes),
          messagesReceived: 0,
          messagesSent: 0,
          handlingSeconds: extensive
            ? new Histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
            : undefined,
        },
      ]),
    );
  }

  /** The counts of a member of the cluster, by its id in lower-case hexadecimal. */
  peer(id: string): PeerMetrics {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const peer = createPeerMetrics();
    this.#peers.set(id, peer);
    return peer;
  }

  /** Forgets a member that was removed. */
  removePeer(id: string): void {
    this.#peers.delete(id);
  }

  peers(): Iterable<readonly [id: string, peer: PeerMetrics]> {
    return this.#peers.entries();
  }
}

export function createPeerMetrics(): PeerMetrics {
  const snapshots = () => ({ successes: 0, failures: 0, inflight: 0, seconds: new Histogram(snapshotBounds) });
  return {
    active: 0,
    disconnections: 0,
    sentBytes: 0,
    receivedBytes: 0,
    sentFailures: 0,
    receivedFailures: 0,
    roundTripSeconds: new Histogram(exponentialBounds(0.0001, 2, 16)),
    snapshotSent: snapshots(),
    snapshotReceived: snapshots(),
  };
}

function callType(method: {
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}): GrpcMethodMetrics["type"] {
  if (method.clientStreaming) return method.serverStreaming ? "bidi_stream" : "client_stream";
  return method.serverStreaming ? "server_stream" : "unary";
}
