import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DiskError } from "../env.js";
import { NodeDisk } from "./disk.js";

let root: string;
const disk = new NodeDisk();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "etcd-ts-disk-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a file", () => {
  test("is written in parts, by each of the ways", async () => {
    const path = join(root, "a");
    const file = await disk.open(path, "write");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await file.write(0, [bytes("ab"), bytes(""), bytes("cd")]);
    file.writeAndSyncNow(4, [bytes("ef"), bytes("gh")]);
    await file.writeAndSync(8, [bytes("ij"), bytes("kl")]);
    expect(readFileSync(path, "utf8")).toBe("abcdefghijkl");
    await file.zero(2, 3);
    expect(await file.read(0, 100)).toEqual(bytes("ab\0\0\0fghijkl"));
    await file.truncate(3);
    expect(await file.size()).toBe(3);
    await file.close();
    await file.close();
  });

  test("takes more than the worker's memory at once, and parallel writes", async () => {
    const file = await disk.open(join(root, "a"), "write");
    const large = new Uint8Array(9 << 20).map((_, i) => i % 251);
    await Promise.all([
      file.writeAndSync(0, [large.subarray(0, 5 << 20), large.subarray(5 << 20)]),
      file.writeAndSync(9 << 20, [bytes("end")]),
    ]);
    expect(Buffer.from(await file.read(0, 9 << 20)).equals(large)).toBe(true);
    expect(await file.read(9 << 20, 3)).toEqual(bytes("end"));
    await file.close();
  });

  test("has one owner of its lock, also within a process", async () => {
    const path = join(root, "LOCK");
    const lock = await disk.lock(path);
    expect(await disk.lock(path)).toBeUndefined();
    await lock?.release();
    await lock?.release();
    const again = await disk.lock(path);
    expect(again).toBeDefined();
    await again?.release();
  });
});

describe("a failure is told by the system's name of it", () => {
  test("missing and forbidden", async () => {
    await expect(disk.open(join(root, "none"), "read")).rejects.toMatchObject({ code: "ENOENT" });
    expect(await disk.readFile(join(root, "none"))).toBeUndefined();
    expect(await disk.list(join(root, "none"))).toEqual([]);
    writeFileSync(join(root, "file"), "");
    await expect(disk.makeDirectory(join(root, "file", "below"))).rejects.toBeInstanceOf(DiskError);
  });

  test("a full disk, by each of the ways", async () => {
    // /dev/full accepts everything but writes.
    const file = await disk.open("/dev/full", "write");
    await expect(file.write(0, [bytes("a")])).rejects.toThrow("write /dev/full: ENOSPC");
    await expect(file.writeAndSync(0, [bytes("a")])).rejects.toThrow("write /dev/full: ENOSPC");
    expect(() => file.writeAndSyncNow(0, [bytes("a")])).toThrow("write /dev/full: ENOSPC");
    await expect(file.zero(0, 10)).rejects.toMatchObject({ code: "ENOSPC", path: "/dev/full" });
    await file.close();
  });
});

test("directories are private, and listed in order", async () => {
  await disk.makeDirectory(join(root, "a", "b"));
  await disk.makeDirectory(join(root, "a", "b"));
  expect(await disk.mode(join(root, "a", "b"))).toBe(0o700);
  for (const name of ["c", "B", "a"]) mkdirSync(join(root, "a", name), { recursive: true });
  expect(await disk.list(join(root, "a"))).toEqual(["B", "a", "b", "c"]);
  await disk.rename(join(root, "a", "c"), join(root, "a", "d"));
  await disk.syncDirectory(join(root, "a"));
  await disk.remove(join(root, "a"));
  await disk.remove(join(root, "a"));
  expect(await disk.exists(join(root, "a"))).toBe(false);
});

test("the thread that syncs ends with the last file, so that a process can end", () => {
  const program = `
    import { NodeDisk } from ${JSON.stringify(new URL("../../dist/platform/disk.js", import.meta.url).href)};
    const file = await new NodeDisk().open(${JSON.stringify(join(root, "a"))}, "write");
    await file.writeAndSync(0, [new Uint8Array(10)]);
    await file.close();`;
  execFileSync(process.execPath, ["--input-type=module", "-e", program], { timeout: 20_000 });
  expect(statSync(join(root, "a")).size).toBe(10);
});
