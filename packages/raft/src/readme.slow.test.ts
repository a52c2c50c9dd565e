import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, expect, test, vi } from "vitest";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));
// Beside the package's own modules, so that its name resolves.
const folder = mkdtempSync(join(packageFolder, ".readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the counter in the README runs as written", async () => {
  const readme = readFileSync(join(packageFolder, "README.md"), "utf8");
  const [, code = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(code.split("\n").length).toBeLessThan(65);
  const file = join(folder, "counter.ts");
  writeFileSync(file, code);
  // Strictly typed too, but for the one liberty that keeps the example short.
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    customConditions: ["@etcd-ts/source"],
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    types: [],
  });
  const faults = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  expect(faults).toEqual([]);
  const printed: unknown[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((value) => void printed.push(value));
  await import(/* @vite-ignore */ pathToFileURL(file).href);
  log.mockRestore();
  expect(printed).toEqual([[6, 6, 6]]);
}, 60_000);
