import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));

function run(...args: readonly string[]): { readonly status: number | null; readonly lines: readonly string[] } {
  const all = ["--seeds", "3", "--seconds", "1", ...args];
  const { status, stdout } = spawnSync(process.execPath, [main, ...all], { encoding: "utf8" });
  return { status, lines: stdout.trimEnd().split("\n") };
}

function traces(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => /^(seed \d+ ok) .* (trace [0-9a-f]+)$/.exec(line)?.slice(1).join(" ") ?? []).sort();
}

describe("many seeds", () => {
  test("workers run the same seeds as one process does", () => {
    const many = run("--workers", "2");
    expect(many.status).toBe(0);
    expect(many.lines.at(-1)).toBe("3 passed, 0 failed");
    expect(traces(many.lines)).toHaveLength(3);
    expect(traces(many.lines)).toEqual(traces(run("--workers", "1").lines));
  });

  test("a worker that ends fails its seed, which is printed with its command, and the others go on", () => {
    const { status, lines } = run("--workers", "2", "--overrides", '{"members":"none"}');
    expect(status).toBe(1);
    expect(lines.at(-1)).toBe("0 passed, 3 failed");
    expect(lines.join("\n")).toContain(`again: npm run sim -- --seed 3 --overrides '{"members":"none","seconds":1}'`);
  });
});
