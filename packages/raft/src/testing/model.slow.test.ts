import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runModel } from "./model.js";

const source = fileURLToPath(new URL("..", import.meta.url));

describe("random groups", () => {
  test("keep every invariant for 100 000 messages", () => {
    const figures = runModel({ seed: 1, messages: 100_000 });
    expect(figures.messages).toBeGreaterThanOrEqual(100_000);
    // A world in which nothing happens proves nothing.
    const { stranded, ...seen } = figures;
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(10);
    expect(stranded).toBeLessThan(figures.groups / 20);
    expect(figures.entries).toBeGreaterThan(1_000);
  });

  test("run alike with the same seed", () => {
    expect(runModel({ seed: 7, messages: 10_000 })).toEqual(runModel({ seed: 7, messages: 10_000 }));
  });
});

/** One rule broken: in `file`, `rule` becomes `broken`. */
interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly rule: string;
  readonly broken: string;
}

const mutations: readonly Mutation[] = [
  {
    name: "a node votes for whoever asks",
    file: "raft.ts",
    rule: "this.vote === from || (this.vote === none && this.lead === none)",
    broken: "true",
  },
  {
    name: "a vote does not wait for the disk",
    file: "messages.ts",
    rule: "type === MessageType.appResp || type === MessageType.voteResp || type === MessageType.preVoteResp",
    broken: "type === MessageType.appResp",
  },
  {
    name: "a candidate's log need not be up to date",
    file: "log.ts",
    rule: "return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex());",
    broken: "return ownTerm >= 0 && lastIndex >= 0;",
  },
  {
    name: "an entry of an old term is committed by counting",
    file: "raft.ts",
    rule: "index <= this.log.committed || !this.log.matchTerm(index, this.term)",
    broken: "index <= this.log.committed || index === Infinity",
  },
  {
    name: "an append is accepted without looking at the entry before it",
    file: "raft.ts",
    rule: "if (!this.log.matchTerm(index, logTerm)) {",
    broken: "if (index > this.log.lastIndex()) {",
  },
  {
    name: "a conflicting entry stays",
    file: "log.ts",
    rule: "if (existing === term) continue;",
    broken: 'if (typeof existing === "number") continue;',
  },
  {
    name: "half of the voters are a majority",
    file: "quorum.ts",
    rule: "return values[count - (Math.floor(count / 2) + 1)] as number;",
    broken: "return values[count - Math.max(1, Math.floor(count / 2))] as number;",
  },
  {
    name: "one half of a joint configuration commits",
    file: "tracker.ts",
    rule: "this.#outgoing.length === 0 ? incoming :",
    broken: "this.#outgoing.length < 100 ? incoming :",
  },
  {
    name: "a heartbeat commits what the follower may not have",
    file: "raft.ts",
    rule: "Math.min(progress.match, this.log.committed)",
    broken: "this.log.committed",
  },
  {
    name: "an acknowledgement does not wait for the disk",
    file: "messages.ts",
    rule: "type === MessageType.appResp || type === MessageType.voteResp || type === MessageType.preVoteResp",
    broken: "type === MessageType.voteResp || type === MessageType.preVoteResp",
  },
  {
    name: "reads are confirmed by the leader alone",
    file: "read-only.ts",
    rule: "const confirmed = tracker.quorumIndex(this.#acknowledged);",
    broken: "const confirmed = tracker === undefined ? 0 : position;",
  },
  {
    name: "several configuration changes are under way at once",
    file: "step-leader.ts",
    rule: "if (raft.pendingConfIndex > applied) {",
    broken: "if (raft.pendingConfIndex > Infinity + applied) {",
  },
  {
    name: "the end of the log is taken for durable whatever its term",
    file: "unstable.ts",
    rule: "} else if (known !== term) {",
    broken: "} else if (known !== term && term < 0) {",
  },
];

describe("a broken rule is caught", () => {
  let folder = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "raft-mutations-"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    compile(source, join(folder, "sound"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // A sound copy passes, so that what a mutated one fails by is the mutation.
  test("none", async () => {
    await run(join(folder, "sound"), 50_000);
  });

  for (const [number, { name, file, rule, broken }] of mutations.entries()) {
    test(name, async () => {
      const target = join(folder, `mutation-${number}`);
      cpSync(join(folder, "sound"), target, { recursive: true });
      const text = readFileSync(join(source, file), "utf8");
      expect(text.split(rule)).toHaveLength(2);
      writeFileSync(join(target, file.replace(".ts", ".js")), transpile(text.replace(rule, broken)));
      await expect(run(target, 2_000_000)).rejects.toThrow(/^seed \d+: /);
    });
  }
});

async function run(folder: string, messages: number): Promise<void> {
  const url = pathToFileURL(join(folder, "testing", "model.js")).href;
  const module = (await import(/* @vite-ignore */ url)) as { runModel: typeof runModel };
  module.runModel({ seed: 1, messages });
}

function compile(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith(".test.ts") });
  for (const name of readdirSync(to, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const path = join(to, name);
    writeFileSync(path.replace(/\.ts$/, ".js"), transpile(readFileSync(path, "utf8")));
  }
}

function transpile(text: string): string {
  const { target, module } = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
  return ts.transpileModule(text, { compilerOptions: { target, module, verbatimModuleSyntax: true } }).outputText;
}
