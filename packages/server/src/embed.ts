/**
 * A member with its listeners, in this process: what `etcd` runs and what a program embeds.
 *
 *     const etcd = await startEtcd({ "data-dir": "/tmp/e1" });
 *     …
 *     await etcd.close();
 *
 * With `{ memory: true }` no disk is touched, and all is gone after `close`.
 */

import { limits as apiLimits } from "@etcd-ts/api";
import { GrpcServer, type ListenTarget } from "@etcd-ts/grpc";
import type { MemberUrl } from "@etcd-ts/store";
import { BootstrapError } from "./config/bootstrap-error.js";
import { type FeatureGate, featureGateTable } from "./config/feature-gates.js";
import { configFromFlags } from "./config/load-config.js";
import type { MemberConfig } from "./config/member-config.js";
import type { Env } from "./env.js";
import { createClientHandler, createMetricsHandler, type HandlerParts, versionBody } from "./http/client-handler.js";
import { createGateway } from "./http/gateway.js";
import { memoryConfig, memoryEnv } from "./memory/memory-env.js";
import { countCalls } from "./metrics/counted-services.js";
import { MemberMetrics } from "./metrics/member-metrics.js";
import { MetricsRegistry } from "./metrics/registry.js";
import { openMember } from "./node/bootstrap.js";
import { CorruptionMonitor } from "./node/corruption-monitor.js";
import { withDiscoveredCluster } from "./node/discovery-srv.js";
import type { Member } from "./node/member.js";
import { memberProbe } from "./node/probe.js";
import { promoteHere } from "./node/promotion.js";
import { publishAttributes } from "./node/publisher.js";
import { VersionMonitor } from "./node/version-monitor.js";
import { corruptionOptions } from "./peers/peer-hashes.js";
import { PeerNetwork } from "./peers/peer-network.js";
import { discoveryService } from "./platform/discovery-client.js";
import { createNodeEnv } from "./platform/env.js";
import { createNetwork } from "./platform/network.js";
import { processFacts } from "./platform/process-facts.js";
import { registerProcessMetrics } from "./platform/process-metrics.js";
import { withSelfSigned } from "./platform/self-signed.js";
import { peerTls, serverTls, tlsGuard } from "./platform/tls.js";
import { HealthService } from "./rpc/health.js";
import { memberServices } from "./rpc/services.js";
import { serverVersion } from "./version.js";

export interface Etcd {
  /** Where clients reach the member: the URLs it advertises, a port of 0 replaced by the one bound for it. */
  readonly clientUrls: readonly string[];
  readonly member: Member;
  /** Drains calls, flushes, closes and releases the data directory. */
  close(): Promise<void>;
}

