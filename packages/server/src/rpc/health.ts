/**
 * grpc.health.v1: the service "" is serving while the member accepts calls. Source: grpc/grpc doc/health-checking.md.
 */

import { health } from "@etcd-ts/api";
import { type ServerCall, type ServiceTable, StatusCode } from "@etcd-ts/grpc";
import { decodeRequest, sendWith, unary } from "./method.js";

/** Source: grpc.health.v1.HealthCheckResponse.ServingStatus. */
const serving = 1 as const;
const notServing = 2 as const;
const serviceUnknown = 3 as const;

export class HealthService {
  #serving = true;
  readonly #watchers = new Set<ServerCall>();

  /** Tells all who watch, when it changes. */
  setServing(isServing: boolean): void {
    if (this.#serving === isServing) return;
    this.#serving = isServing;
    for (const call of this.#watchers) sendWith(call, health.watch.response, { status: this.#status("") });
  }

  #status(service: string): 1 | 2 | 3 {
    if (service !== "") return serviceUnknown;
    return this.#serving ? serving : notServing;
  }

  table(): ServiceTable {
    return new Map([
      unary(health.check, (call, { service }, respond) => {
        if (service !== "") return call.end({ code: StatusCode.notFound, message: "unknown service" });
        respond({ status: this.#status(service) });
      }),
      [
        health.watch.path,
        {
          kind: "request",
          handle: (call, bytes) => {
            const request = decodeRequest(call, health.watch.request, bytes);
            if (request === undefined) return;
            sendWith(call, health.watch.response, { status: this.#status(request.service) });
            if (request.service !== "") return;
            this.#watchers.add(call);
            call.onCancel(() => this.#watchers.delete(call));
          },
        },
      ],
    ]);
  }
}
