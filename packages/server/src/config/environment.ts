/** Reads `ETCD_*` variables into flags that the command line did not set. Source: etcd pkg/flags/flag.go. */

import type { LogFields, LogLevel } from "../env.js";
import type { FlagValues } from "./flag-values.js";
import { environmentName, flagNames } from "./flags.js";

/** Something to be logged as soon as there is a log. */
export interface Note {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of etcd's that are no flags. */
const otherVariables = ["ETCD_CLIENT_DEBUG", "ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY"];

/**
 * An empty variable counts as unset; a flag and its variable together are refused. Returns the error, if any; what
 * there is to say goes into `notes`.
 */
export function applyEnvironment(values: FlagValues, environment: Environment, notes: Note[]): string | undefined {
  const known = new Set(otherVariables);
  for (const flag of flagNames) {
    const variable = environmentName(flag);
    known.add(variable);
    const text = environment[variable] ?? "";
    if (text === "") continue;
    if (flag === "version") {
      // Set by packagers to what it says; never a request to print the version.
      const fields = { key: variable, value: text };
      notes.push({ level: "warn", message: "cannot set special environment variable", fields });
      continue;
    }
    if (values.isSet(flag)) {
      return `conflicting environment variable ${variable} is shadowed by corresponding command-line flag (either unset environment variable or disable flag)`;
    }
    const error = values.setText(flag, text);
    if (error !== undefined) return `invalid value ${JSON.stringify(text)} for ${variable}: ${error}`;
    const fields = { "variable-name": variable, "variable-value": flag.includes("password") ? "(hidden)" : text };
    notes.push({ level: "info", message: "recognized and used environment variable", fields });
  }
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith("ETCD_") || known.has(variable)) continue;
    const fields = { "environment-variable": `${variable}=${text}` };
    notes.push({ level: "warn", message: "unrecognized environment variable", fields });
  }
  return undefined;
}
