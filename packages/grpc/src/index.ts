export {
  type CallObserver,
  type MessageWriter,
  type MetadataEntries,
  type MetadataValue,
  type MethodHandler,
  type PeerInfo,
  type RequestHandler,
  type ServerCall,
  type ServiceTable,
  type Status,
  StatusCode,
  type StreamHandler,
  type StreamReceiver,
} from "./call.js";
export { type ConnectionLimits, clientLimits, type KeepaliveLimits, serverLimits } from "./core/limits.js";
export type { HttpBodyReceiver, HttpExchange, HttpHandler, HttpHeaders } from "./http.js";
export {
  connectInProcess,
  type InProcessConnection,
  type InProcessLimits,
  type InProcessScheduler,
} from "./in-process.js";
export { type ChannelOptions, type ChannelState, GrpcChannel } from "./node/channel.js";
export { GrpcServer, type GrpcServerOptions, type ListenTarget, type TlsGuard } from "./node/server.js";
export { GrpcError, type UnaryAnswer, type UnaryRequest, unary } from "./unary.js";
