/**
 * Reads the configuration file: YAML 1.1 or JSON, keys as in the flag table, without regard to case. Unknown keys are
 * ignored as etcd ignores them, but reported; a value of the wrong type is refused; null keeps the default.
 * Durations are whole nanoseconds, except those that are milliseconds or text on the command line too.
 * Source: etcd server/embed/config.go configFromFile.
 */

import { parse } from "yaml";
import { z } from "zod";
import type { Note } from "./environment.js";
import { FlagValues } from "./flag-values.js";
import { type FlagName, type FlagSpec, flagNames, flagTable } from "./flags.js";
import { accepted, type Parsed, refused } from "./parsed.js";

/** Leaves of the file by lower-case dotted path. Sequences are leaves. */
type Leaves = Map<string, unknown>;

export function readConfigFile(text: string, notes: Note[]): Parsed<FlagValues> {
  const root = parseRoot(text);
  if (root.kind === "refused") return root;
  const leaves: Leaves = new Map();
  collectLeaves(root.value, "", leaves);
  const values = new FlagValues();
  for (const flag of flagNames) {
    const path = flagTable[flag].file;
    const leaf = leaves.get(path);
    leaves.delete(path);
    if (path === "" || leaf === undefined || leaf === null) continue;
    const error = setFromFile(values, flag, leaf);
    if (error !== undefined) return refused(`${path}: ${error}`);
  }
  for (const [path, leaf] of leaves) {
    const error = misplaced(path, leaf);
    if (error !== undefined) return refused(error);
    if (leaf === null) leaves.delete(path);
  }
  if (leaves.size > 0) {
    const keys = [...leaves.keys()];
    notes.push({ level: "warn", message: "unrecognized keys in the configuration file", fields: { keys } });
  }
  return accepted(values);
}

/** Has no flag either; whoever sets it relies on strangers being turned away. */
const clientCommonNames = "client-transport-security.allowed-cn";

/** What is wrong with a path that is no flag's: it lies above or below one that is, or must not be passed over. */
function misplaced(path: string, leaf: unknown): string | undefined {
  if (path === clientCommonNames && Array.isArray(leaf) && leaf.length > 0) return `${path} is not supported yet`;
  for (const { file } of Object.values(flagTable)) {
    if (file === "") continue;
    if (path.startsWith(`${file}.`)) return `${file}: must not be a mapping`;
    if (file.startsWith(`${path}.`) && leaf !== null) return `${path}: must be a mapping`;
  }
  return undefined;
}

function parseRoot(text: string): Parsed<object> {
  let root: unknown;
  try {
    root = parse(text, { version: "1.1", uniqueKeys: false });
  } catch (error) {
    return refused(`error converting YAML to JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (root === null || root === undefined) return accepted({});
  if (typeof root !== "object" || Array.isArray(root)) return refused("the configuration file must hold a mapping");
  return accepted(root);
}

function collectLeaves(node: object, prefix: string, leaves: Leaves): void {
  for (const [key, value] of Object.entries(node)) {
    const path = `${prefix}${key.toLowerCase()}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) collectLeaves(value, `${path}.`, leaves);
    else leaves.set(path, value);
  }
}

const wholeNumber = z.int();
const text = z.string();
const switchValue = z.boolean();
const sequence = z.array(z.string());

/** Sets one flag; returns what is wrong with the leaf, if anything. */
function setFromFile(values: FlagValues, flag: FlagName, leaf: unknown): string | undefined {
  const spec = flagTable[flag];
  if (spec.fileSequence === true) {
    const items = sequence.safeParse(leaf);
    if (!items.success) return firstIssue(items.error);
    values.setList(flag, items.data);
    return undefined;
  }
  if (spec.kind === "duration") {
    const nanoseconds = wholeNumber.safeParse(leaf);
    if (!nanoseconds.success) return `${firstIssue(nanoseconds.error)} (a whole number of nanoseconds)`;
    values.setDuration(flag, nanoseconds.data / 1e6);
    return undefined;
  }
  const scalar = scalarSchema(spec).safeParse(leaf);
  if (!scalar.success) return firstIssue(scalar.error);
  if (scalar.data === "" && spec.kind === "choice") return undefined;
  return values.setText(flag, String(scalar.data));
}

function scalarSchema(spec: FlagSpec): z.ZodType<boolean | number | string> {
  switch (spec.kind) {
    case "bool":
      return switchValue;
    case "int":
    case "uint":
    case "uint32":
      return wholeNumber;
    default:
      return text;
  }
}

function firstIssue(error: z.ZodError): string {
  return error.issues[0]?.message ?? "invalid value";
}
