import { describe, expect, test } from "vitest";
import { checkRepository } from "../../scripts/check-imports/rules.js";

/** A small repository that breaks no rule; each test adds one file or changes one. */
const sound: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({
    scripts: { soak: "node build/scripts/soak.js" },
    devDependencies: { vitest: "1", typescript: "6" },
  }),
  "packages/api/package.json": manifest({ ".": "./src/index.ts", "./raftpb": "./src/gen/raftpb.ts" }),
  "packages/api/src/index.ts": 'export { limit } from "./limits.js";',
  "packages/api/src/limits.ts": "export const limit = 1;",
  "packages/api/src/gen/raftpb.ts": "export const entry = 1;",
  "packages/raft/package.json": manifest({ ".": "./src/index.ts" }),
  "packages/raft/src/index.ts": "export const term = 1;",
  "packages/store/package.json": manifest({ ".": "./src/index.ts" }),
  "packages/store/src/index.ts": 'import { entry } from "@etcd-ts/api/raftpb";\nexport const store = entry;',
  "packages/client/package.json": manifest({ ".": "./src/index.ts" }),
  "packages/client/src/index.ts": 'import { readFile } from "node:fs";\nexport const client = readFile;',
  "packages/server/package.json": manifest({ ".": "./src/index.ts" }, { lmdb: "3", yaml: "2" }),
  "packages/server/src/index.ts": 'export { node } from "./node/node.js";\nexport { host } from "./platform/host.js";',
  "packages/server/src/node/node.ts": 'import { wal } from "../wal/wal.js";\nexport const node = async () => wal;',
  "packages/server/src/wal/wal.ts": "export const wal = Promise.resolve(1);",
  "packages/server/src/platform/host.ts":
    'import { open } from "lmdb";\nexport const host = [open, new URL("commit.js", import.meta.url), Date.now()];',
  "packages/server/src/platform/commit.ts": "setTimeout(() => {}, 1);",
  "scripts/soak.ts": 'import { term } from "@etcd-ts/raft";\nconsole.log(term);',
  "bin/etcd": '#!/usr/bin/env node\nawait import("../packages/server/dist/start.js");',
  "packages/server/src/start.ts": "export const start = 1;",
};

function manifest(exports: Record<string, string>, dependencies: Record<string, string> = {}): string {
  const targets = Object.entries(exports).map(([key, path]) => [key, { "@etcd-ts/source": path }]);
  return JSON.stringify({ exports: Object.fromEntries(targets), dependencies });
}

/** `path:line rule` of each violation in the sound repository with some files replaced or, when null, removed. */
function check(changes: Readonly<Record<string, string | null>>): readonly string[] {
  const files = new Map(Object.entries(sound));
  for (const [path, text] of Object.entries(changes)) {
    if (text === null) files.delete(path);
    else files.set(path, text);
  }
  return checkRepository(files).map(({ path, line, rule }) => `${path}:${line} ${rule}`);
}

const raft = "packages/raft/src/index.ts";
const server = "packages/server/src/node/node.ts";
const wal = 'import { wal } from "../wal/wal.js";\nexport const node = wal;\n';

test("the sound repository breaks no rule", () => {
  expect(check({})).toEqual([]);
});

describe("arrows between packages", () => {
  test.each([
    ["raft imports api", raft, 'import "@etcd-ts/api";', "arrow"],
    ["a type import counts", raft, 'import type { limit } from "@etcd-ts/api";', "arrow"],
    ["so does an import type", raft, 'export type T = import("@etcd-ts/api").T;', "arrow"],
    ["and a re-export", raft, 'export { limit } from "@etcd-ts/api";', "arrow"],
    ["and a dynamic import", raft, 'export const f = () => import("@etcd-ts/api");', "arrow"],
    ["server imports client", server, `${wal}import "@etcd-ts/client";`, "arrow"],
    [
      "store imports an unlisted subpath",
      "packages/store/src/index.ts",
      'import "@etcd-ts/api/limits";',
      "deep-import",
    ],
    ["store reaches into api", "packages/store/src/index.ts", 'import "../../api/src/index.js";', "deep-import"],
    ["a script reaches into raft", "scripts/soak.ts", 'import "../packages/raft/src/index.js";', "deep-import"],
  ])("%s", (_name, path, text, rule) => {
    const line = text.split("\n").length;
    expect(check({ [path]: text })).toContain(`${path}:${line} ${rule}`);
  });

  test("locks may use the client", () => {
    const path = "packages/server/src/rpc/lock.ts";
    const node = 'import "../rpc/lock.js";\n';
    expect(
      check({
        [path]: 'import "@etcd-ts/client";',
        "packages/server/src/index.ts": `${sound["packages/server/src/index.ts"]}\n${node.replace("..", ".")}`,
      }),
    ).toEqual([]);
  });
});

describe("fences inside the server", () => {
  test.each([
    ["packages/server/src/wal/wal.ts", 'import { node } from "../node/node.js";\nexport const wal = node;'],
    ["packages/server/src/node/node.ts", `import "../platform/host.js";\n${wal}`],
  ])("%s", (path, text) => {
    expect(check({ [path]: text })).toEqual([`${path}:1 fence`]);
  });
});

test("a fence lets types through", () => {
  const text = 'import type { node } from "../node/node.js";\nexport const wal: typeof node | 1 = 1;';
  expect(check({ "packages/server/src/wal/wal.ts": text })).toEqual([]);
  const mixed = 'import { node, type wal as w } from "../node/node.js";\nexport const wal: typeof w = node;';
  expect(check({ "packages/server/src/wal/wal.ts": mixed })).toEqual(["packages/server/src/wal/wal.ts:1 fence"]);
});

