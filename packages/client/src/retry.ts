/**
 * When a failed call is made again.
 *
 * Reads and calls that may be done twice are repeated when the server says that it is unavailable. Everything else is
 * repeated only when it has surely not been done: it never reached a server, or was refused before it was looked at.
 * etcd's own client also repeats a write that the server answered with a deadline of its own; whether that write
 * happens is not known, so this one does not.
 *
 * Source: etcd client/v3/retry.go, retry_interceptor.go.
 */

import { type EtcdError, errorSpecs, type Reason } from "@etcd-ts/api";
import { Code } from "./errors.js";

/** Attempts for one call. Source: etcd client/v3/options.go defaultUnaryMaxRetries. */
export const attemptsMax = 100;

/**
 * Before every endpoint of a quorum has been asked again the client waits, ± 10 %. Source: defaultBackoffWaitBetween.
 */
const waitMs = 25;
const waitJitter = 0.1;

/** Texts that a request is refused with before it is proposed or served, where another server may do better. */
const refusedHere: ReadonlySet<Reason> = new Set(["notSupportedForLearner"]);

export interface Failure {
  readonly error: EtcdError;
  /** The server has surely not looked at the call. */
  readonly unprocessed: boolean;
}

export interface RetryRules {
  /** Doing the call twice does no harm. */
  readonly repeatable: boolean;
  readonly endpointCount: number;
}

/** True when the call may be made again. The caller looks after its own deadline and signal. */
export function mayRetry({ error, unprocessed }: Failure, { repeatable, endpointCount }: RetryRules): boolean {
  if (unprocessed && error.code === Code.unavailable) return true;
  if (error.reason !== undefined && refusedHere.has(error.reason)) return endpointCount > 1;
  if (!repeatable) return false;
  if (error.code === Code.deadlineExceeded || error.code === Code.canceled) return true;
  if (error.code !== Code.unavailable) return false;
  return error.reason === undefined || errorSpecs[error.reason].retryable;
}

/** Milliseconds to wait before attempt `attempt`, the first being 0; `random` is in [0, 1). */
export function retryDelayMs(attempt: number, endpointCount: number, random: number): number {
  const quorum = Math.floor(endpointCount / 2) + 1;
  if (attempt % quorum !== 0) return 0;
  return waitMs * (1 + waitJitter * (2 * random - 1));
}

/** True when a stream that carries watches or keepalives should not be opened again. Source: etcd isHaltErr. */
export function isHalt({ code }: { readonly code: number }): boolean {
  return code !== Code.unavailable && code !== Code.internal;
}
