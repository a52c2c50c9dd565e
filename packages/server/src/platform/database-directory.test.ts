import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { currentDatabase, nextDatabase, removeStrays, switchDatabase } from "../backend/directory.js";
import { NodeDisk } from "./disk.js";

const disk = new NodeDisk();
let member: string;

beforeEach(() => {
  member = mkdtempSync(join(tmpdir(), "etcd-ts-member-"));
});

afterEach(() => rmSync(member, { recursive: true, force: true }));

test("a database is live once it was switched to, and the others are removed", async () => {
  expect(await currentDatabase(disk, member)).toBeUndefined();
  const first = await nextDatabase(disk, member);
  expect(first).toBe(`${member}/lmdb-1`);
  mkdirSync(first);
  await switchDatabase(disk, member, first);
  expect(await currentDatabase(disk, member)).toBe(first);
  const second = await nextDatabase(disk, member);
  mkdirSync(second);
  expect(await removeStrays(disk, member)).toEqual(["lmdb-2"]);
  expect(existsSync(first)).toBe(true);
  mkdirSync(second);
  await switchDatabase(disk, member, second);
  expect(readFileSync(`${member}/CURRENT`, "utf8")).toBe("lmdb-2\n");
  expect(await removeStrays(disk, member)).toEqual(["lmdb-1"]);
  expect(await nextDatabase(disk, member)).toBe(`${member}/lmdb-3`);
});

test("a CURRENT that names nothing is refused rather than replaced", async () => {
  writeFileSync(`${member}/CURRENT`, "../elsewhere\n");
  await expect(currentDatabase(disk, member)).rejects.toThrow("names no database");
  await expect(removeStrays(disk, member)).rejects.toThrow("names no database");
});
