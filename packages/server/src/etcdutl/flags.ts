/** The command line of etcdutl: words and flags, as cobra reads them. */

/** How each flag is written: with a value or without. */
export type FlagKinds = Readonly<Record<string, "text" | "boolean">>;

export interface CommandLine {
  readonly words: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
}

/** A mistake of whoever typed it; `exitCode` is etcdutl's. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

const shorthands: Readonly<Record<string, string>> = { "-w": "--write-out", "-h": "--help" };

export function parseCommandLine(argv: readonly string[], kinds: FlagKinds): CommandLine {
  const words: string[] = [];
  const flags = new Map<string, string>();
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      words.push(...rest);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const equals = word.indexOf("=");
    const written = equals < 0 ? word : word.slice(0, equals);
    const name = (shorthands[written] ?? written).replace(/^--/, "");
    const kind = kinds[name];
    if (kind === undefined) throw new UsageError(`unknown flag: ${written}`, 1);
    if (equals >= 0) flags.set(name, word.slice(equals + 1));
    else if (kind === "boolean") flags.set(name, "true");
    else {
      const value = rest.shift();
      if (value === undefined) throw new UsageError(`flag needs an argument: ${written}`, 1);
      flags.set(name, value);
    }
  }
  return { words, flags };
}