export interface StartOptions {
  /** Without its network, that is made from the member's certificates. */
  readonly env?: Omit<Env, "network"> & Partial<Pick<Env, "network">>;
  /** The member could not go on; it answers nothing any more. By default the process exits. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * Milliseconds a request may take, and calls may go on after a stop was asked for. Source: etcd config.go ReqTimeout.
 */
function requestTimeoutMs(config: MemberConfig): number {
  return 5000 + 2 * config.electionMs;
}

/** Starts a member from etcd's flags, by name; their values as on the command line. Rejects when they are not valid. */
export async function startEtcd(
  flags: Readonly<Record<string, string | number | boolean>>,
  options: StartOptions = {},
): Promise<Etcd> {
  const texts = Object.entries(flags).map(([name, value]) => [name, String(value)] as const);
  const loaded = configFromFlags(Object.fromEntries(texts));
  if (loaded.kind === "run") return startMember(loaded.config, options);
  throw new BootstrapError(loaded.kind === "refused" ? loaded.error : loaded.text);
}

export async function startMember(given: MemberConfig, options: StartOptions = {}): Promise<Etcd> {
  const platform = options.env ?? createNodeEnv({ logLevel: given.log.level });
  const certified = await withDiscoveredCluster(platform, withSelfSigned(given, platform.logger));
  const world: Env = { network: createNetwork(peerTls(certified, platform)), ...platform };
  const env = given.memory ? memoryEnv(world) : world;
  const config = given.memory ? memoryConfig(world, certified) : certified;
  let stopped = false;
  const failed = (error: Error): void => {
    if (stopped) return;
    stopped = true;
    env.logger.log("fatal", "member stopped: it cannot go on safely", { error: error.message });
    if (options.onFailure === undefined) env.process.exit(1);
    else options.onFailure(error);
  };
  /** Ends well, since nothing is wrong: what starts it again learns the same. Source: etcd server.go run. */
  const removed = (): void => {
    if (stopped) return;
    stopped = true;
    const error = new Error("the member has been permanently removed from the cluster");
    env.logger.log("warn", "server error", { error: error.message });
    env.logger.log("warn", "data-dir used by this member must be removed");
    if (options.onFailure !== undefined) options.onFailure(error);
    else void close().finally(() => env.process.exit(0));
  };
  const metrics = new MemberMetrics({ extensive: config.extensiveMetrics });
  metrics.runtimeVersion = processFacts.runtimeVersion;
  for (const [name, { stage }] of Object.entries(featureGateTable)) {
    metrics.featureEnabled.with(name, stage).value = config.featureGates[name as FeatureGate] ? 1 : 0;
  }
  let peers: PeerNetwork | undefined;
  const {
    member,
    peers: firstPeers,
    lock,
  } = await openMember(env, config, {
    metrics,
    failed,
    connectDiscovery: discoveryService,
    makeTransport: ({ memberId, clusterId }) => {
      peers = new PeerNetwork({
        env,
        memberId,
        clusterId,
        advertisedUrls: config.initialAdvertisePeerUrls.map((url) => url.text),
        electionMs: config.electionMs,
        metrics,
        requestTimeoutMs: requestTimeoutMs(config),
        endpoints: {
          versionBody: (asked) => versionBody(memberProbe(asked)),
          promote: (asked, id, done) => void promoteHere(asked, id, config, done),
        },
        removed,
      });
      return peers;
    },
  });
  const registry = new MetricsRegistry(metrics, {
    refresh: () => member.refreshMetrics(),
    registerProcess: registerProcessMetrics,
  });
  const health = new HealthService();
  const handlers = memberServices(member, health, {
    maxTxnOps: config.maxTxnOps,
    maxRequestBytes: config.maxRequestBytes,
    strictReconfigCheck: config.strictReconfigCheck,
    progressNotifyMs: config.watchProgressNotifyIntervalMs,
  });
  const services = countCalls(handlers, metrics, () => env.clock.now());
  const handlerParts: HandlerParts = {
    probe: memberProbe(member),
    counts: metrics,
    metrics: registry,
    logger: env.logger,
  };
  const http = createClientHandler({
    ...handlerParts,
    access: { cors: config.cors, hostWhitelist: config.hostWhitelist, refusesCommonName: () => false },
    process: processFacts,
    gateway: config.enableGrpcGateway
      ? createGateway({
          services,
          requestBytesMax: config.maxRequestBytes + apiLimits.grpcOverheadBytes,
          setTimer: (delayMs, callback) => env.clock.setTimer(delayMs, callback),
        })
      : undefined,
  });
  const limits = {
    streamsMax: config.maxConcurrentStreams,
    receiveMessageBytesMax: config.maxRequestBytes + apiLimits.grpcOverheadBytes,
    keepalive: {
      intervalMs: config.grpcKeepaliveIntervalMs,
      timeoutMs: config.grpcKeepaliveTimeoutMs,
      permitWithoutStream: false,
      minClientIntervalMs: config.grpcKeepaliveMinTimeMs,
    },
  };
  const server = new GrpcServer({ services, http, limits });
  member.setAnswerFlush(() => server.flush());
  const metricsServer = new GrpcServer({ services: new Map(), http: createMetricsHandler(handlerParts) });
  const versionMonitor = new VersionMonitor(member, () => peers?.versions() ?? Promise.resolve([serverVersion]));
  const corruptionMonitor = new CorruptionMonitor(corruptionOptions(env, member, config));

  let clientUrls: readonly string[] = [];
  /** Returns the port: the URL's, or the one that the system chose. */
  const listen = async (url: MemberUrl): Promise<string> => {
    const address = await server.listen(target(url, config, env));
    const port = typeof address === "string" ? url.port : String(address.port);
    env.logger.log("info", "serving client traffic", { traffic: "grpc+http", address: `${url.host}:${port}` });
    return port;
  };

  const close = async (): Promise<void> => {
    stopped = true;
    health.setServing(false);
    versionMonitor.stop();
    corruptionMonitor.stop();
    await Promise.all([server.close(requestTimeoutMs(config)), metricsServer.close(0)]);
    await member.stop();
    await lock.release();
  };

  try {
    if (config.featureGates.InitialCorruptCheck) {
      const inconsistency = await corruptionMonitor.checkInitially();
      if (inconsistency !== undefined) throw new BootstrapError(inconsistency);
    }
    await peers?.start(
      member,
      firstPeers,
      config.listenPeerUrls.map((url) => url.text),
    );
    member.start();
    versionMonitor.start();
    corruptionMonitor.start();
    for (const url of config.listenMetricsUrls) await metricsServer.listen(target(url, config, env));
    // A port that the system chooses must be known before it is advertised; clients come to the others afterwards.
    const chosen: string[] = [];
    for (const url of config.listenClientUrls.filter(isPortOpen)) chosen.push(await listen(url));
    clientUrls = config.advertiseClientUrls.map((url) => (isPortOpen(url) ? withPort(url, chosen.shift()) : url.text));
    await publishAttributes(member, { name: config.name, clientUrls }, () => stopped);
    for (const url of config.listenClientUrls.filter((url) => !isPortOpen(url))) await listen(url);
    env.logger.log("info", "ready to serve client requests");
  } catch (error) {
    await close();
    throw error;
  }
  return { clientUrls, member, close };
}

function isPortOpen(url: MemberUrl): boolean {
  return url.port === "0";
}

function withPort(url: MemberUrl, port: string | undefined): string {
  return port === undefined ? url.text : url.text.replace(/:0$/, `:${port}`);
}

function target(url: MemberUrl, config: MemberConfig, env: Env): ListenTarget {
  const { clientTls } = config;
  const isSecure = url.scheme === "https" || url.scheme === "unixs";
  const guard = tlsGuard(clientTls, env, { endpoint: "client", checksAddress: false });
  const tls = isSecure ? { tls: () => serverTls(clientTls, config), guard } : {};
  if (url.scheme === "unix" || url.scheme === "unixs") return { path: url.host, ...tls };
  return { host: url.host, port: Number(url.port), ...tls };
}
