/** Counts the calls of a service table, as grpc-prometheus and etcd's own interceptors do. */

import {
  type MessageWriter,
  type MetadataEntries,
  type MethodHandler,
  type PeerInfo,
  type ServerCall,
  type ServiceTable,
  type Status,
  StatusCode,
} from "@etcd-ts/grpc";
import type { Cell } from "./labelled.js";
import type { GrpcMethodMetrics, MemberMetrics } from "./member-metrics.js";

/** Milliseconds, monotonic. */
export type Now = () => number;

/** The same table, with every call and message counted. Methods that are not etcd's pass uncounted. */
export function countCalls(services: ServiceTable, metrics: MemberMetrics, now: Now): ServiceTable {
  const counted = new Map<string, MethodHandler>();
  for (const [path, handler] of services) {
    const method = metrics.grpcMethods.get(path);
    counted.set(path, method === undefined ? handler : countHandler(handler, new CallCounts(metrics, method, now)));
  }
  return counted;
}

function countHandler(handler: MethodHandler, counts: CallCounts): MethodHandler {
  if (handler.kind === "request") {
    return {
      kind: "request",
      handle: (call, request) => {
        const counted = new CountedCall(call, counts);
        counts.received(request);
        handler.handle(counted, request);
      },
    };
  }
  return {
    kind: "stream",
    open: (call) => {
      const receiver = handler.open(new CountedCall(call, counts));
      return {
        onMessage: (message) => {
          counts.received(message);
          receiver.onMessage(message);
        },
        onHalfClose: () => receiver.onHalfClose(),
      };
    },
  };
}

/** Series of client versions that are kept apart; a cluster's clients have a handful. */
const clientVersionsMax = 64;

/** What the calls of one method add to. */
class CallCounts {
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

  received(message: Uint8Array): void {
    this.#method.messagesReceived++;
    this.#metrics.clientReceivedBytes += message.length;
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

class CountedCall implements ServerCall {
  readonly #call: ServerCall;
  readonly #counts: CallCounts;
  readonly #startedAt: number;
  #counted = false;
  #cancelCallback: ((status: Status) => void) | undefined;

  constructor(call: ServerCall, counts: CallCounts) {
    this.#call = call;
    this.#counts = counts;
    this.#startedAt = counts.started(call);
    call.onCancel((status) => {
      this.#end(status.code);
      this.#cancelCallback?.(status);
    });
  }

  get path(): string {
    return this.#call.path;
  }

  get metadata(): MetadataEntries {
    return this.#call.metadata;
  }

  get peer(): PeerInfo {
    return this.#call.peer;
  }

  get timeoutMs(): number | undefined {
    return this.#call.timeoutMs;
  }

  get ended(): boolean {
    return this.#call.ended;
  }

  get unsentBytes(): number {
    return this.#call.unsentBytes;
  }

  header(name: string): string | undefined {
    return this.#call.header(name);
  }

  send(sizeBytes: number, write: MessageWriter): boolean {
    if (!this.#call.ended) this.#counts.sent(sizeBytes);
    return this.#call.send(sizeBytes, write);
  }

  respond(sizeBytes: number, write: MessageWriter): void {
    if (!this.#call.ended) {
      this.#counts.sent(sizeBytes);
      this.#end(StatusCode.ok);
    }
    this.#call.respond(sizeBytes, write);
  }

  end(status: Status): void {
    if (!this.#call.ended) this.#end(status.code);
    this.#call.end(status);
  }

  pauseReceiving(): void {
    this.#call.pauseReceiving();
  }

  resumeReceiving(): void {
    this.#call.resumeReceiving();
  }

  onCancel(callback: (status: Status) => void): void {
    this.#cancelCallback = callback;
  }

  onDrain(callback: () => void): void {
    this.#call.onDrain(callback);
  }

  #end(code: StatusCode): void {
    if (this.#counted) return;
    this.#counted = true;
    this.#counts.ended(code, this.#startedAt);
  }
}
