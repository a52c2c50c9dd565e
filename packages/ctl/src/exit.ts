/** How etcdctl ends. Source: etcd pkg/cobrautl/error.go. */

import { errorSpecs, grpcCodeNames } from "@etcd-ts/api";
import { isEtcdError } from "@etcd-ts/client";

export const ExitCode = {
  success: 0,
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  io: 6,
  badArguments: 128,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the program: `Error: <message>` on standard error, and the code. An empty message prints nothing. */
export class CtlError extends Error {
  override readonly name = "CtlError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function badArguments(message: string): CtlError {
  return new CtlError(ExitCode.badArguments, message);
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (!isEtcdError(error)) return error instanceof Error ? error.message : String(error);
  const { code, message, reason } = error;
  const isKnown = reason !== undefined && errorSpecs[reason].clientIdentifier !== undefined;
  // etcd's client shows the texts of its table, its own deadline, and everything else with gRPC's words around it.
  if (isKnown || isOwn.test(message)) return message;
  return `rpc error: code = ${grpcCodeNames[code] ?? `Code(${code})`} desc = ${message}`;
}

const isOwn = /^context (canceled|deadline exceeded)$|^mvcc: watcher /;
