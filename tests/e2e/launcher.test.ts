/** What a launcher starts: the bundle, unless the compiler ran after it was made. */

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "etcd-ts-launcher-"));
  cpSync(new URL("../../bin", import.meta.url), join(directory, "bin"), { recursive: true });
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function file(path: string, text: string, writtenAt: number): void {
  const target = join(directory, "packages", path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  utimesSync(target, writtenAt, writtenAt);
}

function program(path: string, writtenAt: number): void {
  file(path, `process.stdout.write(${JSON.stringify(path)} + " " + process.argv.slice(2));`, writtenAt);
}

function launch(name: string): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(directory, "bin", name), "word"], {
    encoding: "utf8",
  });
  return status === 0 ? stdout : `${status}: ${stderr}`;
}

const programs = {
  etcd: { bundle: "server/bundle/etcd.js", modules: "server/dist/main.js" },
  etcdctl: { bundle: "ctl/bundle/etcdctl.js", modules: "ctl/dist/main.js" },
  etcdutl: { bundle: "server/bundle/etcdutl.js", modules: "server/dist/etcdutl/main.js" },
} as const;

test.each(Object.entries(programs))("%s starts its bundle while that is newest", (name, { bundle, modules }) => {
  expect(launch(name)).toBe(`1: ${name}: not built yet, run \`npm run build\` first\n`);
  program(modules, 1000);
  expect(launch(name)).toBe(`${modules} word`);
  program(bundle, 1001);
  // As published: without the compiler's notes.
  expect(launch(name)).toBe(`${bundle} word`);
  file("api/tsconfig.tsbuildinfo", "{}", 1001);
  expect(launch(name)).toBe(`${bundle} word`);
  file("store/tsconfig.tsbuildinfo", "{}", 1002);
  expect(launch(name)).toBe(`${modules} word`);
});
