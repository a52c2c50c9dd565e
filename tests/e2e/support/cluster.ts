/**
 * A cluster of real processes on this machine, ours and Go's mixed as wanted, spoken to through the JSON gateway that
 * both serve. Every process ends with the test's.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../interop/support/ports.js";

export type Kind = "ours" | "go";

const root = new URL("../../..", import.meta.url).pathname;
const goServer = join(root, "tests/interop/bin/server");
const programs: Readonly<Record<Kind, readonly string[]>> = {
  ours: [process.execPath, join(root, "bin/etcd")],
  go: [goServer],
};
const deadlineMs = 60_000;

export class ClusterMember {
  readonly name: string;
  readonly kind: Kind;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  #child: ChildProcess | undefined;

  constructor(
    name: string,
    kind: Kind,
    ports: readonly [client: number, peer: number],
    directory: string,
    dataDirectory: string = join(directory, name),
  ) {
    this.name = name;
    this.kind = kind;
    this.clientUrl = `http://127.0.0.1:${ports[0]}`;
    this.peerUrl = `http://127.0.0.1:${ports[1]}`;
    this.dataDirectory = dataDirectory;
    this.logFile = join(directory, `${name}.log`);
  }

  start(initialCluster: string, flags: readonly string[], program: readonly string[] = programs[this.kind]): void {
    const [command = "", ...first] = program;
    const child = spawn(
      command,
      [
        ...first,
        ...["--name", this.name, "--data-dir", this.dataDirectory, "--initial-cluster", initialCluster],
        ...["--listen-client-urls", this.clientUrl, "--advertise-client-urls", this.clientUrl],
        ...["--listen-peer-urls", this.peerUrl, "--initial-advertise-peer-urls", this.peerUrl],
        ...flags,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const log = createWriteStream(this.logFile, { flags: "a" });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    this.#child = child;
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await exited;
  }

  /** Stops the process in its tracks until `resume`. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async post<Answer>(path: string, body: object): Promise<Answer> {
    const response = await fetch(`${this.clientUrl}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  put(key: string, value: string): Promise<unknown> {
    return this.post("/v3/kv/put", { key: btoa(key), value: btoa(value) });
  }

  /** This member's own value, as far as it is. */
  async get(key: string): Promise<string | undefined> {
    const answer = await this.post<{ kvs?: readonly { value?: string }[] }>("/v3/kv/range", {
      key: btoa(key),
      serializable: true,
    });
    const value = answer.kvs?.[0]?.value;
    return value === undefined ? undefined : atob(value);
  }

  status(): Promise<{ readonly leader?: string; readonly header: { readonly member_id: string } }> {
    return this.post("/v3/maintenance/status", {});
  }

  async hashKv(revision = 0): Promise<{ readonly hash: number; readonly revision: string }> {
    const answer = await this.post<{ hash: number; header: { revision: string } }>("/v3/maintenance/hashkv", {
      revision,
    });
    return { hash: answer.hash, revision: answer.header.revision };
  }

  /** Values of the events from a revision on, until `count` have come. */
  async watch(key: string, startRevision: number, count: number): Promise<string[]> {
    const stop = new AbortController();
    const response = await fetch(`${this.clientUrl}/v3/watch`, {
      method: "POST",
      body: JSON.stringify({ create_request: { key: btoa(key), start_revision: startRevision } }),
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(deadlineMs)]),
    });
    const values: string[] = [];
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const { result } = JSON.parse(line) as { result?: { events?: { kv: { value?: string } }[] } };
        for (const event of result?.events ?? []) values.push(atob(event.kv.value ?? ""));
      }
      if (values.length >= count) break;
    }
    stop.abort();
    return values;
  }
}

export class Cluster {
  readonly members: ClusterMember[];
  readonly directory: string;
  readonly #flags: readonly string[];

  private constructor(members: ClusterMember[], directory: string, flags: readonly string[]) {
    this.members = members;
    this.directory = directory;
    this.#flags = flags;
  }

  static async start(kinds: readonly Kind[], flags: readonly string[] = []): Promise<Cluster> {
    const directory = mkdtempSync(join(tmpdir(), "etcd-e2e-"));
    const ports = await freePorts(kinds.length * 2);
    const members = kinds.map(
      (kind, i) => new ClusterMember(`m${i}`, kind, [ports[2 * i] ?? 0, ports[2 * i + 1] ?? 0], directory),
    );
    const cluster = new Cluster(members, directory, flags);
    try {
      for (const member of members) cluster.restart(member);
      for (const member of members) await cluster.untilHealthy(member);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  get initialCluster(): string {
    return this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  }

  /** A member of its own beside the others, over an existing data directory; not started. */
  add(name: string, kind: Kind, clientPort: number, peerPort: number, dataDirectory: string): ClusterMember {
    const member = new ClusterMember(name, kind, [clientPort, peerPort], this.directory, dataDirectory);
    this.members.push(member);
    return member;
  }

  restart(member: ClusterMember, program?: readonly string[], flags: readonly string[] = []): void {
    member.start(this.initialCluster, [...this.#flags, ...flags], program);
  }

  async untilHealthy(member: ClusterMember): Promise<void> {
    await until(`${member.name} is healthy`, async () => (await fetch(`${member.clientUrl}/health`)).ok);
  }

  /** Makes a member the leader. */
  async lead(member: ClusterMember): Promise<void> {
    await until(`${member.name} leads`, async () => {
      const own = await member.status();
      if (own.leader === own.header.member_id) return true;
      for (const other of this.members) {
        if ((await other.status()).header.member_id !== own.leader) continue;
        await other.post("/v3/maintenance/transfer-leadership", { targetID: own.header.member_id });
      }
      return false;
    });
  }

  /** Waits until the members are at one revision, and returns their hashes there. */
  async hashes(): Promise<readonly number[]> {
    await until("all members are at the same revision", async () => {
      const all = await Promise.all(this.members.map((member) => member.hashKv()));
      return all.every(({ revision }) => revision === all[0]?.revision);
    });
    return Promise.all(this.members.map(async (member) => (await member.hashKv()).hash));
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop("SIGKILL")));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Asks again until the answer is true; failures count as false. */
export async function until(what: string, ask: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      if (await ask()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not in ${deadlineMs} ms: ${what}`, { cause: last });
}
