/**
 * Command-line flags as Go programs take them: anywhere among the arguments, `--name value` or `--name=value`, `-w
 * json` or `-wjson`, a bool without a value or as `--name=false`, nothing after `--`.
 *
 * Source: github.com/spf13/pflag, whose texts users meet. commander has no bools with values.
 */

import { parseBool, parseDurationMs, parseInt64, quote } from "./go-text.js";

export type FlagType = "bool" | "string" | "int" | "uint" | "int64" | "duration" | "strings";

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly type: FlagType;
  readonly default: string;
  readonly help: string;
  readonly hidden?: boolean;
}

/** What pflag calls the type in help. */
export const typeNames: Readonly<Record<FlagType, string>> = {
  bool: "",
  string: "string",
  int: "int",
  uint: "uint",
  int64: "int",
  duration: "duration",
  strings: "strings",
};

/** Refused flags: the command's usage is shown. */
export class FlagError extends Error {
  override readonly name = "FlagError";
}

/** `--help` was asked for. */
export class HelpRequest extends Error {
  override readonly name = "HelpRequest";
}

/** Values by flag name. */
export class FlagValues {
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #given: Map<string, string> = new Map();

  constructor(specs: readonly FlagSpec[]) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
  }

  /** Given on the command line, or by `set`. */
  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** Throws FlagError for a value that is not of the flag's type. */
  set(name: string, value: string): void {
    const spec = this.#spec(name);
    try {
      check(spec.type, value);
    } catch (error) {
      const shown = spec.short === undefined ? `--${name}` : `-${spec.short}, --${name}`;
      const why = error instanceof Error ? error.message : String(error);
      throw new FlagError(`invalid argument ${quote(value)} for ${quote(shown)} flag: ${why}`);
    }
    const before = this.#given.get(name);
    this.#given.set(name, spec.type === "strings" && before !== undefined ? `${before},${value}` : value);
  }

  string(name: string): string {
    return this.#given.get(name) ?? this.#spec(name).default;
  }

  bool(name: string): boolean {
    return parseBool(this.string(name));
  }

  number(name: string): number {
    return Number(parseInt64(this.string(name)));
  }

  durationMs(name: string): number {
    return parseDurationMs(this.string(name));
  }

  strings(name: string): readonly string[] {
    const text = this.string(name);
    return text === "" ? [] : text.split(",");
  }

  #spec(name: string): FlagSpec {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new Error(`no flag named ${name}`);
    return spec;
  }
}

function check(type: FlagType, value: string): void {
  switch (type) {
    case "bool":
      parseBool(value);
      return;
    case "int":
    case "int64":
    case "uint":
      parseInt64(value);
      return;
    case "duration":
      parseDurationMs(value);
      return;
    case "string":
    case "strings":
      return;
  }
}

export interface ParsedFlags {
  readonly values: FlagValues;
  readonly args: readonly string[];
  /** How many of `args` stood before `--`; undefined: there was none. */
  readonly argsBeforeDash: number | undefined;
}

/** Throws FlagError and HelpRequest. */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[]): ParsedFlags {
  const values = new FlagValues(specs);
  const args: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      const argsBeforeDash = args.length;
      args.push(...argv.slice(i + 1));
      return { values, args, argsBeforeDash };
    }
    if (arg.startsWith("--")) i += parseLong(specs, values, arg, argv[i + 1]);
    else if (arg.startsWith("-") && arg !== "-") i += parseShort(specs, values, arg, argv[i + 1]);
    else args.push(arg);
  }
  return { values, args, argsBeforeDash: undefined };
}

/** Both return how many of the following arguments were taken. */
function parseLong(specs: readonly FlagSpec[], values: FlagValues, arg: string, next: string | undefined): number {
  const [, name = "", value] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(arg) ?? [];
  if (name === "" || name.startsWith("-")) throw new FlagError(`bad flag syntax: ${arg}`);
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec === undefined) {
    if (name === "help") throw new HelpRequest();
    throw new FlagError(`unknown flag: --${name}`);
  }
  if (value !== undefined) values.set(name, value);
  else if (spec.type === "bool") values.set(name, "true");
  else if (next === undefined) throw new FlagError(`flag needs an argument: --${name}`);
  else {
    values.set(name, next);
    return 1;
  }
  return 0;
}

function parseShort(specs: readonly FlagSpec[], values: FlagValues, arg: string, next: string | undefined): number {
  for (let rest = arg.slice(1); rest !== ""; rest = rest.slice(1)) {
    const letter = rest.charAt(0);
    const spec = specs.find(({ short }) => short === letter);
    if (spec === undefined) {
      if (letter === "h") throw new HelpRequest();
      throw new FlagError(`unknown shorthand flag: ${quote(letter).replaceAll('"', "'")} in ${arg}`);
    }
    if (spec.type === "bool" && rest.charAt(1) !== "=") {
      values.set(spec.name, "true");
      continue;
    }
    if (rest.length > 1) {
      values.set(spec.name, rest.slice(rest.charAt(1) === "=" ? 2 : 1));
      return 0;
    }
    if (next === undefined)
      throw new FlagError(`flag needs an argument: ${quote(letter).replaceAll('"', "'")} in ${arg}`);
    values.set(spec.name, next);
    return 1;
  }
  return 0;
}
