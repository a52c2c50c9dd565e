/** Values of flags: how the text of each kind is read, and a typed record of one value for every flag. */

import { type MemberUrl, parseUrl } from "@etcd-ts/store";
import { assert } from "../assert.js";
import { type FeatureGates, parseFeatureGates } from "./feature-gates.js";
import { type FlagKind, type FlagName, type FlagSpec, flagNames, type flags, flagTable } from "./flags.js";
import { parseBool, parseDuration, parseInteger } from "./go-values.js";
import { parseUrlList } from "./member-url.js";
import { accepted, type Parsed, refused } from "./parsed.js";

interface ValueOfKind {
  readonly bool: boolean;
  readonly choice: string;
  /** Milliseconds. */
  readonly duration: number;
  readonly gates: FeatureGates;
  readonly ignored: string;
  readonly int: number;
  readonly list: readonly string[];
  readonly origins: readonly string[];
  readonly set: readonly string[];
  readonly string: string;
  readonly uint: number;
  readonly uint32: number;
  readonly urls: readonly MemberUrl[];
}

export type FlagValue<Name extends FlagName> = ValueOfKind[(typeof flags)[Name]["kind"]];

const integerRanges = {
  int: { lo: -(2n ** 63n), hi: 2n ** 63n - 1n },
  uint: { lo: 0n, hi: 2n ** 64n - 1n },
  uint32: { lo: 0n, hi: 2n ** 32n - 1n },
};

/** Reads a flag's text. The error is what Go's flag package prints after the colon. */
export function parseFlagText(spec: FlagSpec, text: string): Parsed<ValueOfKind[FlagKind]> {
  switch (spec.kind) {
    case "string":
    case "ignored":
      return accepted(text);
    case "bool":
      return parsedOr(parseBool(text), "parse error");
    case "duration":
      return parsedOr(parseDuration(text), "parse error");
    case "choice":
      return spec.choices?.includes(text) === true ? accepted(text) : refused("invalid value");
    case "int":
    case "uint":
    case "uint32":
      return parseIntegerText(text, integerRanges[spec.kind]);
    case "list":
      return accepted(splitList(text));
    case "set":
      return accepted([...new Set(splitList(text))].sort());
    case "urls":
      return text === "" ? accepted([]) : parseUrlList(text);
    case "origins":
      return parseOrigins(text);
    case "gates":
      return parseFeatureGates(text);
  }
}

/** One value for every flag: the default, until it is set from somewhere. */
export class FlagValues {
  readonly #values = new Map<FlagName, ValueOfKind[FlagKind]>();
  readonly #set = new Set<FlagName>();

  get<Name extends FlagName>(name: Name): FlagValue<Name> {
    // The setters keep what the flag's kind says, which the map's type cannot express.
    return (this.#values.get(name) ?? defaultValues.get(name)) as FlagValue<Name>;
  }

  /** True when the flag was set, be it to its default. */
  isSet(name: FlagName): boolean {
    return this.#set.has(name);
  }

  /** Reads and keeps a flag's text; returns what is wrong with it, if anything. An empty URL list keeps the default. */
  setText(name: FlagName, text: string): string | undefined {
    const result = parseFlagText(flagTable[name], text);
    if (result.kind === "refused") return result.error;
    this.#set.add(name);
    if (text !== "" || flagTable[name].kind !== "urls") this.#values.set(name, result.value);
    return undefined;
  }

  /** For a flag of kind `duration`. */
  setDuration(name: FlagName, ms: number): void {
    this.#keep(name, ms);
  }

  /** For a flag of kind `list` or `set`. */
  setList(name: FlagName, items: readonly string[]): void {
    this.#keep(name, flagTable[name].kind === "set" ? [...new Set(items)].sort() : [...items]);
  }

  #keep(name: FlagName, value: ValueOfKind[FlagKind]): void {
    this.#set.add(name);
    this.#values.set(name, value);
  }
}

const defaultValues: ReadonlyMap<FlagName, ValueOfKind[FlagKind]> = new Map(
  flagNames.map((name) => {
    const result = parseFlagText(flagTable[name], flagTable[name].default);
    assert(result.kind === "ok", `the default of --${name} can be read`);
    return [name, result.value];
  }),
);

function splitList(text: string): string[] {
  return text === "" ? [] : text.split(",");
}

function parsedOr<Value>(value: Value | undefined, error: string): Parsed<Value> {
  return value === undefined ? refused(error) : accepted(value);
}

function parseIntegerText(text: string, range: { readonly lo: bigint; readonly hi: bigint }): Parsed<number> {
  const result = parseInteger(text, range);
  switch (result.kind) {
    case "integer":
      return accepted(result.value);
    case "syntax":
      return refused("parse error");
    case "range":
      return refused("value out of range");
  }
}

function parseOrigins(text: string): Parsed<readonly string[]> {
  const origins = new Set<string>();
  for (const part of splitList(text)) {
    if (part === "*") {
      origins.add(part);
      continue;
    }
    const url = parseUrl(part);
    if (url.kind === "invalid") return refused(url.message);
    origins.add(url.url.text);
  }
  return accepted([...origins].sort());
}
