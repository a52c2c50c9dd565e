/** How refusals become gRPC statuses. */

import { isDecodeError } from "@etcd-ts/api";
import { type ServerCall, type Status, StatusCode } from "@etcd-ts/grpc";
import { plainStatusOf, type Refusal } from "../node/refusal.js";

export function statusOf(refusal: Refusal): Status {
  const { code, message } = plainStatusOf(refusal);
  return { code: code as StatusCode, message };
}

export function refuse(call: ServerCall, refusal: Refusal): void {
  call.end(statusOf(refusal));
}

/** Go's gRPC answers bytes that are not the method's message with Internal. */
export function malformed(error: unknown): Status {
  const why = isDecodeError(error) ? error.message : String(error);
  return { code: StatusCode.internal, message: `grpc: error unmarshalling request: ${why}` };
}
