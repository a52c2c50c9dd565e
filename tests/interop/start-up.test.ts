/** How a member finds its cluster, and when it refuses to: ours and Go's side by side. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdClient } from "@etcd-ts/client";
import { afterEach, expect, test } from "vitest";
import { freePort } from "./support/ports.js";

const root = new URL("../..", import.meta.url).pathname;
const programs = {
  ours: [process.execPath, join(root, "bin/etcd")],
  go: [join(root, "tests/interop/bin/server")],
} as const;
type Kind = keyof typeof programs;

const pollOptions = { timeout: 60_000, interval: 50 };
const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** A member that may be started again, or not start at all. */
class Program {
  readonly name: string;
  readonly kind: Kind;
  readonly directory: string;
  readonly clientPort: number;
  readonly peerUrl: string;
  readonly client: EtcdClient;
  log = "";
  #child: ChildProcess | undefined;

  private constructor(name: string, kind: Kind, ports: readonly [number, number]) {
    this.name = name;
    this.kind = kind;
    this.directory = mkdtempSync(join(tmpdir(), `etcd-start-${name}-`));
    this.clientPort = ports[0];
    this.peerUrl = `http://127.0.0.1:${ports[1]}`;
    this.client = new EtcdClient({ endpoints: [`127.0.0.1:${this.clientPort}`] });
    cleanUps.push(() => {
      this.client.close();
      this.#child?.kill("SIGKILL");
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  static async place(name: string, kind: Kind): Promise<Program> {
    return new Program(name, kind, [await freePort(), await freePort()]);
  }

  get initial(): string {
    return `${this.name}=${this.peerUrl}`;
  }

  /** Resolves with the exit code. */
  start(...flags: readonly string[]): Promise<number | null> {
    const [command, ...first] = programs[this.kind];
    const clientUrl = `http://127.0.0.1:${this.clientPort}`;
    const child = spawn(command, [
      ...first,
      ...["--name", this.name, "--data-dir", join(this.directory, "data")],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", this.peerUrl, "--initial-advertise-peer-urls", this.peerUrl],
      ...flags,
    ]);
    this.#child = child;
    this.log = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
    return new Promise((resolve) => child.once("close", resolve));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await closed;
  }

  async untilHealthy(): Promise<void> {
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${this.clientPort}/health`).then(
            ({ ok }) => ok,
            () => false,
          ),
        pollOptions,
      )
      .toBe(true);
  }
}

async function startCluster(kinds: readonly Kind[]): Promise<{ members: Program[]; initial: string[] }> {
  const members = await Promise.all(kinds.map((kind, i) => Program.place(`m${i}`, kind)));
  const initial = ["--initial-cluster", members.map((member) => member.initial).join(",")];
  for (const member of members) void member.start(...initial);
  await Promise.all(members.map((member) => member.untilHealthy()));
  return { members, initial };
}

test("members of both kinds find each other by a token, and one more is turned away", async () => {
  const service = await Program.place("service", "go");
  void service.start("--initial-cluster", service.initial);
  await service.untilHealthy();
  await service.client.kv.put("/_etcd/registry/tok/_config/size", "3");
  const flags = ["--discovery-token", "tok", "--discovery-endpoints", `127.0.0.1:${service.clientPort}`];
  const members = await Promise.all((["ours", "go", "ours"] as const).map((kind, i) => Program.place(`d${i}`, kind)));
  for (const member of members) void member.start(...flags);
  await Promise.all(members.map((member) => member.untilHealthy()));
  const lists = await Promise.all(members.map(({ client }) => client.cluster.memberList()));
  expect(new Set(lists.map(({ header }) => header.clusterId)).size).toBe(1);
  expect(lists[0]?.members.map(({ name }) => name).sort()).toEqual(["d0", "d1", "d2"]);
  for (const kind of ["ours", "go"] as const) {
    const late = await Program.place("late", kind);
    expect(await late.start(...flags)).toBe(1);
    expect(late.log).toContain("failed to join discovery cluster (discovery: cluster is full)");
  }
  const lost = await Program.place("lost", "ours");
  expect(await lost.start("--discovery-token", "none", ...flags.slice(2))).toBe(1);
  expect(lost.log).toContain("failed to join discovery cluster (discovery: size key not found)");
});

for (const kind of ["ours", "go"] as const) {
  test(`${kind}: the last member left begins a cluster of its own with what it has`, async () => {
    const { members, initial } = await startCluster([kind, kind, kind]);
    const [first, ...others] = members;
    for (let i = 0; i < 20; i++) await first!.client.kv.put(`k${i}`, "x");
    // A member knows that a write is committed by the next one.
    await first!.client.kv.put("end", "x");
    await expect
      .poll(async () => (await first!.client.kv.get("end", { serializable: true })).count, pollOptions)
      .toBe(1);
    await Promise.all(members.map((member) => member.kill()));
    void first!.start(...initial, "--force-new-cluster");
    await first!.untilHealthy();
    expect(first!.log).toContain("forcing restart member");
    expect((await first!.client.kv.get("k", { prefix: true })).count).toBe(20);
    expect((await first!.client.cluster.memberList()).members.map(({ name }) => name)).toEqual(["m0"]);
    await first!.client.kv.put("after", "x");
    // Without the flag it stays what it has become.
    await first!.kill();
    void first!.start(...initial);
    await first!.untilHealthy();
    expect((await first!.client.kv.get("after")).count).toBe(1);
    expect((await first!.client.cluster.memberList()).members.length).toBe(1);
    expect(others.length).toBe(2);
  });

  test(`${kind}: a member without its data does not begin again`, async () => {
    const { members, initial } = await startCluster([kind, "go", "ours"]);
    const lost = members[0]!;
    await lost.kill();
    rmSync(join(lost.directory, "data"), { recursive: true });
    expect(await lost.start(...initial)).toBe(1);
    expect(lost.log).toMatch(/member [0-9a-f]+ has already been bootstrapped/);
  });

  test(`${kind}: a member that was removed stops, and does not come back`, async () => {
    const { members, initial } = await startCluster(["go", "ours", kind]);
    const [through, , leaving] = members;
    const { members: table } = await through!.client.cluster.memberList();
    const id = table.find(({ name }) => name === leaving!.name)!.id;
    await leaving!.kill();
    const exit = leaving!.start(...initial);
    await leaving!.untilHealthy();
    // Refused as long as the members have not known each other for a while.
    const isRemoved = (): Promise<boolean> =>
      through!.client.cluster.memberRemove(id).then(
        () => true,
        () => false,
      );
    await expect.poll(isRemoved, pollOptions).toBe(true);
    expect(await exit).toBe(0);
    const lines = [
      "the member has been permanently removed from the cluster",
      "data-dir used by this member must be removed",
    ];
    for (const line of lines) expect(leaving!.log).toContain(line);
    // Go's code depends on how far the start has come by then.
    await leaving!.start(...initial);
    for (const line of lines) expect(leaving!.log).toContain(line);
  });

  test(`${kind}: who joins must have been added, with these URLs`, async () => {
    const { members } = await startCluster(["go"]);
    const stranger = await Program.place("stranger", kind);
    const state = ["--initial-cluster-state", "existing"];
    expect(await stranger.start("--initial-cluster", `${members[0]!.initial},${stranger.initial}`, ...state)).toBe(1);
    expect(stranger.log).toContain("member count is unequal");
    await members[0]!.client.cluster.memberAdd(["http://127.0.0.1:1"], { learner: true });
    expect(await stranger.start("--initial-cluster", `${members[0]!.initial},${stranger.initial}`, ...state)).toBe(1);
    expect(stranger.log).toMatch(
      /PeerURLs: no match found for existing member \([0-9a-f]+, \[http:\/\/127.0.0.1:1\]\)/,
    );
  });
}
