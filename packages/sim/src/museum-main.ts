/** See museum.ts. */

import { runMuseum } from "./museum.js";

const { failed } = await runMuseum(process.argv.slice(2), (line) => void process.stdout.write(`${line}\n`));
process.exitCode = failed === 0 ? 0 : 1;
