/** Servers to hold the client and its services against. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEtcd } from "@etcd-ts/server";
import { freePort } from "../../interop/support/ports.js";

export interface Server {
  readonly endpoint: string;
  close(): Promise<void>;
}

const oracle = join(import.meta.dirname, "..", "..", "interop", "bin", "etcd");

async function flagsOf(directory: string): Promise<Record<string, string>> {
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  return {
    "data-dir": directory,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
  };
}

async function startOurs(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-client-"));
  const flags = await flagsOf(directory);
  const etcd = await startEtcd(flags);
  return {
    endpoint: flags["listen-client-urls"] ?? "",
    close: async () => {
      await etcd.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function startOracle(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-client-"));
  const flags = await flagsOf(directory);
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const child: ChildProcess = spawn(oracle, args, { stdio: "ignore" });
  await once(child, "spawn");
  const exited = once(child, "exit");
  return {
    endpoint: flags["listen-client-urls"] ?? "",
    close: async () => {
      child.kill("SIGKILL");
      await exited;
      rmSync(directory, { recursive: true });
    },
  };
}

/** What a contract is held against, named, and how to start one. */
export interface Subject {
  readonly name: string;
  start(): Promise<Server>;
}

export const ourMember: Subject = { name: "our member", start: startOurs };

/** The server that the vitest project asks for: our member, or Go etcd where it has been built. */
export const subject: Subject =
  process.env["CONTRACT_SUBJECT"] === "go" ? { name: "Go etcd", start: startOracle } : ourMember;
