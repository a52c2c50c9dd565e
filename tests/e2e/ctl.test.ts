/** etcdctl against our member: its commands in one process, the launcher in another. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Io, nodeIo, run } from "@etcd-ts/ctl";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ourMember, type Server } from "../contract/support/client-servers.js";

const root = join(import.meta.dirname, "..", "..");

describe("etcdctl", () => {
  let server: Server;
  beforeAll(async () => {
    server = await ourMember.start();
  });
  afterAll(async () => {
    await server?.close();
  });
  beforeEach(async () => {
    await ctl(["del", "", "--prefix"]);
  });

  interface Outcome {
    readonly exit: number;
    readonly out: string;
    readonly error: string;
  }

  async function ctl(argv: readonly string[], input = "", interruption?: AbortSignal): Promise<Outcome> {
    const [out, error]: [Buffer[], string[]] = [[], []];
    const io: Io = {
      ...nodeIo(),
      environment: { ETCDCTL_ENDPOINTS: server.endpoint },
      out: (text) => void out.push(Buffer.from(text)),
      error: (text) => void error.push(text),
      readInput: async () => Buffer.from(input),
      lines: () => lines(input),
      interruption: () => interruption ?? new AbortController().signal,
    };
    const exit = await run(argv, io);
    return { exit, out: Buffer.concat(out).toString(), error: error.join("") };
  }

  async function* lines(input: string): AsyncGenerator<string> {
    yield* input.split("\n");
  }

  it("puts, gets and deletes", async () => {
    expect(await ctl(["put", "a", "1"])).toEqual({ exit: 0, out: "OK\n", error: "" });
    expect((await ctl(["put", "a", "--prev-kv"], "from input")).out).toBe("OK\na\n1\n");
    expect((await ctl(["get", "a"])).out).toBe("a\nfrom input\n");
    expect((await ctl(["get", "--prefix", "", "--keys-only", "-w=simple"])).out).toBe("a\n\n");
    expect((await ctl(["get", "a", "--hex", "--print-value-only"])).out).toBe(
      `${"\\x66\\x72\\x6f\\x6d\\x20"}\\x69\\x6e\\x70\\x75\\x74\n`,
    );
    const { kvs } = JSON.parse((await ctl(["get", "a", "-w", "json"])).out);
    expect(kvs).toMatchObject([{ key: "YQ==", version: 2, value: "ZnJvbSBpbnB1dA==" }]);
    expect((await ctl(["del", "a"])).out).toBe("1\n");
  });

  it("says what is wrong, with etcd's exit codes", async () => {
    expect(await ctl(["nonsense"])).toMatchObject({
      exit: 1,
      error: expect.stringContaining('unknown command "nonsense"'),
    });
    expect(await ctl(["get"])).toMatchObject({ exit: 128 });
    expect(await ctl(["get", "a", "-w", "table"])).toMatchObject({
      exit: 4,
      error: "Error: table not supported as output format\n",
    });
    expect(await ctl(["get", "a", "--rev=99999"])).toMatchObject({
      exit: 1,
      error: "Error: etcdserver: mvcc: required revision is a future revision\n",
    });
    expect(await ctl(["lease", "keep-alive", "--once", "1"])).toMatchObject({ exit: 2 });
    expect(await ctl(["txn"], "garbage\n\n\n\n")).toMatchObject({ exit: 3 });
    expect(await ctl(["get", "a", "--endpoints", "x"])).toMatchObject({
      exit: 1,
      error: expect.stringContaining("conflicting"),
    });
  });

  it("does transactions", async () => {
    const text = 'version("k") = "0"\n\nput k v\nget k\n\nget k\n\n';
    expect((await ctl(["txn"], text)).out).toBe("SUCCESS\n\nOK\n\nk\nv\n");
    expect((await ctl(["txn"], text)).out).toBe("FAILURE\n\nk\nv\n");
  });

  it("manages leases", async () => {
    const id =
      /^lease ([0-9a-f]{16}) granted with TTL\(60s\)\n$/.exec((await ctl(["lease", "grant", "60"])).out)?.[1] ?? "";
    await ctl(["put", "l", "x", `--lease=${id}`]);
    expect((await ctl(["lease", "timetolive", id, "--keys"])).out).toMatch(
      /remaining\(\d+s\), attached keys\(\[l\]\)\n$/,
    );
    expect((await ctl(["lease", "list"])).out).toContain(`${id}\n`);
    expect((await ctl(["lease", "revoke", id])).out).toBe(`lease ${id} revoked\n`);
    expect((await ctl(["get", "l"])).out).toBe("");
  });

  it("shows the cluster", async () => {
    expect((await ctl(["member", "list"])).out).toMatch(/^[0-9a-f]+, started, default, http:\S+, http:\S+, false\n$/);
    const table = (await ctl(["endpoint", "status", "-w", "table"])).out.split("\n");
    expect(table.map((line) => line.charAt(0))).toEqual(["┌", "│", "├", "│", "└", ""]);
    expect(await ctl(["endpoint", "health"])).toMatchObject({ exit: 0, out: expect.stringContaining(" is healthy: ") });
    expect((await ctl(["alarm", "list", "-w", "fields"])).out).toMatch(/^"ClusterID" : \d+\n/);
  });

  it("runs a command under a lock, with its exit code", async () => {
    expect((await ctl(["lock", "l", "true"])).exit).toBe(0);
    expect(await ctl(["lock", "l", "--", "sh", "-c", "exit 7"])).toMatchObject({
      exit: 7,
      error: "Error: exit status 7\n",
    });
    expect((await ctl(["get", "l/", "--prefix"])).out).toBe("");
  });

  it("gives up a lock and a leadership when it is interrupted", async () => {
    for (const [argv, prefix] of [
      [["lock", "x"], "x/"],
      [["elect", "e", "me"], "e/"],
    ] as const) {
      const controller = new AbortController();
      const holding = ctl(argv, "", controller.signal);
      while ((await ctl(["get", prefix, "--prefix"])).out === "");
      controller.abort();
      expect(await holding).toMatchObject({ exit: 0, out: expect.stringMatching(new RegExp(`^${prefix}`)) });
      expect((await ctl(["get", prefix, "--prefix"])).out).toBe("");
    }
  });

  it("saves a snapshot, or nothing", async () => {
    const directory = mkdtempSync(join(tmpdir(), "etcdctl-"));
    const path = join(directory, "snapshot.db");
    const { exit, error } = await ctl(["snapshot", "save", path]);
    if (exit === 0) expect(statSync(path).size % 512).toBe(32);
    else expect([exit, error !== "", existsSync(path)]).toEqual([5, true, false]);
    rmSync(directory, { recursive: true });
  });

  it("starts from its launcher", () => {
    const { stdout, status } = spawnSync(process.execPath, [join(root, "bin", "etcdctl"), "version"], {
      timeout: 60_000,
    });
    expect([status, stdout.toString()]).toEqual([0, "etcdctl version: 3.7.3\nAPI version: 3.7\n"]);
  });
});
