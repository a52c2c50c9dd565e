/**
 * Every flag of the `etcd` command, in one table: command line, `ETCD_*` variables, configuration file, `--help`, the
 * reference page and the sample file are all read from it.
 *
 * The environment name of a flag is `ETCD_` and its name in upper case with `_` for `-`; so it has no column.
 * Source: etcd 3.7 `etcd --help`, server/embed/config.go.
 */

/**
 * How a flag's text is understood:
 * - `uint`, `int`: Go integers (0x, 0o, 0b and `_` allowed), held as numbers saturated at ±(2^53 − 1);
 * - `duration`: Go durations such as `1h30m` on the command line, nanoseconds in the file; held as milliseconds;
 * - `choice`: one of `choices`;
 * - `list`: comma-separated; `set`: the same, sorted and without repeats;
 * - `urls`: comma-separated URLs, sorted; `origins`: URLs or `*`, kept as text;
 * - `gates`: `Name=true,Other=false`;
 * - `ignored`: any value, or none.
 */
export type FlagKind =
  | "bool"
  | "choice"
  | "duration"
  | "gates"
  | "ignored"
  | "int"
  | "list"
  | "origins"
  | "set"
  | "string"
  | "uint"
  | "uint32"
  | "urls";

/**
 * What becomes of a flag here:
 * - `full`: it does what etcd's does;
 * - `inert`: accepted, since leaving it out endangers nothing, and a warning says that it has no effect;
 * - `planned`: refused when set to anything but its default, since its user relies on what it does.
 */
export type FlagSupport = "full" | "inert" | "planned";

export type FlagGroup =
  | "General"
  | "Member"
  | "Clustering"
  | "Security"
  | "Auth"
  | "Profiling and Monitoring"
  | "Logging"
  | "Distributed tracing"
  | "Features"
  | "Unsafe feature"
  | "etcd-ts"
  | "Ignored";

/** Groups in the order `--help` prints them. `General` and `Ignored` are not printed flag by flag, as in etcd. */
export const helpGroups: readonly FlagGroup[] = [
  "Member",
  "Clustering",
  "Security",
  "Auth",
  "Profiling and Monitoring",
  "Logging",
  "Distributed tracing",
  "Features",
  "Unsafe feature",
  "etcd-ts",
];

export interface FlagSpec {
  readonly kind: FlagKind;
  /** As it would be written on the command line. */
  readonly default: string;
  /** Path of the key in the configuration file, or "" when the file cannot set it. */
  readonly file: string;
  /** The file holds a sequence of strings, not comma-separated text. */
  readonly fileSequence?: boolean;
  readonly choices?: readonly string[];
  readonly group: FlagGroup;
  readonly support: FlagSupport;
  readonly help: string;
}

