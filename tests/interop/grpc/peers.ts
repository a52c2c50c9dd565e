/** Foreign peers of the transport, and our own server and channel as they are used against them. */
import { type ChildProcessByStdio, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { GrpcServer, type HttpHandler, type ServiceTable } from "@etcd-ts/grpc";

const here = import.meta.dirname;
export const bin: string = join(here, "..", "bin");

/** Builds grpcpeer and h2spec when they are not there. */
export function buildPeers(): void {
  execFileSync(join(here, "build.sh"), { stdio: "inherit" });
}

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Writes them to files in a directory of their own, for programs that want them so; who asks removes it. */
export function certificateFiles(certificate: Certificate): { readonly cert: string; readonly key: string } {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-interop-"));
  const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  writeFileSync(files.cert, certificate.cert);
  writeFileSync(files.key, certificate.key);
  return files;
}

/** Answers every request with what it was, but for /early without having read it. */
const http: HttpHandler = (exchange) => {
  if (exchange.target.startsWith("/early")) return exchange.respond(404, {}, "early");
  let size = 0;
  exchange.receive({
    onData: (bytes) => {
      size += bytes.length;
    },
    onEnd: () =>
      exchange.respond(200, { "content-type": "text/plain" }, `${exchange.protocol} ${exchange.target} ${size}`),
  });
};

export interface OurServer {
  readonly port: number;
  readonly tlsPort: number;
  close(): Promise<void>;
}

/** Our server of the methods given, in plain text and over TLS. */
export async function startOurs(services: ServiceTable, certificate: Certificate): Promise<OurServer> {
  const server = new GrpcServer({ services, http });
  const where = { host: "127.0.0.1", port: 0 };
  const plain = (await server.listen(where)) as { port: number };
  const tls = (await server.listen({ ...where, tls: certificate })) as { port: number };
  return { port: plain.port, tlsPort: tls.port, close: () => server.close(1000) };
}

/** Runs a program to its end. */
export function run(program: string, words: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(program, words, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

/** Go's server of the test service. */
export class GoServer {
  readonly port: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(words: readonly string[] = []): Promise<GoServer> {
    const child = spawn(join(bin, "grpcpeer"), ["server", ...words], { stdio: ["pipe", "pipe", "inherit"] });
    const line = await new Promise<string>((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk))));
    return new GoServer(child, Number(line.trim().split(":").at(-1)));
  }

  /** Lets it stop gracefully and waits for its end. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
  }
}
