/** Entry of `bin/etcdctl`. */

import { nodeIo } from "./node-io.js";
import { run } from "./program.js";

process.exitCode = await run(process.argv.slice(2), nodeIo());
// Standard input or a child may still hold the loop.
process.exit();
