/**
 * `npm run soak -- NAME [ARGS]`: runs the full count of a check that CI runs only a sample of. Each check is a module
 * `scripts/soak/NAME.ts` exporting `run(args)`; the last output of each is kept under docs/evidence/.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface SoakResult {
  readonly passed: number;
  readonly failed: number;
}

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const directory = join(here, "soak");

function names(): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".js") && !name.endsWith(".test.js"))
    .map((name) => name.slice(0, -3))
    .sort();
}

/** Keeps what is printed, so that it can be written to docs/evidence as it was seen. */
function recordOutput(): () => string {
  const chunks: string[] = [];
  const original = process.stdout.write.bind(process.stdout);
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: []) => {
    chunks.push(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
    return original(chunk, ...rest);
  }) as typeof process.stdout.write;
  return () => {
    process.stdout.write = original;
    return chunks.join("");
  };
}

async function main(argv: readonly string[]): Promise<number> {
  const keep = argv[0] === "--keep";
  const [name, ...args] = keep ? argv.slice(1) : argv;
  if (name === undefined || !existsSync(join(directory, `${name}.js`))) {
    console.error(`usage: npm run soak -- [--keep] NAME [ARGS]\nnames: ${names().join(" ")}`);
    return 2;
  }
  const module = (await import(pathToFileURL(join(directory, `${name}.js`)).href)) as {
    run(args: string[]): Promise<SoakResult>;
  };
  const stop = recordOutput();
  const startedAt = new Date();
  const result = await module.run(args);
  console.log(`${name}: ${result.passed} passed, ${result.failed} failed`);
  const output = stop();
  if (keep) {
    const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root }).toString().trim();
    const header = `# soak ${name}\n\n- date: ${startedAt.toISOString().slice(0, 10)}\n- commit: ${commit}\n- command: \`npm run soak -- ${[name, ...args].join(" ")}\`\n`;
    mkdirSync(join(root, "docs", "evidence"), { recursive: true });
    writeFileSync(join(root, "docs", "evidence", `${name}.md`), `${header}\n\`\`\`\n${output}\`\`\`\n`);
  }
  return result.failed === 0 ? 0 : 1;
}

// A socket or a process that a check has left behind must not keep the run from ending.
const code = await main(process.argv.slice(2));
process.stdout.write("", () => process.exit(code));
