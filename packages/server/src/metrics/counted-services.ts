/** Counts the calls of a service table, as grpc-prometheus and etcd's own interceptors do. */

import type { CallObserver, MethodHandler, ServerCall, ServiceTable, StatusCode } from "@etcd-ts/grpc";
import type { Cell } from "./labelled.js";
import type { GrpcMethodMetrics, MemberMetrics } from "./member-metrics.js";

/** Milliseconds, monotonic. */
export type Now = () => number;

/** The same table, with every call and message counted. Methods that are not etcd's pass uncounted. */
export function countCalls(services: ServiceTable, metrics: MemberMetrics, now: Now): ServiceTable {
  const counted = new Map<string, MethodHandler>();
  for (const [path, handler] of services) {
    const method = metrics.grpcMethods.get(path);
    counted.set(path, method === undefined ? handler : { ...handler, observer: new CallCounts(metrics, method, now) });
  }
  return counted;
}

/** Series of client versions that are kept apart; a cluster's clients have a handful. */
const clientVersionsMax = 64;

/** What the calls of one method add to. */
class CallCounts implements CallObserver {
  readonly #metrics: MemberMetrics;
  readonly #method: GrpcMethodMetrics;
  readonly #now: Now;
  /** The cell of the version seen last, since a client sends the same one with each call. */
  #version: string | undefined;
  #requests: Cell | undefined;

  constructor(metrics: MemberMetrics, method: GrpcMethodMetrics, now: Now) {
    this.#metrics = metrics;
    this.#method = method;
    this.#now = now;
  }

  /** Returns when the call began; 0 when nobody wants to know. */
  started(call: ServerCall): number {
    this.#method.started++;
    const version = call.header("client-api-version") ?? "unknown";
    if (version !== this.#version || this.#requests === undefined) {
      this.#version = version;
      // Any client may send any text, and a series is kept for ever.
      const { clientRequests } = this.#metrics;
      const isKept = /^\d{1,3}(\.\d{1,3}){1,2}$/.test(version) && clientRequests.size < clientVersionsMax;
      const type = this.#method.type === "unary" ? "unary" : "stream";
      this.#requests = clientRequests.with(isKept ? version : "unknown", type);
    }
    this.#requests.value++;
    return this.#method.handlingSeconds === undefined ? 0 : this.#now();
  }

  received(sizeBytes: number): void {
    this.#method.messagesReceived++;
    this.#metrics.clientReceivedBytes += sizeBytes;
  }

  sent(sizeBytes: number): void {
    this.#method.messagesSent++;
    this.#metrics.clientSentBytes += sizeBytes;
  }

  ended(code: StatusCode, startedAt: number): void {
    const { handled, handlingSeconds } = this.#method;
    handled[code] = (handled[code] ?? 0) + 1;
    handlingSeconds?.observe((this.#now() - startedAt) / 1000);
  }
}
