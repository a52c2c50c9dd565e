/**
 * A client of an etcd cluster.
 *
 *     const client = new EtcdClient({ endpoints: ["127.0.0.1:2379"] });
 *     await client.kv.put("greeting", "hello");
 *     …
 *     client.close();
 *
 * Nothing is connected before the first call. `close` ends calls, watches and keepalives; until then open connections
 * keep the process alive.
 */

import { isEtcdError } from "@etcd-ts/api";
import { AuthClient } from "./auth.js";
import { Caller, type Credentials } from "./caller.js";
import { ClusterClient } from "./cluster.js";
import type { Bytes } from "./keys.js";
import { KvClient } from "./kv.js";
import { LeaseClient } from "./lease.js";
import { MaintenanceClient } from "./maintenance.js";
import { attemptsMax } from "./retry.js";
import { SocketTransport, type TlsOptions } from "./socket-transport.js";
import { type ClientClock, nodeClock, type Transport } from "./transport.js";
import { WatchClient, type WatchOptions } from "./watch.js";
import type { Watcher } from "./watcher.js";

export interface EtcdClientOptions {
  /** `host:port`, or an http, https, unix or unixs URL. Calls go to those that are ready, in turn. */
  readonly endpoints: readonly string[];
  /** Over TLS also to endpoints that do not say https. */
  readonly tls?: TlsOptions | undefined;
  readonly credentials?: Credentials | undefined;
  /** Milliseconds a call may take with all its retries, unless it says otherwise; 0 = for ever. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds for one attempt to connect. Default 5 000. */
  readonly dialTimeoutMs?: number | undefined;
  /** A PING goes out after so many milliseconds of silence while calls are open; 0 = never. Default 10 000. */
  readonly keepaliveTimeMs?: number | undefined;
  /** A server that does not answer the PING within so many milliseconds is given up. Default 5 000. */
  readonly keepaliveTimeoutMs?: number | undefined;
  /** Largest message to and from a server. Default 2 MiB and 2³¹−1. */
  readonly sendMessageBytesMax?: number | undefined;
  readonly receiveMessageBytesMax?: number | undefined;
}

/** A client over another transport, e.g. `singleConnection(connectInProcess(…))`. */
export interface TransportClientOptions {
  readonly transport: Transport;
  readonly clock?: ClientClock | undefined;
  readonly credentials?: Credentials | undefined;
  readonly timeoutMs?: number | undefined;
  /** Attempts for one call; 1 = failures are the caller's. Default 100. */
  readonly attemptsMax?: number | undefined;
}

const defaultTimeoutMs = 10_000;
const defaultDialTimeoutMs = 5_000;
/** Servers count more frequent ones as an attack. Source: etcd server/embed/config.go GRPCKeepAliveMinTime. */
const defaultKeepaliveTimeMs = 10_000;
const defaultKeepaliveTimeoutMs = 5_000;
/** Source: etcd client/v3/options.go defaultMaxCallSendMsgSize. */
const defaultSendMessageBytesMax = 2 * 1024 * 1024;

export class EtcdClient {
  readonly kv: KvClient;
  readonly lease: LeaseClient;
  readonly cluster: ClusterClient;
  readonly maintenance: MaintenanceClient;
  readonly auth: AuthClient;
  readonly #caller: Caller;
  readonly #watches: WatchClient;

  /** Throws TypeError for an endpoint that is none. */
  constructor(options: EtcdClientOptions | TransportClientOptions) {
    const clock = ("clock" in options ? options.clock : undefined) ?? nodeClock;
    const { credentials, timeoutMs = defaultTimeoutMs } = options;
    const dialTimeoutMs = ("dialTimeoutMs" in options ? options.dialTimeoutMs : undefined) ?? defaultDialTimeoutMs;
    const transport = "transport" in options ? options.transport : socketTransport(options, clock, dialTimeoutMs);
    this.#caller = new Caller({
      transport,
      clock,
      timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
      attemptsMax: ("attemptsMax" in options ? options.attemptsMax : undefined) ?? attemptsMax,
      token: credentials !== undefined && "token" in credentials ? credentials.token : undefined,
      authenticate: credentials === undefined || "token" in credentials ? undefined : authenticator(credentials),
    });
    this.kv = new KvClient(this.#caller);
    this.lease = new LeaseClient(this.#caller, dialTimeoutMs);
    this.cluster = new ClusterClient(this.#caller);
    this.maintenance = new MaintenanceClient(this.#caller);
    this.auth = new AuthClient(this.#caller);
    this.#watches = new WatchClient(this.#caller);
  }

  /** Watches a key, or with a range option many; see `WatchClient.watch`. */
  watch(key: Bytes, options: WatchOptions = {}): Watcher {
    return this.#watches.watch(key, options);
  }

  /** See `WatchClient.requestProgress`. */
  requestProgress(): void {
    this.#watches.requestProgress();
  }

  get endpoints(): readonly string[] {
    return this.#caller.transport.endpoints;
  }

  /** Talks to these endpoints from now on. */
  setEndpoints(endpoints: readonly string[]): void {
    this.#caller.transport.setEndpoints(endpoints);
  }

  /** Takes the endpoints from the cluster: the client URLs of its started voters. */
  async syncEndpoints(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { members } = await this.cluster.memberList(options);
    const endpoints = members
      .filter(({ name, isLearner }) => name !== "" && !isLearner)
      .flatMap(({ clientUrls }) => clientUrls);
    if (endpoints.length > 0) this.setEndpoints(endpoints);
  }

  /** Aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#caller.closing;
  }

  get clock(): ClientClock {
    return this.#caller.clock;
  }

  /** Ends everything at once. What was granted or locked on the server stays until its lease runs out. */
  close(): void {
    this.#watches.close();
    this.lease.close();
    this.#caller.close();
  }
}

function authenticator({ username, password }: { readonly username: string; readonly password: string }) {
  return async (caller: Caller, timeoutMs: number | undefined): Promise<string | undefined> => {
    try {
      return (await new AuthClient(caller).authenticate(username, password, { timeoutMs })).token;
    } catch (error) {
      // Credentials do no harm where nobody asks for them.
      if (isEtcdError(error) && error.reason === "authNotEnabled") return undefined;
      throw error;
    }
  };
}

function socketTransport(options: EtcdClientOptions, clock: ClientClock, dialTimeoutMs: number): SocketTransport {
  return new SocketTransport({
    endpoints: options.endpoints,
    tls: options.tls,
    clock,
    dialTimeoutMs,
    keepaliveTimeMs: options.keepaliveTimeMs ?? defaultKeepaliveTimeMs,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? defaultKeepaliveTimeoutMs,
    sendMessageBytesMax: options.sendMessageBytesMax ?? defaultSendMessageBytesMax,
    receiveMessageBytesMax: options.receiveMessageBytesMax,
  });
}
