/**
 * Turns the values of the flags into a member's configuration, or says why it cannot.
 * Source: etcd server/embed/config.go Validate, server/etcdmain/config.go; the checks run in etcd's order, so that of
 * two mistakes the same one is reported. Rules about flags that are not supported yet come with their support.
 */

import { limits } from "@etcd-ts/api";
import type { MemberUrl } from "@etcd-ts/store";
import { cipherSuiteFault } from "../tls/cipher-suites.js";
import { parseAutoCompaction } from "./auto-compaction.js";
import type { Note } from "./environment.js";
import { type FlagValues, parseFlagText } from "./flag-values.js";
import { type FlagName, flagNames, flagTable } from "./flags.js";
import { formatDuration } from "./go-values.js";
import type {
  DiscoveryConfig,
  HostFacts,
  LogConfig,
  LogLevelName,
  MemberConfig,
  TlsFiles,
  TlsVersion,
} from "./member-config.js";
import { isIpAddress, parseUrlList } from "./member-url.js";
import { accepted, type Parsed, refused } from "./parsed.js";

const electionMsMax = 50_000;
const requestBytesWarning = 10 * 1024 * 1024;
const progressNotifyMsMin = 100;
const raftTimeoutMsMin = 5_000;
const bcryptCostMin = 4;
const bcryptCostMax = 31;

/** Ends the reading of a configuration; never leaves this file. */
class Refusal extends Error {}

export interface BuildOptions {
  readonly host: HostFacts;
  /** True when the values come from a file: the default advertised client URLs then stay. */
  readonly fromFile: boolean;
}

/** What there is to warn of goes into `notes`. */
export function buildConfig(values: FlagValues, options: BuildOptions, notes: Note[]): Parsed<MemberConfig> {
  try {
    return accepted(build(values, options, notes));
  } catch (error) {
    if (error instanceof Refusal) return refused(error.message);
    throw error;
  }
}

function build(values: FlagValues, options: BuildOptions, notes: Note[]): MemberConfig {
  const log = buildLog(values);
  const urls = buildUrls(values, options);
  const initialCluster = buildInitialCluster(values, urls.initialAdvertisePeerUrls);
  const discovery = buildDiscovery(values, initialCluster);
  checkTicks(values);
  checkAdvertised(values, options);
  const autoCompaction = parseAutoCompaction(
    values.get("auto-compaction-mode"),
    values.get("auto-compaction-retention"),
  );
  if (autoCompaction.kind === "refused") throw new Refusal(autoCompaction.error);
  checkFeatures(values);
  const tls = buildTlsVersions(values);
  const clientTls = buildClientTls(values);
  const peerTls = buildPeerTls(values);
  checkTransport({ urls, clientTls, peerTls });
  checkCertificates(peerTls);
  checkCertificates(clientTls);
  checkSupport(values, notes);
  const name = values.get("name");
  if (name === "default") {
    const message = "it isn't recommended to use default name, please set a value for --name";
    notes.push({ level: "warn", message, fields: { name } });
  }
  return {
    name,
    dataDir: values.get("data-dir") || `${name}.etcd`,
    walDir: values.get("wal-dir") || undefined,
    memory: values.get("memory"),
    snapshotCount: values.get("snapshot-count") || limits.snapshotCount,
    snapshotCatchupEntries: values.get("snapshot-catchup-entries") || limits.snapshotCatchUpEntries,
    maxWals: values.get("max-wals"),
    heartbeatMs: values.get("heartbeat-interval"),
    electionMs: values.get("election-timeout"),
    initialElectionTickAdvance: values.get("initial-election-tick-advance"),
    preVote: values.get("pre-vote"),
    strictReconfigCheck: values.get("strict-reconfig-check"),
    maxLearners: values.get("max-learners"),
    ...urls,
    initialCluster,
    initialClusterState: values.get("initial-cluster-state") === "existing" ? "existing" : "new",
    initialClusterToken: values.get("initial-cluster-token"),
    discoverySrv: values.get("discovery-srv"),
    discoverySrvName: values.get("discovery-srv-name"),
    discovery,
    forceNewCluster: values.get("force-new-cluster"),
    quotaBackendBytes: buildQuota(values, notes),
    backendBatchIntervalMs: values.get("backend-batch-interval") || limits.backendBatchIntervalMs,
    backendBatchLimit: values.get("backend-batch-limit") || limits.backendBatchLimit,
    unsafeNoFsync: values.get("unsafe-no-fsync"),
    maxTxnOps: values.get("max-txn-ops"),
    maxRequestBytes: buildMaxRequestBytes(values, notes),
    maxConcurrentStreams: values.get("max-concurrent-streams"),
    grpcKeepaliveMinTimeMs: values.get("grpc-keepalive-min-time"),
    grpcKeepaliveIntervalMs: values.get("grpc-keepalive-interval"),
    grpcKeepaliveTimeoutMs: values.get("grpc-keepalive-timeout"),
    raftReadTimeoutMs: Math.max(values.get("raft-read-timeout"), raftTimeoutMsMin),
    raftWriteTimeoutMs: Math.max(values.get("raft-write-timeout"), raftTimeoutMsMin),
    featureGates: values.get("feature-gates"),
    autoCompaction: autoCompaction.value,
    corruptCheckMs: values.get("corrupt-check-time"),
    compactHashCheckMs: values.get("compact-hash-check-time"),
    compactionBatchLimit: values.get("compaction-batch-limit") || limits.compactionBatchLimit,
    compactionSleepIntervalMs: values.get("compaction-sleep-interval") || limits.compactionSleepMs,
    watchProgressNotifyIntervalMs: buildProgressInterval(values),
    downgradeCheckMs: values.get("downgrade-check-time"),
    warningApplyMs: values.get("warning-apply-duration"),
    warningUnaryRequestMs: values.get("warning-unary-request-duration") || 300,
    enableGrpcGateway: values.get("enable-grpc-gateway"),
    cors: values.get("cors"),
    hostWhitelist: values.get("host-whitelist"),
    extensiveMetrics: values.get("metrics") === "extensive",
    authToken: values.get("auth-token"),
    bcryptCost: buildBcryptCost(values, notes),
    authTokenTtlSeconds: values.get("auth-token-ttl"),
    clientTls,
    peerTls,
    selfSignedCertValidityYears: values.get("self-signed-cert-validity") || 1,
    cipherSuites: values.get("cipher-suites"),
    ...tls,
    log,
  };
}

