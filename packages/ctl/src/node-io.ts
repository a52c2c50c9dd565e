/** The process as etcdctl's commands see it. */

import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Io } from "./command.js";

export function nodeIo(): Io {
  return {
    environment: process.env,
    out: (text) => writeAll(1, text),
    error: (text) => writeAll(2, text),
    readInput: () => buffer(process.stdin),
    lines: () => createInterface({ input: process.stdin, terminal: false })[Symbol.asyncIterator](),
    readPassword,
    interruption,
    execute,
  };
}

/** Synchronously, so that nothing is lost when the process exits. */
function writeAll(fd: number, text: string | Uint8Array): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // A full pipe: the reader is slow. A closed one: nobody is interested any more.
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function readPassword(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY });
  const answer = await new Promise<string>((resolve) => {
    reader.question("", resolve);
    reader.once("close", () => resolve(""));
  });
  reader.close();
  process.stderr.write("\n");
  return answer;
}

function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

function execute(
  [program = "", ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number | string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...environment } });
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal ?? 1));
  });
}
