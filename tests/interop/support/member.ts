/**
 * Runs one etcd member as a real process, whoever wrote it: ours and Go's take the same flags. Used by the tests that
 * compare the two and by the benchmarks.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { request as requestOverTls } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.js";

export interface MemberOptions {
  /** Shown in messages and used as `--name`. */
  readonly name: string;
  /** Program and first arguments, e.g. `["node", "bin/etcd"]`. */
  readonly command: readonly string[];
  /** Appended after the flags written here, so they win. */
  readonly flags?: readonly string[];
  /** Parent of the data directory; the system's temporary directory when absent. */
  readonly directory?: string;
  /** The address it listens on; 127.0.0.1 when absent. */
  readonly host?: string;
  /** Fixed client port; any free one when absent. Two members compared by text should use the same one in turn. */
  readonly clientPort?: number;
  /** Fixed peer port; any free one when absent. A data directory belongs to the one of its first start. */
  readonly peerPort?: number;
  readonly readyTimeoutMs?: number;
  /** Clients are served over TLS with this certificate. */
  readonly tls?: CertificateFiles;
}

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
const clockTicksPerSecond = 100;

/** Certificates that a machine's owner wants Node to trust besides take each process 45 ms, and no member needs them. */
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

/** Processes that must not outlive this one. */
const running = new Set<ChildProcess>();

function killRunning(): void {
  for (const child of running) {
    child.kill("SIGKILL");
  }
}

process.once("exit", killRunning);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(1));
}

/** Splits a command line at blanks. There is no quoting: paths with blanks are not supported. */
export function splitCommand(command: string): readonly string[] {
  return command.split(/\s+/).filter((word) => word !== "");
}

export class Member {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly peerPort: number;
  /** Removed by `close`. */
  readonly directory: string;
  readonly #options: MemberOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  private constructor(options: MemberOptions, ports: { client: number; peer: number }) {
    this.name = options.name;
    this.host = options.host ?? "127.0.0.1";
    this.#options = options;
    this.port = ports.client;
    this.peerPort = ports.peer;
    this.directory = mkdtempSync(join(options.directory ?? tmpdir(), `etcd-${options.name}-`));
  }

  /** Starts a member with an empty data directory and waits until it is ready. */
  static async start(options: MemberOptions): Promise<Member> {
    const client = options.clientPort ?? (await freePort());
    const member = new Member(options, { client, peer: options.peerPort ?? (await freePort()) });
    try {
      await member.boot();
    } catch (error) {
      await member.close();
      throw error;
    }
    return member;
  }

  get endpoint(): string {
    return `${this.host}:${this.port}`;
  }

  get dataDirectory(): string {
    return join(this.directory, "data");
  }

  get logFile(): string {
    return join(this.directory, "log");
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) {
      throw new Error(`${this.name} is not running`);
    }
    return pid;
  }

  /** Whether the process was started and has not ended by itself. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the process over the existing data directory. Returns the milliseconds until it answered as ready. */
  async boot(): Promise<number> {
    const startedMs = performance.now();
    const [program, ...first] = this.#options.command;
    if (program === undefined) {
      throw new Error(`no command for ${this.name}`);
    }
    const { tls } = this.#options;
    const client = `${tls === undefined ? "http" : "https"}://${this.endpoint}`;
    const peer = `http://${this.host}:${this.peerPort}`;
    const flags = [
      ...["--name", this.name, "--data-dir", this.dataDirectory],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--initial-cluster", `${this.name}=${peer}`, "--log-level", "warn"],
      ...(tls === undefined ? [] : ["--cert-file", tls.certificate, "--key-file", tls.key]),
      ...(this.#options.flags ?? []),
    ];
    const child = spawn(program, [...first, ...flags], { stdio: ["ignore", "pipe", "pipe"], env: environment });
    this.#child = child;
    running.add(child);
    const log = createWriteStream(this.logFile, { flags: "a" });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    let failure: Error | undefined;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => {
        failure = error;
        resolve();
      });
      // Not at its exit: what it said last may still be in the pipes then.
      child.once("close", (code, signal) => {
        running.delete(child);
        failure ??= new Error(`${this.name} exited with ${code ?? signal}`);
        log.end(resolve);
      });
    });
    const deadlineMs = startedMs + (this.#options.readyTimeoutMs ?? readyTimeoutMs);
    while (!(await this.#isReady())) {
      if (failure !== undefined || performance.now() > deadlineMs) {
        if (failure !== undefined) await this.#exited;
        const why = failure?.message ?? "it was not ready in time";
        throw new Error(`cannot start ${this.name} (${program}): ${why}\n${this.logTail()}`);
      }
      await delay(10);
    }
    return performance.now() - startedMs;
  }

  /** Waits until the process has ended by itself; the end of what it wrote. */
  async ended(): Promise<string> {
    await this.#exited;
    return this.logTail();
  }

  /** Sends SIGTERM, or SIGKILL when `force`, and waits for the end. */
  async stop(options: { force?: boolean } = {}): Promise<void> {
    const child = this.#child;
    if (child === undefined) {
      return;
    }
    child.kill(options.force === true ? "SIGKILL" : "SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
    this.#child = undefined;
  }

  /** Stops the process and removes its directory. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** User and system time of all threads so far. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "latin1");
    // The second field is the program's name in parentheses and may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
  }

  rssBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** The end of what the process wrote, for messages. */
  logTail(): string {
    try {
      return readFileSync(this.logFile, "utf8").split("\n").slice(-15).join("\n");
    } catch {
      return "(no output)";
    }
  }

  /** A GET over HTTP/1.1, with TLS if the member has it; undefined when nobody answers. */
  get(path: string): Promise<{ status: number; body: string } | undefined> {
    return new Promise((resolve) => {
      const target = { host: this.host, port: this.port, path, agent: false, timeout: 5_000 };
      const onResponse = (response: IncomingMessage): void => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          body += text;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.on("error", () => resolve(undefined));
      };
      // Whose certificate it is does not matter to a readiness probe.
      const call =
        this.#options.tls === undefined
          ? request(target, onResponse)
          : requestOverTls({ ...target, rejectUnauthorized: false }, onResponse);
      call.on("timeout", () => call.destroy());
      call.on("error", () => resolve(undefined));
      call.end();
    });
  }

  async #isReady(): Promise<boolean> {
    return (await this.get("/health?exclude=CORRUPT"))?.status === 200;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