/** Refuses flags whose users would rely on what is not there, and warns of those that do nothing. */
function checkSupport(values: FlagValues, notes: Note[]): void {
  for (const flag of flagNames) {
    const { support } = flagTable[flag];
    if (support === "full" || !values.isSet(flag)) continue;
    if (support === "planned" && !hasDefault(values, flag)) throw new Refusal(`--${flag} is not supported yet`);
    if (support === "inert") notes.push({ level: "warn", message: "this flag has no effect", fields: { flag } });
  }
  if (values.get("discovery-fallback") === "proxy") {
    throw new Refusal(`v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`);
  }
}

function hasDefault(values: FlagValues, flag: FlagName): boolean {
  const parsed = parseFlagText(flagTable[flag], flagTable[flag].default);
  return parsed.kind === "ok" && JSON.stringify(values.get(flag)) === JSON.stringify(parsed.value);
}

const logLevels: Readonly<Record<string, LogLevelName>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  panic: "panic",
  fatal: "fatal",
};

function buildLog(values: FlagValues): LogConfig {
  const logger = values.get("logger");
  if (logger !== "zap") throw new Refusal(`unknown logger option ${JSON.stringify(logger)}`);
  const format = values.get("log-format");
  if (format !== "json" && format !== "console") {
    throw new Refusal(`unknown log format: ${format}, supported values json, console`);
  }
  const level = logLevels[values.get("log-level")];
  if (level === undefined) throw new Refusal(`unrecognized level: ${JSON.stringify(values.get("log-level"))}`);
  const outputs = values.get("log-outputs");
  if (outputs.length === 0 || outputs.includes("")) throw new Refusal("--log-outputs must not be empty");
  if (outputs.length > 1 && outputs.includes("default")) {
    throw new Refusal('multi logoutput for "default" is not supported yet');
  }
  const other = outputs.find((output) => output !== "default" && output !== "stderr");
  if (other !== undefined) throw new Refusal(`--log-outputs=${other} is not supported yet`);
  return { level, format };
}

type Urls = Pick<
  MemberConfig,
  | "advertiseClientUrls"
  | "initialAdvertisePeerUrls"
  | "listenClientHttpUrls"
  | "listenClientUrls"
  | "listenMetricsUrls"
  | "listenPeerUrls"
