/**
 * Boots the member over what power cuts left, one after the other in one process, since most of a start is Node's own.
 * Each line of its input is the flags of a member to boot, or `{}` to close it; each line of its output what is wrong,
 * or nothing.
 */

import { createInterface } from "node:readline";
import { type Etcd, startEtcd } from "@etcd-ts/server";
import { createNodeEnv } from "@etcd-ts/server/internal";

let etcd: Etcd | undefined;
let failure: Error | undefined;

async function answer(flags: Readonly<Record<string, string>>): Promise<void> {
  if (Object.keys(flags).length > 0) {
    failure = undefined;
    const onFailure = (error: Error): void => {
      failure = error;
    };
    etcd = await startEtcd(flags, { env: createNodeEnv({ logLevel: "error" }), onFailure });
  } else {
    const closing = etcd;
    etcd = undefined;
    await closing?.close();
  }
  if (failure !== undefined) throw failure;
}

for await (const line of createInterface({ input: process.stdin })) {
  let wrong = "";
  try {
    await answer(JSON.parse(line) as Record<string, string>);
  } catch (error) {
    wrong = error instanceof Error ? error.message : String(error);
  }
  process.stdout.write(`${wrong.replaceAll("\n", " ")}\n`);
}
