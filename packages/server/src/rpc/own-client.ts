/**
 * The member's client of itself, for the services that are made of others' calls: locks and elections. It calls the
 * handlers without the checks in front of them, which the caller's own call has passed, and with the caller's token.
 *
 * Source: etcd server/etcdserver/api/v3client.
 */

import { errorSpecs, isEtcdError } from "@etcd-ts/api";
import { EtcdClient, type LeaseHolder, singleConnection } from "@etcd-ts/client";
import { connectInProcess, type MetadataEntries, type ServerCall, type ServiceTable, type Status } from "@etcd-ts/grpc";
import type { Clock } from "../env.js";

/** Nothing is repeated here: failures are the caller's to judge. */
export function ownClient(services: ServiceTable, clock: Clock): EtcdClient {
  return new EtcdClient({
    transport: singleConnection(connectInProcess(services, clock)),
    clock: {
      now: () => clock.now(),
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
      random: () => 0.5,
    },
    timeoutMs: 0,
    attemptsMax: 1,
  });
}

/** Seconds of a lease that is granted because the caller named none; nobody renews it. */
const sessionTtl = 60;
/** Names under which a token arrives over gRPC and HTTP. Source: etcd api/v3rpc/rpctypes/metadatafields.go. */
const tokenNames: ReadonlySet<string> = new Set(["token", "authorization"]);

/** What a caller's work goes on with: given up when the call ends, under the caller's name. */
export interface CallerContext {
  readonly signal: AbortSignal;
  readonly metadata: MetadataEntries;
}

/**
 * Does a call's work and ends the call with its error, if any. Errors of the client's table arrive as Unknown, their
 * texts unchanged, as from etcd, whose in-process client gives them no code.
 */
export function serve(call: ServerCall, work: (context: CallerContext) => Promise<void>): void {
  const controller = new AbortController();
  call.onCancel(() => controller.abort());
  const metadata = call.metadata.filter(([name]) => tokenNames.has(name));
  work({ signal: controller.signal, metadata }).catch((error: unknown) => call.end(statusOfError(error)));
}

function statusOfError(error: unknown): Status {
  const message = error instanceof Error ? error.message : String(error);
  if (!isEtcdError(error)) return { code: 2, message };
  const known = error.reason !== undefined && errorSpecs[error.reason].clientIdentifier !== undefined;
  return { code: known ? 2 : (error.code as Status["code"]), message };
}

/** The caller's lease, or one of its own. */
export async function leaseHolder(client: EtcdClient, leaseId: bigint, context: CallerContext): Promise<LeaseHolder> {
  if (leaseId !== 0n) return { client, leaseId };
  const { id } = await client.lease.grant(sessionTtl, context);
  return { client, leaseId: id };
}
