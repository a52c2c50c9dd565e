import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { describeMismatch, runScript, runScriptOf, ScriptError, scriptKindOf } from "./index.js";

const folder = fileURLToPath(new URL("../../testdata/", import.meta.url));
const scripts = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".txt"));

describe("golden scripts", () => {
  test("are all found", () => expect(scripts.length).toBeGreaterThanOrEqual(21));

  for (const name of scripts) {
    test(name, () => {
      const text = readFileSync(folder + name, "utf8");
      const { commands, mismatches, rewritten } = runScriptOf(scriptKindOf(name), text);
      expect(mismatches.map(describeMismatch).join("\n")).toBe("");
      expect(commands).toBeGreaterThan(2);
      expect(rewritten).toBe(text);
    });
  }
});

describe("the script language", () => {
  const echo = (text: string) => runScript(text, ({ name, args, input }) => `${name} ${JSON.stringify(args)} ${input}`);

  test("arguments, lists, continuation lines and input", () => {
    const seen: unknown[] = [];
    runScript("do 1 a=b c=(d, e) f=() \\\n  g\none\ntwo\n----\nok\n", (command) => {
      seen.push(command);
      return "ok";
    });
    expect(seen).toEqual([
      {
        name: "do",
        args: [
          { key: "1", values: [] },
          { key: "a", values: ["b"] },
          { key: "c", values: ["d", "e"] },
          { key: "f", values: [] },
          { key: "g", values: [] },
        ],
        input: "one\ntwo",
      },
    ]);
  });

  test("a mismatch names line, command and both outputs, and is rewritten", () => {
    const { mismatches, rewritten } = runScript("# a\n\ndo\n----\nold\n", () => "new");
    expect(mismatches).toEqual([{ line: 3, command: "do", expected: "old\n", actual: "new\n" }]);
    expect(describeMismatch(mismatches[0]!)).toBe("line 3: do\n - old\n + new\n   \n");
    expect(rewritten).toBe("# a\n\ndo\n----\nnew\n");
  });

  test("output with blank lines is fenced", () => {
    const { rewritten } = runScript("do\n----\n\nnext\n----\n", ({ name }) => (name === "do" ? "a\n\nb" : ""));
    expect(rewritten).toBe("do\n----\n----\na\n\nb\n----\n----\n\nnext\n----\n");
    expect(runScript(rewritten, ({ name }) => (name === "do" ? "a\n\nb" : "")).mismatches).toEqual([]);
  });

  test("a script without an end is refused", () => {
    expect(() => echo("do\n")).toThrow(ScriptError);
    expect(() => echo("do\n----\n----\nx\n")).toThrow(ScriptError);
  });
});
