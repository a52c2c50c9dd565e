/**
 * Ends with CODE while the workers of its databases start and commit, MILLISECONDS after it began them:
 *
 *   node exit-while-committing.js DIRECTORY CODE MILLISECONDS
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createNodeEnv } from "@etcd-ts/server/internal";

const [parent = "", code = "1", milliseconds = "0"] = process.argv.slice(2);
const databases = 8;
const env = createNodeEnv({ logLevel: "error" });

async function commitAlways(directory: string): Promise<void> {
  mkdirSync(directory);
  const database = await env.openDatabase(directory);
  for (;;) await database.commit([new Uint8Array(0)]);
}

for (let i = 0; i < databases; i++) void commitAlways(join(parent, String(i)));
setTimeout(() => process.exit(Number(code)), Number(milliseconds));
