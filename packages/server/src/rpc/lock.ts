/** v3lockpb.Lock. Source: etcd server/etcdserver/api/v3lock/lock.go. */

import { lock } from "@etcd-ts/api";
import { type EtcdClient, Mutex } from "@etcd-ts/client";
import type { ServiceTable } from "@etcd-ts/grpc";
import { unary } from "./method.js";
import { leaseHolder, serve } from "./own-client.js";

export function lockServices(client: EtcdClient): ServiceTable {
  return new Map([
    unary(lock.lock, (call, request, respond) => {
      const name = request.name.slice();
      serve(call, async (context) => {
        const mutex = new Mutex(await leaseHolder(client, request.lease, context), name);
        const header = await mutex.lock(context);
        respond({ header, key: mutex.key });
      });
    }),

    unary(lock.unlock, (call, request, respond) => {
      const key = request.key.slice();
      serve(call, async (context) => {
        const { header } = await client.kv.delete(key, context);
        respond({ header });
      });
    }),
  ]);
}
