/** From a command line, variables and a file to a member's configuration, or to what is to be said instead. */

import { buildConfig } from "./build-config.js";
import { parseCommandLine } from "./command-line.js";
import { applyEnvironment, type Environment, type Note } from "./environment.js";
import type { FlagValues } from "./flag-values.js";
import { environmentName } from "./flags.js";
import { helpText, usageText } from "./help.js";
import type { HostFacts, MemberConfig } from "./member-config.js";
import type { Parsed } from "./parsed.js";

export interface LoadInput {
  /** After the program's name. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly host: HostFacts;
  /** The values in the configuration file, see `readConfigFile`; throws when it cannot be read. */
  readonly readFile: (path: string, notes: Note[]) => Parsed<FlagValues>;
  /** The answer to `--version`. */
  readonly version: string;
}

export type LoadResult =
  /** Start; log `notes` first. */
  | { readonly kind: "run"; readonly config: MemberConfig; readonly notes: readonly Note[] }
  /** Print to standard output, exit code 0. */
  | { readonly kind: "print"; readonly text: string }
  /** Print to standard error, exit code 2. */
  | { readonly kind: "usage"; readonly text: string }
  /** Log `notes`, then "failed to verify flags" with `error`; exit code 1. */
  | { readonly kind: "refused"; readonly error: string; readonly notes: readonly Note[] };

const subcommands = ["gateway", "grpc-proxy"];

/**
 * A flag wins over its variable, a variable over the default. A configuration file replaces both altogether: flags and
 * variables are then ignored, but flags must still be readable.
 */
export function loadConfig(input: LoadInput): LoadResult {
  const notes: Note[] = [];
  const [first = ""] = input.argv;
  if (subcommands.includes(first)) return { kind: "refused", error: `etcd ${first} is not supported yet`, notes };
  const commandLine = parseCommandLine(input.argv);
  switch (commandLine.kind) {
    case "help":
      return { kind: "print", text: helpText() };
    case "usage":
      return { kind: "usage", text: `${commandLine.error}\n${usageText()}` };
    case "refused":
      return { kind: "refused", error: commandLine.error, notes };
    case "values":
      return loadValues(commandLine.values, input, notes);
  }
}

/**
 * The configuration file that a start would read; empty when there is none. Whoever starts without needs no parser of
 * it.
 */
export function configFilePath({ argv, environment }: Pick<LoadInput, "argv" | "environment">): string {
  const commandLine = parseCommandLine(argv);
  return commandLine.kind === "values" ? filePath(commandLine.values, environment) : "";
}

function filePath(values: FlagValues, environment: Environment): string {
  return values.get("config-file") || (environment[environmentName("config-file")] ?? "");
}

function loadValues(values: FlagValues, input: LoadInput, notes: Note[]): LoadResult {
  if (values.get("version")) return { kind: "print", text: input.version };
  const path = filePath(values, input.environment);
  if (path !== "") return loadFile(path, values, input, notes);
  const error = applyEnvironment(values, input.environment, notes);
  if (error !== undefined) return { kind: "refused", error, notes };
  return finish(values, { fromFile: false }, input, notes);
}

function loadFile(path: string, values: FlagValues, input: LoadInput, notes: Note[]): LoadResult {
  let file: Parsed<FlagValues>;
  try {
    file = input.readFile(path, notes);
  } catch (error) {
    return { kind: "refused", error: error instanceof Error ? error.message : String(error), notes };
  }
  if (file.kind === "refused") return { kind: "refused", error: file.error, notes };
  // The file has no keys for these two, so the command line keeps them, as in etcd.
  for (const flag of ["raft-read-timeout", "raft-write-timeout"] as const) {
    if (values.isSet(flag)) file.value.setDuration(flag, values.get(flag));
  }
  const message =
    "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided";
  notes.push({ level: "info", message, fields: { path } });
  return finish(file.value, { fromFile: true }, input, notes);
}

function finish(
  values: FlagValues,
  { fromFile }: { readonly fromFile: boolean },
  input: LoadInput,
  notes: Note[],
): LoadResult {
  const config = buildConfig(values, { host: input.host, fromFile }, notes);
  if (config.kind === "refused") return { kind: "refused", error: config.error, notes };
  return { kind: "run", config: config.value, notes };
}

/**
 * The configuration of a member that a program embeds: flags by name, as on the command line. No variable and no file
 * is read.
 */
export function configFromFlags(flagTexts: Readonly<Record<string, string>>): LoadResult {
  const argv = Object.entries(flagTexts).map(([name, text]) => `--${name}=${text}`);
  const host = { defaultHost: undefined };
  const readFile = (path: string) => {
    throw new Error(`an embedded member takes flags only, not ${path}`);
  };
  return loadConfig({ argv, environment: {}, host, readFile, version: "" });
}
