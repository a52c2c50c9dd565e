/** A server whose answers the test writes, and a client that reaches it within the process. */

import type { MessageCodec, Method } from "@etcd-ts/api";
import { connectInProcess, type MethodHandler, type ServerCall, type Status } from "@etcd-ts/grpc";
import { EtcdClient } from "../client.js";
import { singleConnection, type Transport } from "../transport.js";
import { FakeClock } from "./fake-clock.js";

/** One stream as the server sees it. */
export interface ServerStream<Request, ResponseInit> {
  readonly requests: Request[];
  readonly call: ServerCall;
  send(response: ResponseInit): void;
  end(status: Status): void;
}

export class ScriptedServer {
  readonly clock: FakeClock = new FakeClock();
  readonly client: EtcdClient;
  readonly transport: Transport;
  readonly #table: Map<string, MethodHandler> = new Map();

  constructor(endpoints: readonly string[] = ["one"]) {
    const connection = connectInProcess(this.#table, this.clock);
    this.transport = { ...singleConnection(connection), endpoints };
    this.client = new EtcdClient({
      transport: this.transport,
      clock: this.clock,
      timeoutMs: 5_000,
    });
  }

  /** Answers the nth call with the nth of `answers`, the last one for ever; gives the requests it has seen. */
  unary<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    ...answers: (ResponseInit | { readonly status: Status } | "never")[]
  ): Request[] {
    const requests: Request[] = [];
    this.#table.set(method.path, {
      kind: "request",
      handle: (call, bytes) => {
        const answer = answers[Math.min(requests.length, answers.length - 1)];
        requests.push(method.request.decode(bytes.slice()));
        if (answer === "never" || answer === undefined) return;
        if (isStatus(answer)) call.end(answer.status);
        else respond(call, method.response, answer);
      },
    });
    return requests;
  }

  /** Gives the streams that were opened. */
  stream<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
  ): ServerStream<Request, ResponseInit>[] {
    const streams: ServerStream<Request, ResponseInit>[] = [];
    this.#table.set(method.path, {
      kind: "stream",
      open: (call) => {
        const requests: Request[] = [];
        const codec = method.response;
        streams.push({
          requests,
          call,
          send: (response) =>
            void call.send(codec.size(response), (target, offset) => void codec.encode(response, target, offset)),
          end: (status) => call.end(status),
        });
        return {
          onMessage: (bytes) => void requests.push(method.request.decode(bytes.slice())),
          onHalfClose: () => {},
        };
      },
    });
    return streams;
  }
}

function isStatus(answer: unknown): answer is { readonly status: Status } {
  return typeof answer === "object" && answer !== null && "status" in answer;
}

function respond<M, Init>(call: ServerCall, codec: MessageCodec<M, Init>, response: Init): void {
  call.respond(codec.size(response), (target, offset) => void codec.encode(response, target, offset));
}
