/** The discovery service over gRPC. */

import { readFileSync } from "node:fs";
import { EtcdClient } from "@etcd-ts/client";
import type { DiscoveryConfig } from "../config/member-config.js";
import type { DiscoveryRow, DiscoveryService } from "../node/discovery.js";

const decoder = new TextDecoder();

/** Throws when a certificate cannot be read. */
export function discoveryService(config: DiscoveryConfig): DiscoveryService {
  const client = new EtcdClient({
    endpoints: config.endpoints,
    tls: tlsOf(config),
    credentials: config.user === "" ? undefined : { username: config.user, password: config.password },
    timeoutMs: config.requestTimeoutMs,
    dialTimeoutMs: config.dialTimeoutMs,
    keepaliveTimeMs: config.keepaliveTimeMs,
    keepaliveTimeoutMs: config.keepaliveTimeoutMs,
  });
  return {
    async read(key, { isPrefix }) {
      const { header, kvs } = await client.kv.get(key, isPrefix ? { prefix: true } : {});
      return { revision: header.revision, rows: kvs.map(rowOf) };
    },
    async write(key, value) {
      await client.kv.put(key, value);
    },
    async *follow(prefix, fromRevision) {
      const watcher = client.watch(prefix, { prefix: true, startRevision: fromRevision });
      for await (const { events } of watcher) yield events.flatMap(({ kv }) => (kv === undefined ? [] : [rowOf(kv)]));
    },
    close: () => client.close(),
  };
}

interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
}

function rowOf({ key, value, createRevision }: KeyValue): DiscoveryRow {
  return { key: decoder.decode(key), value: decoder.decode(value), createRevision };
}

/** Undefined = as the endpoints say. Source: etcd client/v3/config.go newTLSConfig. */
function tlsOf({ cert, key, caCert, insecureTransport, insecureSkipVerify }: DiscoveryConfig): object | undefined {
  if (insecureTransport && !insecureSkipVerify && cert === "" && key === "" && caCert === "") return undefined;
  return {
    ...(cert !== "" && { cert: readFileSync(cert) }),
    ...(key !== "" && { key: readFileSync(key) }),
    ...(caCert !== "" && { ca: readFileSync(caCert) }),
    insecureSkipVerify,
  };
}
