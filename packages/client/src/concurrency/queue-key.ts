/**
 * Queues of keys: who wants something puts a key of its own under a prefix and waits until all keys created earlier are
 * gone. Locks and elections are such queues. Source: etcd client/v3/concurrency/key.go, mutex.go.
 */

import { concatBytes } from "@etcd-ts/api";
import type { RangeResponse, ResponseHeader, TxnResponse } from "@etcd-ts/api/etcdserverpb";
import { Event_EventType, type KeyValue } from "@etcd-ts/api/mvccpb";
import type { CallOptions } from "../caller.js";
import type { EtcdClient } from "../client.js";
import { canceledError } from "../errors.js";
import { type Bytes, toBytes } from "../keys.js";

/** `<name>/`: what the keys of a queue begin with. */
export function queuePrefix(name: Bytes): Uint8Array {
  return concatBytes([toBytes(name), toBytes("/")]);
}

/** The key of a lease in a queue: lower-case hexadecimal, without leading zeros. */
export function queueKey(prefix: Uint8Array, leaseId: bigint): Uint8Array {
  return concatBytes([prefix, toBytes(BigInt.asUintN(64, leaseId).toString(16))]);
}

/** Waits until no key under the prefix has a create revision up to `maxCreateRevision`. */
export async function waitDeletes(
  client: EtcdClient,
  prefix: Uint8Array,
  maxCreateRevision: number,
  options: CallOptions,
): Promise<ResponseHeader> {
  for (;;) {
    const { header, kvs } = await client.kv.get(prefix, {
      ...options,
      prefix: true,
      maxCreateRevision,
      limit: 1,
      sort: { by: "CREATE", order: "DESCEND" },
    });
    const last = kvs[0];
    if (last === undefined) return header;
    await waitDelete(client, last.key, header.revision, options);
  }
}

async function waitDelete(client: EtcdClient, key: Uint8Array, startRevision: number, options: CallOptions) {
  const { signal, metadata } = options;
  // The lease of the key ahead may end only under a leader; where there is none, waiting goes on.
  const watcher = client.watch(key, { startRevision, signal, metadata, filter: "noPut", requireLeader: false });
  for await (const { type } of watcher.events()) if (type === Event_EventType.DELETE) return;
}

/** Pairs that the nth operation of a transaction read. */
export function readPairs({ responses }: Pick<TxnResponse, "responses">, index: number): readonly KeyValue[] {
  const response = responses[index]?.response;
  return response?.kind === "responseRange" ? (response.value as RangeResponse).kvs : [];
}

/**
 * The work's result; CANCELLED as soon as the caller gives up. What the work comes to after that is handed to `late`,
 * which undoes it.
 */
export function settled<T>(work: Promise<T>, { signal }: CallOptions, late: (result: T) => Promise<void>): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    let givenUp = false;
    const onAbort = (): void => {
      givenUp = true;
      reject(canceledError());
    };
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    work
      .then((result) => (givenUp ? late(result) : resolve(result)))
      .catch(reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}
