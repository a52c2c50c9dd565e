/** What a member is told at start: every setting, checked, with its unit in its name or comment. */

import type { MemberUrl } from "@etcd-ts/store";
import type { AutoCompaction } from "./auto-compaction.js";
import type { FeatureGates } from "./feature-gates.js";

export type LogLevelName = "debug" | "info" | "warn" | "error" | "panic" | "fatal";
export type TlsVersion = "TLS1.2" | "TLS1.3";

export interface MemberConfig {
  readonly name: string;
  /** Directory of the data. Not used when `memory` is set. */
  readonly dataDir: string;
  /** Separate directory of the WAL; undefined = within `dataDir`. */
  readonly walDir: string | undefined;
  /** Keep everything in memory. */
  readonly memory: boolean;

  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  /** 0 = keep all. */
  readonly maxWals: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;

  readonly listenPeerUrls: readonly MemberUrl[];
  readonly listenClientUrls: readonly MemberUrl[];
  /** When not empty, `listenClientUrls` serve gRPC only. */
  readonly listenClientHttpUrls: readonly MemberUrl[];
  readonly listenMetricsUrls: readonly MemberUrl[];
  readonly initialAdvertisePeerUrls: readonly MemberUrl[];
  readonly advertiseClientUrls: readonly MemberUrl[];

  /** `name=url,…` unparsed, since a member that has data ignores it. */
  readonly initialCluster: string;
  readonly initialClusterState: "new" | "existing";
  readonly initialClusterToken: string;
  /** Domain whose SRV records name the first members; "" = none. */
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  /** Undefined = none. */
  readonly discovery: DiscoveryConfig | undefined;
  readonly forceNewCluster: boolean;

  /** Bytes; negative = no quota. */
  readonly quotaBackendBytes: number;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly unsafeNoFsync: boolean;

  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
  readonly grpcKeepaliveMinTimeMs: number;
  /** 0 = never ping. */
  readonly grpcKeepaliveIntervalMs: number;
  readonly grpcKeepaliveTimeoutMs: number;
  readonly raftReadTimeoutMs: number;
  readonly raftWriteTimeoutMs: number;

  readonly featureGates: FeatureGates;
  readonly autoCompaction: AutoCompaction;
  /** 0 = never. */
  readonly corruptCheckMs: number;
  readonly compactHashCheckMs: number;
  readonly compactionBatchLimit: number;
  readonly compactionSleepIntervalMs: number;
  readonly watchProgressNotifyIntervalMs: number;
  /** 0 = never. */
  readonly downgradeCheckMs: number;
  readonly warningApplyMs: number;
  readonly warningUnaryRequestMs: number;

  readonly enableGrpcGateway: boolean;
  /** Empty or holding `*` = all. */
  readonly cors: readonly string[];
  /** Empty or holding `*` = all. */
  readonly hostWhitelist: readonly string[];
  /** True adds histograms of gRPC handling times. */
  readonly extensiveMetrics: boolean;

  readonly authToken: string;
  readonly bcryptCost: number;
  readonly authTokenTtlSeconds: number;

  readonly clientTls: TlsFiles;
  readonly peerTls: TlsFiles;
  readonly selfSignedCertValidityYears: number;
  /** Go's names; empty = the library's choice. */
  readonly cipherSuites: readonly string[];
  readonly tlsMinVersion: TlsVersion;
  readonly tlsMaxVersion: TlsVersion | undefined;

  readonly log: LogConfig;
}

/** How the first members find each other through another etcd cluster. Paths are "" when not given. */
export interface DiscoveryConfig {
  readonly token: string;
  readonly endpoints: readonly string[];
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** The endpoints say whether they are reached over TLS. */
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
  readonly cert: string;
  readonly key: string;
  readonly caCert: string;
  /** "" = nobody. */
  readonly user: string;
  readonly password: string;
}

/** Paths are "" when not given. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Shown on outgoing connections instead of `certFile`. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly clientCertAuth: boolean;
  readonly crlFile: string;
  readonly trustedCaFile: string;
  readonly autoTls: boolean;
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
  readonly skipClientSanVerification: boolean;
  /** The certificates were made by the members themselves: nobody's can be verified. */
  readonly isSelfSigned: boolean;
  /** Name that the other side's certificates must be good for, instead of the host connected to; "" = that host. */
  readonly serverName: string;
}

/** The log goes to standard error. */
export interface LogConfig {
  readonly level: LogLevelName;
  readonly format: "json" | "console";
}

/** Facts of the machine that the defaults depend on. */
export interface HostFacts {
  /** Address of the default route's interface; undefined when there is none. */
  readonly defaultHost: string | undefined;
}
