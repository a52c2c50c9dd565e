/** etcdctl as a function: `run(["get", "key"], io)`. */

export type { Io } from "./command.js";
export { nodeIo } from "./node-io.js";
export { run } from "./program.js";
