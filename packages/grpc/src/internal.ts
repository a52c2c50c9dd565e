/** Parts of the transport for the repository's other packages, tools and tests. Not promised to users. */

export { grpcServices } from "./core/grpc-request.js";
export { IdTable } from "./core/id-table.js";
export { ChunkPool } from "./core/output.js";
export { ServerConnection, type ServerConnectionConfig } from "./core/server-connection.js";
export { TimerWheel } from "./core/timer-wheel.js";
