/** Reads a command line as Go's flag package does. Source: Go flag.FlagSet.Parse. */

import { FlagValues } from "./flag-values.js";
import { flagTable, isFlagName } from "./flags.js";

export type CommandLine =
  | { readonly kind: "values"; readonly values: FlagValues }
  | { readonly kind: "help" }
  /** Cannot be read: the usage is printed, exit code 2. */
  | { readonly kind: "usage"; readonly error: string }
  /** Read, but refused: exit code 1. */
  | { readonly kind: "refused"; readonly error: string };

/**
 * `argv` begins after the program's name. One or two dashes; `-x=value` or `-x value`; booleans take a value only with
 * `=`; the last one wins; the first argument that is no flag ends the flags, and etcd takes no arguments.
 */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const values = new FlagValues();
  let next = 0;
  while (next < argv.length) {
    const argument = argv[next] ?? "";
    if (argument.length < 2 || !argument.startsWith("-")) break;
    next++;
    if (argument === "--") break;
    const [, name = "", assigned] = /^--?([^=]*)(?:=(.*))?$/s.exec(argument) ?? [];
    if (name === "" || name.startsWith("-")) return { kind: "usage", error: `bad flag syntax: ${argument}` };
    if (!isFlagName(name)) {
      if (name === "help" || name === "h") return { kind: "help" };
      return { kind: "usage", error: `flag provided but not defined: -${name}` };
    }
    const { kind } = flagTable[name];
    const isSwitch = kind === "bool" || kind === "ignored";
    const text = assigned ?? (isSwitch ? "true" : argv[next++]);
    if (text === undefined) return { kind: "usage", error: `flag needs an argument: -${name}` };
    const error = values.setText(name, text);
    if (error !== undefined) {
      const what = kind === "bool" ? "boolean value" : "value";
      const where = kind === "bool" ? `-${name}` : `flag -${name}`;
      return { kind: "usage", error: `invalid ${what} ${JSON.stringify(text)} for ${where}: ${error}` };
    }
  }
  const rest = argv[next];
  if (rest !== undefined) return { kind: "refused", error: `${JSON.stringify(rest)} is not a valid flag` };
  return { kind: "values", values };
}