/** All flags, in the order of `--help`. */
// biome-ignore format: a table reads better with one flag to two lines
export const flags = {
  "config-file": { kind: "string", default: "", file: "", support: "full", group: "General",
    help: "Configuration file (YAML or JSON). With it, all other flags and ETCD_* variables are ignored." },
  version: { kind: "bool", default: "false", file: "", support: "full", group: "General",
    help: "Print the version and exit." },
  name: { kind: "string", default: "default", file: "name", support: "full", group: "Member",
    help: "Name of this member, for people and for --initial-cluster." },
  "data-dir": { kind: "string", default: "", file: "data-dir", support: "full", group: "Member",
    help: "Directory of the member's data. Empty means NAME.etcd in the working directory." },
  "wal-dir": { kind: "string", default: "", file: "wal-dir", support: "full", group: "Member",
    help: "Separate directory for the write-ahead log. Empty keeps it in the data directory." },
  "snapshot-count": { kind: "uint", default: "10000", file: "snapshot-count", support: "full", group: "Member",
    help: "Applied entries between two snapshots of the raft log. 0 means the default." },
  "heartbeat-interval": { kind: "uint", default: "100", file: "heartbeat-interval", support: "full", group: "Member",
    help: "Time between two heartbeats of the leader, in milliseconds (also in the file)." },
  "election-timeout": { kind: "uint", default: "1000", file: "election-timeout", support: "full", group: "Member",
    help: "Time without a leader before a member stands for election, in milliseconds (also in the file). At least 5 heartbeats, at most 50000." },
  "initial-election-tick-advance": { kind: "bool", default: "true", file: "initial-election-tick-advance", support: "inert", group: "Member",
    help: "Skip most of the first election timeout at boot, so that the first leader is there sooner." },
  "listen-peer-urls": { kind: "urls", default: "http://localhost:2380", file: "listen-peer-urls", support: "full", group: "Member",
    help: "URLs to listen on for other members. Hosts are IP addresses or localhost." },
  "listen-client-urls": { kind: "urls", default: "http://localhost:2379", file: "listen-client-urls", support: "full", group: "Member",
    help: "URLs to listen on for clients: gRPC, and HTTP unless --listen-client-http-urls is given. Setting it requires --advertise-client-urls." },
  "listen-client-http-urls": { kind: "urls", default: "", file: "listen-client-http-urls", support: "planned", group: "Member",
    help: "URLs to listen on for HTTP clients only. With it, --listen-client-urls serve gRPC only." },
  "max-snapshots": { kind: "uint", default: "5", file: "max-snapshots", support: "inert", group: "Member",
    help: "Snapshot files kept; deprecated in etcd. No snapshot files are written here." },
  "max-wals": { kind: "uint", default: "5", file: "max-wals", support: "full", group: "Member",
    help: "Write-ahead log files kept. 0 keeps all." },
  "memory-mlock": { kind: "bool", default: "false", file: "memory-mlock", support: "inert", group: "Member",
    help: "Keep the database's pages in memory (mlock). Node.js cannot." },
  "quota-backend-bytes": { kind: "int", default: "0", file: "quota-backend-bytes", support: "full", group: "Member",
    help: "Database size in bytes at which writes are refused and the NOSPACE alarm is raised. 0 means 2 GiB; negative turns the quota off." },
  "backend-bbolt-freelist-type": { kind: "string", default: "map", file: "backend-bbolt-freelist-type", support: "inert", group: "Member",
    help: "Layout of bbolt's free list. The database here is LMDB." },
  "backend-batch-interval": { kind: "duration", default: "0s", file: "backend-batch-interval", support: "full", group: "Member",
    help: "Longest time before the database commits what is buffered. 0 means 100ms." },
  "backend-batch-limit": { kind: "int", default: "0", file: "backend-batch-limit", support: "full", group: "Member",
    help: "Most operations buffered before the database commits. 0 means 10000." },
  "max-txn-ops": { kind: "uint", default: "128", file: "max-txn-ops", support: "full", group: "Member",
    help: "Operations allowed in a transaction." },
  "max-request-bytes": { kind: "uint", default: "1572864", file: "max-request-bytes", support: "full", group: "Member",
    help: "Largest request accepted, in bytes." },
  "max-concurrent-streams": { kind: "uint32", default: "4294967295", file: "max-concurrent-streams", support: "full", group: "Member",
    help: "Streams that a client may have open at a time on a connection." },
  "grpc-keepalive-min-time": { kind: "duration", default: "5s", file: "grpc-keepalive-min-time", support: "full", group: "Member",
    help: "Shortest time between two pings of a client; one that pings faster is disconnected." },
  "grpc-keepalive-interval": { kind: "duration", default: "2h", file: "grpc-keepalive-interval", support: "full", group: "Member",
    help: "Time without traffic after which the server pings a client. 0 never pings." },
  "grpc-keepalive-timeout": { kind: "duration", default: "20s", file: "grpc-keepalive-timeout", support: "full", group: "Member",
    help: "Time after which an unanswered ping closes the connection. 0 means at once." },
  "socket-reuse-port": { kind: "bool", default: "false", file: "socket-options.reuse-port", support: "planned", group: "Member",
    help: "Set SO_REUSEPORT on listeners." },
  "socket-reuse-address": { kind: "bool", default: "false", file: "socket-options.reuse-address", support: "inert", group: "Member",
    help: "Set SO_REUSEADDR on listeners. Node.js always does." },
  "enable-grpc-gateway": { kind: "bool", default: "true", file: "enable-grpc-gateway", support: "full", group: "Member",
    help: "Serve the JSON gateway under /v3/." },
  "raft-read-timeout": { kind: "duration", default: "5s", file: "", support: "inert", group: "Member",
    help: "Read timeout of connections between members; smaller values are raised to 5s." },
  "raft-write-timeout": { kind: "duration", default: "5s", file: "", support: "inert", group: "Member",
    help: "Write timeout of connections between members; smaller values are raised to 5s." },
  "feature-gates": { kind: "gates", default: "", file: "feature-gates", support: "full", group: "Member",
    help: "Features switched on or off by name, as Name=true,Other=false." },
  "initial-advertise-peer-urls": { kind: "urls", default: "http://localhost:2380", file: "initial-advertise-peer-urls", support: "full", group: "Clustering",
    help: "This member's peer URLs, as the other members are to reach it." },
  "initial-cluster": { kind: "string", default: "default=http://localhost:2380", file: "initial-cluster", support: "full", group: "Clustering",
    help: "The first members, as name=peerURL,name=peerURL. Without it: this member alone." },
  "initial-cluster-state": { kind: "choice", default: "new", file: "initial-cluster-state", choices: ["new", "existing"], support: "full", group: "Clustering",
    help: "new starts a cluster, existing joins one. Of no effect once the member has data." },
  "initial-cluster-token": { kind: "string", default: "etcd-cluster", file: "initial-cluster-token", support: "full", group: "Clustering",
    help: "Goes into the ids of the cluster and its members, so that clusters with the same URLs do not mix." },
  "advertise-client-urls": { kind: "urls", default: "http://localhost:2379", file: "advertise-client-urls", support: "full", group: "Clustering",
    help: "This member's client URLs, as clients are to reach it." },
  "discovery-token": { kind: "string", default: "", file: "discovery-config.token", support: "full", group: "Clustering",
    help: "Discovery: token of the cluster to be formed." },
  "discovery-endpoints": { kind: "set", default: "", file: "discovery-config.client.endpoints", fileSequence: true, support: "full", group: "Clustering",
    help: "Discovery: endpoints of the discovery service." },
  "discovery-dial-timeout": { kind: "duration", default: "2s", file: "discovery-config.client.dial-timeout", support: "full", group: "Clustering",
    help: "Discovery: timeout of connecting." },
  "discovery-request-timeout": { kind: "duration", default: "5s", file: "discovery-config.client.request-timeout", support: "full", group: "Clustering",
    help: "Discovery: timeout of a request." },
  "discovery-keepalive-time": { kind: "duration", default: "2s", file: "discovery-config.client.keepalive-time", support: "full", group: "Clustering",
    help: "Discovery: time between pings." },
  "discovery-keepalive-timeout": { kind: "duration", default: "6s", file: "discovery-config.client.keepalive-timeout", support: "full", group: "Clustering",
    help: "Discovery: time after which an unanswered ping closes the connection." },
  "discovery-insecure-transport": { kind: "bool", default: "true", file: "discovery-config.client.secure.insecure-transport", support: "full", group: "Clustering",
    help: "Discovery: connect without TLS." },
  "discovery-insecure-skip-tls-verify": { kind: "bool", default: "false", file: "discovery-config.client.secure.insecure-skip-tls-verify", support: "full", group: "Clustering",
    help: "Discovery: do not verify the service's certificate. For tests only." },
  "discovery-cert": { kind: "string", default: "", file: "discovery-config.client.secure.cert", support: "full", group: "Clustering",
    help: "Discovery: client certificate file." },
  "discovery-key": { kind: "string", default: "", file: "discovery-config.client.secure.key", support: "full", group: "Clustering",
    help: "Discovery: key file of the client certificate." },
  "discovery-cacert": { kind: "string", default: "", file: "discovery-config.client.secure.cacert", support: "full", group: "Clustering",
    help: "Discovery: certificate authorities that the service is verified with." },
  "discovery-user": { kind: "string", default: "", file: "discovery-config.client.auth.username", support: "full", group: "Clustering",
    help: "Discovery: user name." },
  "discovery-password": { kind: "string", default: "", file: "discovery-config.client.auth.password", support: "full", group: "Clustering",
    help: "Discovery: password." },
  "discovery-fallback": { kind: "choice", default: "exit", file: "", choices: ["exit", "proxy"], support: "full", group: "Clustering",
    help: "What to do when discovery fails. Only exit is left." },
  "discovery-srv": { kind: "string", default: "", file: "discovery-srv", support: "full", group: "Clustering",
    help: "DNS domain whose SRV records name the first members." },
  "discovery-srv-name": { kind: "string", default: "", file: "discovery-srv-name", support: "full", group: "Clustering",
    help: "Suffix of the SRV service name." },
  "strict-reconfig-check": { kind: "bool", default: "true", file: "strict-reconfig-check", support: "full", group: "Clustering",
    help: "Refuse membership changes that would lose the quorum." },
  "pre-vote": { kind: "bool", default: "true", file: "pre-vote", support: "full", group: "Clustering",
    help: "Ask for votes before standing for election, so that a member that was cut off does not disturb the cluster on its return." },
  "auto-compaction-retention": { kind: "string", default: "0", file: "auto-compaction-retention", support: "full", group: "Clustering",
    help: "History kept by automatic compaction: hours or a duration (periodic), a number of revisions (revision). 0 turns it off. Quoted in the file." },
  "auto-compaction-mode": { kind: "string", default: "periodic", file: "auto-compaction-mode", support: "full", group: "Clustering",
    help: "How the retention is meant: periodic or revision." },
  "v2-deprecation": { kind: "choice", default: "write-only", file: "v2-deprecation", choices: ["not-yet", "write-only", "write-only-skip-check", "write-only-drop-data", "gone"], support: "inert", group: "Clustering",
    help: "State of the v2 store. etcd ignores it too." },
  "cert-file": { kind: "string", default: "", file: "client-transport-security.cert-file", support: "full", group: "Security",
    help: "Certificate file of the client listeners." },
  "key-file": { kind: "string", default: "", file: "client-transport-security.key-file", support: "full", group: "Security",
    help: "Key file of the client listeners' certificate." },
  "client-cert-auth": { kind: "bool", default: "false", file: "client-transport-security.client-cert-auth", support: "full", group: "Security",
    help: "Require client certificates." },
  "client-cert-file": { kind: "string", default: "", file: "client-transport-security.client-cert-file", support: "inert", group: "Security",
    help: "Certificate of the gateway's own connection to the member. The gateway here needs no connection." },
  "client-key-file": { kind: "string", default: "", file: "client-transport-security.client-key-file", support: "inert", group: "Security",
    help: "Key file of --client-cert-file." },
  "client-crl-file": { kind: "string", default: "", file: "", support: "full", group: "Security",
    help: "Revocation list for client certificates, in DER." },
  "client-cert-allowed-hostname": { kind: "list", default: "", file: "client-transport-security.allowed-hostname", fileSequence: true, support: "full", group: "Security",
    help: "Host names of which a client certificate must carry one." },
  "trusted-ca-file": { kind: "string", default: "", file: "client-transport-security.trusted-ca-file", support: "full", group: "Security",
    help: "Certificate authorities that client certificates are verified with." },
  "auto-tls": { kind: "bool", default: "false", file: "client-transport-security.auto-tls", support: "full", group: "Security",
    help: "Serve clients over TLS with a certificate made at start." },
  "peer-cert-file": { kind: "string", default: "", file: "peer-transport-security.cert-file", support: "full", group: "Security",
    help: "Certificate file of the peer listeners." },
  "peer-key-file": { kind: "string", default: "", file: "peer-transport-security.key-file", support: "full", group: "Security",
    help: "Key file of the peer listeners' certificate." },
  "peer-client-cert-auth": { kind: "bool", default: "false", file: "peer-transport-security.client-cert-auth", support: "full", group: "Security",
    help: "Require certificates of other members." },
  "peer-client-cert-file": { kind: "string", default: "", file: "peer-transport-security.client-cert-file", support: "full", group: "Security",
    help: "Certificate for connections to other members, instead of --peer-cert-file." },
  "peer-client-key-file": { kind: "string", default: "", file: "peer-transport-security.client-key-file", support: "full", group: "Security",
    help: "Key file of --peer-client-cert-file." },
  "peer-trusted-ca-file": { kind: "string", default: "", file: "peer-transport-security.trusted-ca-file", support: "full", group: "Security",
    help: "Certificate authorities that other members are verified with." },
  "peer-cert-allowed-cn": { kind: "list", default: "", file: "peer-transport-security.allowed-cn", fileSequence: true, support: "full", group: "Security",
    help: "Common names of which a member's certificate must carry one. Excludes --peer-cert-allowed-hostname." },
  "peer-cert-allowed-hostname": { kind: "list", default: "", file: "peer-transport-security.allowed-hostname", fileSequence: true, support: "full", group: "Security",
    help: "Host names of which a member's certificate must carry one." },
  "peer-auto-tls": { kind: "bool", default: "false", file: "peer-transport-security.auto-tls", support: "full", group: "Security",
    help: "Talk to other members over TLS with a certificate made at start." },
  "self-signed-cert-validity": { kind: "uint", default: "1", file: "self-signed-cert-validity", support: "full", group: "Security",
    help: "Validity of the certificates made at start, in years. 0 means 1." },
  "peer-crl-file": { kind: "string", default: "", file: "", support: "full", group: "Security",
    help: "Revocation list for other members' certificates, in DER." },
  "cipher-suites": { kind: "list", default: "", file: "cipher-suites", fileSequence: true, support: "full", group: "Security",
    help: "TLS 1.2 cipher suites, by their Go names. Empty leaves the choice to the TLS library." },
  cors: { kind: "origins", default: "*", file: "cors", support: "full", group: "Security",
    help: "Origins that browsers may call from. Empty or * allows all." },
  "host-whitelist": { kind: "set", default: "*", file: "host-whitelist", support: "full", group: "Security",
    help: "Host names accepted in HTTP requests without TLS. Empty or * accepts all." },
  "tls-min-version": { kind: "string", default: "TLS1.2", file: "tls-min-version", support: "full", group: "Security",
    help: "Lowest TLS version: TLS1.2 or TLS1.3." },
  "tls-max-version": { kind: "string", default: "", file: "tls-max-version", support: "full", group: "Security",
    help: "Highest TLS version: TLS1.2 or TLS1.3. Empty leaves it to the TLS library." },
  "auth-token": { kind: "string", default: "simple", file: "auth-token", support: "planned", group: "Auth",
    help: "Kind of tokens: simple, or jwt with its options (jwt,sign-method=…,pub-key=…,priv-key=…,ttl=…). Empty: no tokens." },
  "bcrypt-cost": { kind: "uint", default: "10", file: "bcrypt-cost", support: "full", group: "Auth",
    help: "Cost of hashing passwords, 4 to 31." },
  "auth-token-ttl": { kind: "uint", default: "300", file: "auth-token-ttl", support: "full", group: "Auth",
    help: "Time that an unused simple token stays valid, in seconds." },
  "enable-pprof": { kind: "bool", default: "false", file: "enable-pprof", support: "inert", group: "Profiling and Monitoring",
    help: "Serve Go profiles under /debug/pprof/. There are none in Node.js." },
  metrics: { kind: "string", default: "basic", file: "metrics", support: "full", group: "Profiling and Monitoring",
    help: "Detail of the metrics: extensive adds histograms of gRPC handling times." },
  "listen-metrics-urls": { kind: "urls", default: "", file: "listen-metrics-urls", support: "full", group: "Profiling and Monitoring",
    help: "Further URLs that serve /metrics and the health endpoints only." },
  logger: { kind: "string", default: "zap", file: "logger", support: "full", group: "Logging",
    help: "Log library. Only the name zap is known; it stands for etcd's structured log." },
  "log-outputs": { kind: "set", default: "default", file: "log-outputs", fileSequence: true, support: "full", group: "Logging",
    help: "Where the log goes: default (stderr), stderr, stdout, or files." },
  "log-level": { kind: "string", default: "info", file: "log-level", support: "full", group: "Logging",
    help: "Lowest level logged: debug, info, warn, error, panic or fatal." },
  "log-format": { kind: "string", default: "json", file: "log-format", support: "planned", group: "Logging",
    help: "Form of the log: json or console." },
  "enable-log-rotation": { kind: "bool", default: "false", file: "enable-log-rotation", support: "planned", group: "Logging",
    help: "Rotate the one log file of --log-outputs." },
  "log-rotation-config-json": { kind: "string", default: '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}', file: "log-rotation-config-json", support: "planned", group: "Logging",
    help: "Rotation as JSON: megabytes, days, number of old files, names in local time, gzip." },
  "warning-unary-request-duration": { kind: "duration", default: "300ms", file: "warning-unary-request-duration", support: "inert", group: "Logging",
    help: "A unary request slower than this is logged. 0 means the default." },
  "enable-distributed-tracing": { kind: "bool", default: "false", file: "enable-distributed-tracing", support: "planned", group: "Distributed tracing",
    help: "Export OpenTelemetry traces." },
  "distributed-tracing-address": { kind: "string", default: "localhost:4317", file: "distributed-tracing-address", support: "full", group: "Distributed tracing",
    help: "Address of the trace collector." },
  "distributed-tracing-service-name": { kind: "string", default: "etcd", file: "distributed-tracing-service-name", support: "full", group: "Distributed tracing",
    help: "Service name in traces, the same on all members." },
  "distributed-tracing-instance-id": { kind: "string", default: "", file: "distributed-tracing-instance-id", support: "full", group: "Distributed tracing",
    help: "Instance id in traces, different on every member." },
  "distributed-tracing-sampling-rate": { kind: "int", default: "0", file: "distributed-tracing-sampling-rate", support: "full", group: "Distributed tracing",
    help: "Spans sampled of every million, 0 to 1000000." },
  "corrupt-check-time": { kind: "duration", default: "0s", file: "corrupt-check-time", support: "full", group: "Features",
    help: "Time between two comparisons of all members' data. 0 never compares." },
  "compact-hash-check-time": { kind: "duration", default: "1m", file: "compact-hash-check-time", support: "full", group: "Features",
    help: "Time between two comparisons of the hashes taken at compactions." },
  "compaction-batch-limit": { kind: "int", default: "0", file: "compaction-batch-limit", support: "full", group: "Features",
    help: "Revisions removed by one step of a compaction. 0 means 1000." },
  "compaction-sleep-interval": { kind: "duration", default: "0s", file: "compaction-sleep-interval", support: "full", group: "Features",
    help: "Pause between two steps of a compaction. 0 means 10ms." },
  "peer-skip-client-san-verification": { kind: "bool", default: "false", file: "peer-transport-security.skip-client-san-verification", support: "full", group: "Features",
    help: "Do not check the host names of other members' client certificates." },
  "watch-progress-notify-interval": { kind: "duration", default: "0s", file: "watch-progress-notify-interval", support: "full", group: "Features",
    help: "Time without events after which a watcher that asked for it is told the revision. 0 means 10m." },
  "warning-apply-duration": { kind: "duration", default: "100ms", file: "warning-apply-duration", support: "inert", group: "Features",
    help: "An entry whose apply takes longer is logged." },
  "bootstrap-defrag-threshold-megabytes": { kind: "uint", default: "0", file: "bootstrap-defrag-threshold-megabytes", support: "planned", group: "Features",
    help: "Defragment at start if that frees at least so many megabytes. 0 never does." },
  "max-learners": { kind: "int", default: "1", file: "max-learners", support: "full", group: "Features",
    help: "Learners allowed in the cluster." },
  "downgrade-check-time": { kind: "duration", default: "5s", file: "downgrade-check-time", support: "inert", group: "Features",
    help: "Time between two looks at a running downgrade. 0 never looks." },
  "snapshot-catchup-entries": { kind: "uint", default: "5000", file: "snapshot-catchup-entries", support: "full", group: "Features",
    help: "Entries kept in the raft log after a snapshot, for slow followers. 0 means the default." },
  "force-new-cluster": { kind: "bool", default: "false", file: "force-new-cluster", support: "full", group: "Unsafe feature",
    help: "Start as the only member of a new cluster with the data that is there." },
  "unsafe-no-fsync": { kind: "bool", default: "false", file: "unsafe-no-fsync", support: "inert", group: "Unsafe feature",
    help: "Never wait for the disk. Data is lost when the machine fails." },
  memory: { kind: "bool", default: "false", file: "memory", support: "full", group: "etcd-ts",
    help: "Keep all data in memory; nothing is written to disk and all is gone at the end. For a cluster of one member." },
  "cluster-active-size": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "cluster-remove-delay": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "cluster-sync-interval": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  config: { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  force: { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "max-result-buffer": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "max-retry-attempts": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "peer-heartbeat-interval": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "peer-election-timeout": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "retry-interval": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  snapshot: { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  v: { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  vv: { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "test.coverprofile": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
  "test.outputdir": { kind: "ignored", default: "", file: "", support: "inert", group: "Ignored",
    help: "Accepted for old scripts." },
} as const;

export type FlagName = keyof typeof flags;

/** The same table, typed for iteration. */
export const flagTable: Readonly<Record<FlagName, FlagSpec>> = flags;

export const flagNames: readonly FlagName[] = Object.keys(flags) as FlagName[];

export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(flags, name);
}

/** The variable that sets a flag, e.g. `ETCD_MAX_WALS`. */
export function environmentName(flag: FlagName): string {
  return `ETCD_${flag.toUpperCase().replaceAll("-", "_")}`;
}
