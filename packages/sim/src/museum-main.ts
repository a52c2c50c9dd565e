/** See museum.ts. */

import { runMuseum } from "./museum.js";

const { failed } = await runMuseum(process.argv.slice(2), (line) => console.log(line));
process.exitCode = failed === 0 ? 0 : 1;
