import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { errorsPage } from "../../scripts/errors-page.js";
import { generate, generatedDirectory } from "../../scripts/generate.js";

it("generated modules are those of proto/: run `npm run generate`", () => {
  const files = generate(process.cwd());
  expect(readdirSync(generatedDirectory).sort()).toEqual([...files.keys()].sort());
  for (const [name, content] of files) {
    expect(readFileSync(join(generatedDirectory, name), "utf8") === content, name).toBe(true);
  }
});

it("docs/errors.md is that of the error table: run `npm run generate`", () => {
  expect(readFileSync("docs/errors.md", "utf8")).toBe(errorsPage());
});
