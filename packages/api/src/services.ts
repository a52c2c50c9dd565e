/** The service table: every RPC of etcd 3.7 with its path, codecs and HTTP routes. */

import { allMethods } from "./gen/services.js";
import type { AnyMethod } from "./method.js";

export {
  allMethods,
  auth,
  cluster,
  election,
  health,
  kv,
  lease,
  lock,
  maintenance,
  watch,
} from "./gen/services.js";

/** Methods by gRPC path, e.g. `/etcdserverpb.KV/Range`. */
export const methodsByPath: ReadonlyMap<string, AnyMethod> = new Map(allMethods.map((method) => [method.path, method]));

/** Methods by path of the HTTP gateway, e.g. `/v3/kv/range`; some have two. */
export const methodsByHttpPath: ReadonlyMap<string, AnyMethod> = new Map(
  allMethods.flatMap((method) => method.httpPost.map((path) => [path, method] as const)),
);
