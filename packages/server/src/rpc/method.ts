/**
 * Turns typed functions into the handlers of the transport: decodes the request, answers bytes that are not one as Go's
 * gRPC does, encodes the answer straight into the connection's buffer.
 */

import type { MessageCodec, Method } from "@etcd-ts/api";
import type { MethodHandler, ServerCall } from "@etcd-ts/grpc";
import { malformed } from "./status.js";

/** Sends the only answer of a call. */
export type Respond<ResponseInit> = (response: ResponseInit) => void;

export function respondWith<M, Init>(call: ServerCall, codec: MessageCodec<M, Init>, response: Init): void {
  call.respond(codec.size(response), (target, offset) => void codec.encode(response, target, offset));
}

/** False as `ServerCall.send`. */
export function sendWith<M, Init>(call: ServerCall, codec: MessageCodec<M, Init>, response: Init): boolean {
  return call.send(codec.size(response), (target, offset) => void codec.encode(response, target, offset));
}

/** The message; undefined when the bytes are none, and the call is then ended. */
export function decodeRequest<M, Init>(
  call: ServerCall,
  codec: MessageCodec<M, Init>,
  bytes: Uint8Array,
): M | undefined {
  try {
    return codec.decode(bytes);
  } catch (error) {
    call.end(malformed(error));
    return undefined;
  }
}

/** `bytes` is a view that is valid during the call only; so are the byte fields of the request. */
export function unary<Request, RequestInit, Response, ResponseInit>(
  method: Method<Request, RequestInit, Response, ResponseInit>,
  handle: (call: ServerCall, request: Request, respond: Respond<ResponseInit>, bytes: Uint8Array) => void,
): [path: string, handler: MethodHandler] {
  return [
    method.path,
    {
      kind: "request",
      handle: (call, bytes) => {
        const request = decodeRequest(call, method.request, bytes);
        if (request === undefined) return;
        handle(call, request, (response) => respondWith(call, method.response, response), bytes);
      },
    },
  ];
}
