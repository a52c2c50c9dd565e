/** A client's calls to members: each message takes its time, and an answer may never come. */

import type { KeyValue } from "@etcd-ts/api/mvccpb";
import { type InProcessConnection, StatusCode } from "@etcd-ts/grpc";
import type { Node } from "./cluster.js";
import type { SeenKey } from "./history.js";
import type { SimRandom } from "./random.js";
import { textOf } from "./text.js";
import type { World } from "./world.js";

export type CallOutcome<Response> =
  | { readonly kind: "ok"; readonly response: Response }
  | { readonly kind: "refused"; readonly code: number; readonly message: string }
  | { readonly kind: "lost" };

/** What of a method is needed to call it. */
export interface CallMethod<Init, Response> {
  readonly path: string;
  readonly request: { size(message: Init): number; encode(message: Init, target: Uint8Array, offset: number): number };
  readonly response: { decode(bytes: Uint8Array): Response };
}

export interface StreamHandle<Request> {
  send(request: Request): void;
  /** Reads no more for a while: a slow consumer. */
  pause(): void;
  resume(): void;
  cancel(): void;
}

export class Caller {
  readonly world: World;
  readonly #random: SimRandom;
  /** One way, milliseconds. */
  readonly #delayMs: number;

  constructor(world: World, random: SimRandom, delayMs: number) {
    this.world = world;
    this.#random = random;
    this.#delayMs = delayMs;
  }

  /** One call; `done` is called once, at the latest after `timeoutMs`. */
  unary<RequestInit, Response>(
    node: Node,
    method: CallMethod<RequestInit, Response>,
    request: RequestInit,
    timeoutMs: number,
    done: (outcome: CallOutcome<Response>) => void,
  ): void {
    let call: ReturnType<InProcessConnection["open"]> | undefined;
    let settled = false;
    const settle = (outcome: CallOutcome<Response>): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      done(outcome);
    };
    const timer = this.world.schedule(timeoutMs, () => {
      settle({ kind: "lost" });
      call?.cancel();
    });
    this.#later(() => {
      const connection = node.running?.connection;
      if (settled) return;
      if (connection === undefined) return settle({ kind: "refused", code: -1, message: "connection refused" });
      let response: Response | undefined;
      call = connection.open(
        method.path,
        {},
        {
          onMessage: (bytes) => {
            response = method.response.decode(bytes.slice());
          },
          onEnd: (status) => {
            if (settled) return;
            const isCut = node.running?.connection !== connection;
            const outcome: CallOutcome<Response> =
              status.code === StatusCode.ok && response !== undefined
                ? { kind: "ok", response }
                : isCut
                  ? { kind: "lost" }
                  : { kind: "refused", code: status.code, message: status.message };
            this.#later(() => settle(outcome));
          },
        },
      );
      call.sendLast(
        method.request.size(request),
        (target, offset) => void method.request.encode(request, target, offset),
      );
    });
  }

  /** A stream in both directions. `onEnd` is called once unless it was cancelled here. */
  stream<RequestInit, Response>(
    node: Node,
    method: CallMethod<RequestInit, Response>,
    receiver: { onMessage(response: Response): void; onEnd(): void },
  ): StreamHandle<RequestInit> | undefined {
    const connection = node.running?.connection;
    if (connection === undefined) return undefined;
    let cancelled = false;
    let arrivesAt = 0;
    /** In order, one after the other. */
    const deliver = (action: () => void): void => {
      arrivesAt = Math.max(arrivesAt, this.world.now + this.#delay());
      this.world.schedule(arrivesAt - this.world.now, () => {
        if (!cancelled) action();
      });
    };
    const call = connection.open(
      method.path,
      {},
      {
        onMessage: (bytes) => {
          const response = method.response.decode(bytes.slice());
          deliver(() => receiver.onMessage(response));
        },
        onEnd: () => deliver(() => receiver.onEnd()),
      },
    );
    return {
      send: (request) => {
        call.send(
          method.request.size(request),
          (target, offset) => void method.request.encode(request, target, offset),
        );
      },
      pause: () => call.pauseReceiving(),
      resume: () => call.resumeReceiving(),
      cancel: () => {
        cancelled = true;
        call.cancel();
      },
    };
  }

  #later(action: () => void): void {
    this.world.schedule(this.#delay(), action);
  }

  #delay(): number {
    return 0.05 + this.#random.exponential(this.#delayMs);
  }
}

export function seenKey(kv: KeyValue): SeenKey {
  return {
    key: textOf(kv.key),
    value: textOf(kv.value),
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}
