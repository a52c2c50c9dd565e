/** Client of etcd for Node programs. */

export { EtcdError, isEtcdError, type Reason } from "@etcd-ts/api";
export type { KeyValue } from "@etcd-ts/api/mvccpb";
export { AuthClient } from "./auth.js";
export type { Answer, CallOptions, Credentials } from "./caller.js";
export { EtcdClient, type EtcdClientOptions, type TransportClientOptions } from "./client.js";
export { ClusterClient } from "./cluster.js";
export { Election, type LeaderState, type Leadership } from "./concurrency/election.js";
export { ConcurrencyError, type ConcurrencyReason, isConcurrencyError } from "./concurrency/errors.js";
export { Mutex } from "./concurrency/mutex.js";
export { type LeaseHolder, Session } from "./concurrency/session.js";
export { type Isolation, type StmOptions, stm, type Transaction } from "./concurrency/stm.js";
export { CompactedError, isCompactedError } from "./errors.js";
export { KeepAlive, type KeepAliveOptions } from "./keep-alive.js";
export { type Bytes, type RangeOptions, toBytes, toText } from "./keys.js";
export { KvClient } from "./kv.js";
export { LeaseClient } from "./lease.js";
export { type EndpointOptions, MaintenanceClient } from "./maintenance.js";
export {
  type Compare,
  type CompareOperator,
  compare,
  type DeleteOptions,
  type GetOptions,
  type Op,
  op,
  type PutOptions,
  type SortOrder,
  type SortTarget,
  type Txn,
} from "./ops.js";
export type { TlsOptions } from "./socket-transport.js";
export {
  type CallReceiver,
  type CancelSignal,
  type ClientClock,
  type Connection,
  type ConnectionCall,
  type ConnectionCallOptions,
  nodeClock,
  singleConnection,
  type Timer,
  type Transport,
} from "./transport.js";
export type { WatchOptions } from "./watch.js";
export { Watcher, type WatchResponse } from "./watcher.js";