describe("zones", () => {
  test.each([
    ["pure", "node:fs", raft, 'import "node:fs";'],
    ["pure", "a built-in without its prefix", raft, 'import "fs";'],
    ["pure", "a dependency", raft, 'import "yaml";'],
    ["pure", "Date.now", raft, "export const now = Date.now();"],
    ["pure", "new Date()", raft, "export const now = new Date();"],
    ["pure", "Math.random", raft, "export const r = Math.random();"],
    ["pure", "Promise as a type", raft, "export type P = Promise<void>;"],
    ["pure", "async", raft, "export const f = async () => 1;"],
    ["pure", "WeakRef", raft, "export const w = new WeakRef({});"],
    ["pure", "Intl", raft, "export const i = Intl.Collator;"],
    ["pure", "localeCompare", raft, 'export const c = "a".localeCompare("b");'],
    ["pure", "toLocaleString", raft, "export const s = (1).toLocaleString();"],
    ["ported", "node:fs", server, `${wal}import "node:fs";`],
    ["ported", "lmdb", server, `${wal}import "lmdb";`],
    ["ported", "setTimeout", server, `${wal}setTimeout(() => {}, 1);`],
    ["ported", "setInterval", server, `${wal}setInterval(() => {}, 1);`],
    ["ported", "setImmediate", server, `${wal}setImmediate(() => {});`],
    ["ported", "Date.now", server, `${wal}Date.now();`],
    ["ported", "performance", server, `${wal}performance.now();`],
    ["ported", "process", server, `${wal}process.exit(1);`],
    ["ported", "Math.random", server, `${wal}Math.random();`],
    ["ported", "fetch", server, `${wal}void fetch("x");`],
    ["ported", "crypto", server, `${wal}crypto.randomUUID();`],
  ])("%s: %s", (_zone, _name, path, text) => {
    expect(check({ [path]: text })).toEqual([`${path}:${text.split("\n").length} zone`]);
  });

  test.each([
    ["a property of that name", "export const f = (env: { process: { exit(): void } }) => env.process.exit();"],
    ["a declared name", "export function f(process: { exit(): void }): void {\n  process.exit();\n}"],
    ["a method of that name", "export class C {\n  fetch(): number {\n    return 1;\n  }\n}"],
    ["a date that is given", "export const d = new Date(0);"],
    ["a comment", "// Date.now() and Math.random() are banned here.\nexport const x = 1;"],
    ["a string", 'export const s = "Date.now()";'],
  ])("allowed: %s", (_name, text) => {
    expect(check({ [raft]: text })).toEqual([]);
  });

  test("tests may do what their subject may not", () => {
    const path = "packages/raft/src/index.test.ts";
    expect(check({ [path]: 'import "node:fs";\nimport "vitest";\nexport const f = async () => Date.now();' })).toEqual(
      [],
    );
  });

  test("the real zone too lists what it depends on", () => {
    const path = "packages/server/src/platform/commit.ts";
    expect(check({ [path]: 'import "pino";' })).toEqual([`${path}:1 dependency`]);
  });
});

test("export * is refused", () => {
  expect(check({ "packages/api/src/index.ts": 'export * from "./limits.js";' })).toEqual([
    "packages/api/src/index.ts:1 export-all",
  ]);
});

describe("orphans", () => {
  test.each([
    ["a source", { "packages/raft/src/dead.ts": "export const x = 1;" }, "packages/raft/src/dead.ts"],
    [
      "a source that only its test imports",
      { "packages/raft/src/dead.ts": "", "packages/raft/src/dead.test.ts": 'import "./dead.js";' },
      "packages/raft/src/dead.ts",
    ],
    ["a script without a command", { "scripts/dead.ts": "" }, "scripts/dead.ts"],
    ["a source without its launcher", { "bin/etcd": null }, "packages/server/src/start.ts"],
    [
      "a worker nobody starts",
      { "packages/server/src/platform/host.ts": "export const host = 1;" },
      "packages/server/src/platform/commit.ts",
    ],
  ])("%s", (_name, changes, path) => {
    expect(check(changes)).toEqual([`${path}:1 orphan`]);
  });

  test("a program whose header says how to start it is none", () => {
    expect(
      check({ "scripts/tool.ts": "/** Run it: `node --expose-gc build/scripts/tool.js --count 5`. */\n" }),
    ).toEqual([]);
  });

  test("helpers of tests are not", () => {
    const changes = {
      "packages/raft/src/testing/help.ts": "export const x = 1;",
      "packages/raft/src/index.test.ts": 'import "./testing/help.js";',
    };
    expect(check(changes)).toEqual([]);
  });
});

describe("traces of one machine", () => {
  // In pieces, so that this file breaks no rule itself.
  test.each([["", "root", "x"].join("/"), ["", "home", "jo", "x"].join("/"), ["", "work", "main"].join("/")])(
    "%s",
    (path) => {
      expect(check({ "README.md": `one\nsee ${path}` })).toEqual(["README.md:2 machine-path"]);
    },
  );

  test("a registry other than npm's", () => {
    const lock = ['"resolved": "https:', "registry.example.org", "x.tgz"].join("//");
    expect(check({ "package-lock.json": `{${lock}"}` })).toEqual(["package-lock.json:1 machine-path"]);
    expect(check({ "package-lock.json": '{"resolved": "https://registry.npmjs.org/x.tgz"}' })).toEqual([]);
    expect(check({ ".npmrc": ["registry", "https://registry.example.org"].join("=") })).toEqual([
      ".npmrc:1 machine-path",
    ]);
  });

  test("ordinary paths are no traces", () => {
    expect(check({ "README.md": "look at docs/home/x.md, ./root/y and https://example.org/home/jo" })).toEqual([]);
  });
});
