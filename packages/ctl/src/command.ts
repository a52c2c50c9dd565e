/** What a command is, and what it is handed. */

import type { EtcdClient } from "@etcd-ts/client";
import type { FlagSpec, FlagValues } from "./flags.js";
import type { Printer } from "./printer.js";

export interface Io {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text or raw bytes on standard output. */
  out(text: string | Uint8Array): void;
  error(text: string): void;
  /** All of standard input. */
  readInput(): Promise<Uint8Array>;
  /** Standard input line by line, without the line feeds. */
  lines(): AsyncIterableIterator<string>;
  /** A password, without showing it where there is a terminal. */
  readPassword(prompt: string): Promise<string>;
  /** Aborted by SIGINT and SIGTERM from the first call on; before it, signals end the program. */
  interruption(): AbortSignal;
  /** Runs a program with this one's input and output; its exit code, or the name of the signal that ended it. */
  execute(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<number | string>;
}

export interface Context {
  readonly io: Io;
  readonly args: readonly string[];
  readonly argsBeforeDash: number | undefined;
  /** The command's own flags and the global ones. */
  readonly flags: FlagValues;
  readonly printer: Printer;
  /** Of the global flags; made at the first call, closed when the program ends. */
  client(): EtcdClient;
  /** Another client, for one endpoint. */
  clientOf(endpoint: string): EtcdClient;
  /** `--endpoints`, or with `--cluster` those of the members. */
  readonly endpoints: readonly string[];
  /** `{ timeoutMs }` of `--command-timeout`. */
  readonly timed: { readonly timeoutMs: number };
}

export interface Command {
  readonly name: string;
  /** Further words of the usage line. */
  readonly usage?: string;
  readonly short: string;
  readonly group?: string;
  readonly flags?: readonly FlagSpec[];
  readonly commands?: readonly Command[];
  readonly run?: (context: Context) => Promise<void>;
}

export function flag(name: string, help: string, rest: Partial<FlagSpec> = {}): FlagSpec {
  return { name, help, type: "bool", default: "false", ...rest };
}

export function stringFlag(name: string, help: string, value = ""): FlagSpec {
  return { name, help, type: "string", default: value };
}

export function intFlag(name: string, help: string, value = "0"): FlagSpec {
  return { name, help, type: "int64", default: value };
}
