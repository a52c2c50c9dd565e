/** The examples of the client's README, run as they are written against our member. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as api from "@etcd-ts/client";
import { expect, it } from "vitest";
import { ourMember } from "./support/client-servers.js";

const readme = readFileSync(join(import.meta.dirname, "..", "..", "packages", "client", "README.md"), "utf8");
const examples = Array.from(readme.matchAll(/```ts\n([\s\S]*?)```/g), ([, code]) => code ?? "");

const AsyncFunction = (async () => {}).constructor as new (
  ...parts: string[]
) => (...values: unknown[]) => Promise<void>;

it("the README's examples run", async () => {
  expect(examples.length).toBe(6);
  const server = await ourMember.start();
  const client = new api.EtcdClient({ endpoints: [server.endpoint] });
  const printed: string[] = [];
  const console = { log: (...words: unknown[]) => printed.push(words.join(" ")) };
  try {
    await client.kv.put("users/1", "a");
    const { header } = await client.kv.put("balance", "100");
    const scope = { ...api, client, console, revision: header.revision };
    const [first, ...others] = examples.map((code) => code.replaceAll("127.0.0.1:2379", server.endpoint));
    const withoutImport = (first ?? "").replace(/^import .*\n/, "");
    await new AsyncFunction("EtcdClient", "console", withoutImport)(api.EtcdClient, console);
    for (const code of others) await new AsyncFunction(...Object.keys(scope), code)(...Object.values(scope));
    expect(printed).toEqual(["hello", "users/1 a", "users/2"]);
    expect(await client.kv.getText("balance")).toBe("90");
    expect(await client.kv.getText("count")).toBe("1");
    expect(await client.kv.getText("report")).toBe("done");
  } finally {
    client.close();
    await server.close();
  }
});