>;

function buildUrls(values: FlagValues, { host }: BuildOptions): Urls {
  const listenPeerUrls = bindable(values.get("listen-peer-urls"));
  const listenClientUrls = bindable(values.get("listen-client-urls"));
  const listenClientHttpUrls = bindable(values.get("listen-client-http-urls"));
  const listenMetricsUrls = bindable(values.get("listen-metrics-urls"));
  const peerUrls = values.get("initial-advertise-peer-urls");
  const clientUrls = values.get("advertise-client-urls");
  checkReachable(peerUrls, { flag: "initial-advertise-peer-urls", form: '"host:port"' });
  const clientForm = 'in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket"';
  checkReachable(clientUrls, { flag: "advertise-client-urls", form: clientForm });
  return {
    listenPeerUrls,
    listenClientUrls,
    listenClientHttpUrls,
    listenMetricsUrls,
    initialAdvertisePeerUrls: reachable(
      peerUrls,
      listenPeerUrls,
      hasDefault(values, "initial-advertise-peer-urls"),
      host,
    ),
    advertiseClientUrls: reachable(clientUrls, listenClientUrls, hasDefault(values, "advertise-client-urls"), host),
  };
}

/** A listener's host must be an address of this machine, so names other than localhost are refused. */
function bindable(urls: readonly MemberUrl[]): readonly MemberUrl[] {
  for (const { scheme, host, text } of urls) {
    if (scheme === "unix" || scheme === "unixs" || host === "localhost") continue;
    if (!isIpAddress(host)) throw new Refusal(`expected IP in URL for binding (${text})`);
  }
  return urls;
}

function checkReachable(
  urls: readonly MemberUrl[],
  { flag, form }: { readonly flag: FlagName; readonly form: string },
): void {
  const bad = urls.find((url) => url.host === "");
  if (bad === undefined) return;
  const all = urls.map((url) => url.text).join(",");
  throw new Refusal(`--${flag} ${JSON.stringify(all)} must be ${form} (unexpected empty host (${bad.text}))`);
}

/** A default `localhost` that is advertised while listening on all addresses becomes this machine's address. */
function reachable(
  advertised: readonly MemberUrl[],
  listening: readonly MemberUrl[],
  isDefault: boolean,
  { defaultHost }: HostFacts,
): readonly MemberUrl[] {
  const [first] = listening;
  if (!isDefault || defaultHost === undefined || first?.host !== "0.0.0.0") return advertised;
  const result = parseUrlList(`http://${defaultHost.includes(":") ? `[${defaultHost}]` : defaultHost}:${first.port}`);
  return result.kind === "ok" ? result.value : advertised;
}

function buildInitialCluster(values: FlagValues, peerUrls: readonly MemberUrl[]): string {
  const text = values.get("initial-cluster");
  const name = values.get("name");
  const isDiscovered = values.get("discovery-srv") !== "" || values.get("discovery-endpoints").length > 0;
  if (isDiscovered && !values.isSet("initial-cluster")) return "";
  if (name === "default" || !hasDefault(values, "initial-cluster")) return text;
  return peerUrls.map((url) => `${name}=${url.text}`).join(",");
}

function buildDiscovery(values: FlagValues, initialCluster: string): DiscoveryConfig | undefined {
  const token = values.get("discovery-token");
  const endpoints = values.get("discovery-endpoints");
  const sources = [initialCluster !== "", values.get("discovery-srv") !== "", endpoints.length > 0];
  if (sources.filter(Boolean).length > 1) {
    throw new Refusal(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    );
  }
  if ((token !== "") !== endpoints.length > 0) {
    throw new Refusal("both --discovery-token and --discovery-endpoints must be set");
  }
  if (endpoints.some((endpoint) => endpoint.trim() === "")) {
    throw new Refusal("--discovery-endpoints must not contain empty endpoints");
  }
  if (endpoints.length === 0) return undefined;
  return {
    token,
    endpoints,
    dialTimeoutMs: values.get("discovery-dial-timeout"),
    requestTimeoutMs: values.get("discovery-request-timeout"),
    keepaliveTimeMs: values.get("discovery-keepalive-time"),
    keepaliveTimeoutMs: values.get("discovery-keepalive-timeout"),
    insecureTransport: values.get("discovery-insecure-transport"),
    insecureSkipVerify: values.get("discovery-insecure-skip-tls-verify"),
    cert: values.get("discovery-cert"),
    key: values.get("discovery-key"),
    caCert: values.get("discovery-cacert"),
    user: values.get("discovery-user"),
    password: values.get("discovery-password"),
  };
}

function checkTicks(values: FlagValues): void {
  const heartbeat = values.get("heartbeat-interval");
  const election = values.get("election-timeout");
  if (heartbeat === 0) throw new Refusal("--heartbeat-interval must be >0 (set to 0ms)");
  if (election === 0) throw new Refusal("--election-timeout must be >0 (set to 0ms)");
  if (election < 5 * heartbeat) {
    throw new Refusal(
      `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`,
    );
  }
  if (election > electionMsMax) {
    throw new Refusal(`--election-timeout[${election}ms] is too long, and should be set less than ${electionMsMax}ms`);
  }
}

/** Clients could not reach a member that listens elsewhere but still advertises the default. */
function checkAdvertised(values: FlagValues, { fromFile }: BuildOptions): void {
  if (!fromFile && values.isSet("listen-client-urls") && !values.isSet("advertise-client-urls")) {
    throw new Refusal("--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
}

function checkFeatures(values: FlagValues): void {
  const compactHashCheck = values.get("compact-hash-check-time");
  if (compactHashCheck <= 0) {
    throw new Refusal(`--compact-hash-check-time must be >0 (set to ${formatDuration(compactHashCheck)})`);
  }
  const samplingRate = values.get("distributed-tracing-sampling-rate");
  if (samplingRate < 0 || samplingRate > 1_000_000) {
    throw new Refusal("--distributed-tracing-sampling-rate must be from 0 to 1000000");
  }
  const gates = values.get("feature-gates");
  if (gates.LeaseCheckpointPersist && !gates.LeaseCheckpoint) {
    throw new Refusal("enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint");
  }
  if (values.get("max-learners") < 0) throw new Refusal("--max-learners must be >=0");
  if (values.get("memory") && values.get("force-new-cluster")) {
    throw new Refusal("--force-new-cluster needs data, which --memory does not keep");
  }
  if (values.get("memory") && (values.get("auto-tls") || values.get("peer-auto-tls"))) {
    throw new Refusal(
      "--auto-tls and --peer-auto-tls keep their certificates on a disk, which --memory does not touch",
    );
  }
}

function buildTlsVersions(values: FlagValues): Pick<MemberConfig, "tlsMaxVersion" | "tlsMinVersion"> {
  const tlsMinVersion = parseTlsVersion(values.get("tls-min-version"));
  const tlsMaxVersion = parseTlsVersion(values.get("tls-max-version"));
  if (tlsMinVersion === "TLS1.3" && tlsMaxVersion === "TLS1.2") {
    throw new Refusal(`min version (${tlsMinVersion}) is greater than max version (${tlsMaxVersion})`);
  }
  const suites = values.get("cipher-suites");
  if (tlsMinVersion === "TLS1.3" && suites.length > 0) {
    throw new Refusal("cipher suites cannot be configured when only TLS1.3 is enabled");
  }
  for (const suite of suites) {
    const fault = cipherSuiteFault(suite);
    if (fault !== undefined) throw new Refusal(fault);
  }
  return { tlsMinVersion: tlsMinVersion ?? "TLS1.2", tlsMaxVersion };
}

function checkCertificates(tls: TlsFiles): void {
  const { certFile, keyFile, clientCertFile, clientKeyFile, allowedCommonNames, allowedHostnames } = tls;
  if (certFile === "" && keyFile === "") return;
  if ((clientCertFile === "") !== (clientKeyFile === "")) {
    const found = `key: ${clientKeyFile}, cert: ${clientCertFile}]`;
    throw new Refusal(`ClientKeyFile and ClientCertFile must both be present or both absent: ${found}`);
  }
  if (allowedCommonNames.length > 0 && allowedHostnames.length > 0) {
    const both = `cns=[${quoted(allowedCommonNames)}], hostnames=[${quoted(allowedHostnames)}]`;
    throw new Refusal(`AllowedCNs and AllowedHostnames are mutually exclusive (${both})`);
  }
}

function quoted(texts: readonly string[]): string {
  return texts.map((text) => JSON.stringify(text)).join(" ");
}

function parseTlsVersion(text: string): TlsVersion | undefined {
  if (text === "") return undefined;
  if (text === "TLS1.2" || text === "TLS1.3") return text;
  throw new Refusal(`unexpected TLS version ${JSON.stringify(text)} (must be one of: TLS1.2, TLS1.3)`);
}

function buildClientTls(values: FlagValues): TlsFiles {
  return {
    certFile: values.get("cert-file"),
    keyFile: values.get("key-file"),
    clientCertFile: values.get("client-cert-file"),
    clientKeyFile: values.get("client-key-file"),
    clientCertAuth: values.get("client-cert-auth"),
    crlFile: values.get("client-crl-file"),
    trustedCaFile: values.get("trusted-ca-file"),
    autoTls: values.get("auto-tls"),
    allowedCommonNames: [],
    allowedHostnames: values.get("client-cert-allowed-hostname"),
    skipClientSanVerification: false,
    isSelfSigned: false,
    serverName: "",
  };
}

function buildPeerTls(values: FlagValues): TlsFiles {
  return {
    certFile: values.get("peer-cert-file"),
    keyFile: values.get("peer-key-file"),
    clientCertFile: values.get("peer-client-cert-file"),
    clientKeyFile: values.get("peer-client-key-file"),
    clientCertAuth: values.get("peer-client-cert-auth"),
    crlFile: values.get("peer-crl-file"),
    trustedCaFile: values.get("peer-trusted-ca-file"),
    autoTls: values.get("peer-auto-tls"),
    allowedCommonNames: values.get("peer-cert-allowed-cn"),
    allowedHostnames: values.get("peer-cert-allowed-hostname"),
    skipClientSanVerification: values.get("peer-skip-client-san-verification"),
    isSelfSigned: false,
    serverName: "",
  };
}

interface Transport {
  readonly urls: Urls;
  readonly clientTls: TlsFiles;
  readonly peerTls: TlsFiles;
}

function checkTransport({ urls, clientTls, peerTls }: Transport): void {
  checkKeyPair(
    urls.listenPeerUrls,
    peerTls,
    "TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url",
  );
  const clientUrls = [...urls.listenClientUrls, ...urls.listenClientHttpUrls];
  checkKeyPair(clientUrls, clientTls, "TLS key/cert (--cert-file, --key-file) must be provided for client url");
  for (const url of urls.listenClientHttpUrls) {
    if (!urls.listenClientUrls.some((other) => other.text === url.text)) continue;
    throw new Refusal(
      `cannot bind both --listen-client-urls and --listen-client-http-urls on the same url ${url.text}`,
    );
  }
}

function checkKeyPair(urls: readonly MemberUrl[], tls: TlsFiles, message: string): void {
  if (tls.autoTls || (tls.certFile !== "" && tls.keyFile !== "")) return;
  const url = urls.find(({ scheme }) => scheme === "https" || scheme === "unixs");
  if (url !== undefined) throw new Refusal(`${message} ${url.text} with HTTPS scheme`);
}

function buildQuota(values: FlagValues, notes: Note[]): number {
  const bytes = values.get("quota-backend-bytes");
  if (bytes > limits.maxQuotaBytes) {
    const fields = { "quota-size-bytes": bytes, "quota-maximum-size-bytes": limits.maxQuotaBytes };
    notes.push({ level: "warn", message: "quota exceeds the maximum value", fields });
  }
  return bytes === 0 ? limits.defaultQuotaBytes : bytes;
}

function buildMaxRequestBytes(values: FlagValues, notes: Note[]): number {
  const bytes = values.get("max-request-bytes");
  if (bytes > requestBytesWarning) {
    const fields = { "max-request-bytes": bytes, "recommended-request-bytes": requestBytesWarning };
    notes.push({ level: "warn", message: "exceeded recommended request limit", fields });
  }
  return bytes;
}

function buildProgressInterval(values: FlagValues): number {
  const ms = values.get("watch-progress-notify-interval");
  return ms === 0 ? limits.watchProgressNotifyMs : Math.max(ms, progressNotifyMsMin);
}

function buildBcryptCost(values: FlagValues, notes: Note[]): number {
  const cost = values.get("bcrypt-cost");
  if (cost >= bcryptCostMin && cost <= bcryptCostMax) return cost;
  notes.push({ level: "warn", message: "use default bcrypt cost instead of the invalid given cost", fields: { cost } });
  return limits.bcryptCost;
}
