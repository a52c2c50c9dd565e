/**
 * Golden scripts: commands and, after each, the output that is expected of it. The language is that of Go's datadriven
 * tests:
 *
 * ```
 * # a comment
 * command argument key=value key=(value,value) \
 *   more arguments
 * input line
 * ----
 * expected output, up to the next blank line
 * ```
 *
 * Output with blank lines stands between two pairs of `----` lines.
 */

/** An argument: `key`, `key=value` or `key=(value,value)`. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** One command of a script. */
export interface Command {
  readonly name: string;
  readonly args: readonly Argument[];
  /** The lines between the command and its `----`, trimmed. */
  readonly input: string;
}

interface Case {
  readonly kind: "case";
  readonly command: Command;
  /** The command and its input as written. */
  readonly source: readonly string[];
  readonly expected: string;
  /** Line number of the command, from 1. */
  readonly line: number;
}

interface Text {
  readonly kind: "text";
  readonly lines: readonly string[];
}

/** A script that cannot be read. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** A command whose output was not what the script says. */
export interface Mismatch {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

export interface ScriptResult {
  /** How many commands ran. */
  readonly commands: number;
  readonly mismatches: readonly Mismatch[];
  /** The script with the actual outputs in place of the expected ones. */
  readonly rewritten: string;
}

/** Runs every command of `script` through `handle`. Throws `ScriptError` if the script cannot be read. */
export function runScript(script: string, handle: (command: Command) => string): ScriptResult {
  const mismatches: Mismatch[] = [];
  const rewritten: string[] = [];
  let commands = 0;
  for (const part of parse(script)) {
    if (part.kind === "text") {
      rewritten.push(...part.lines);
      continue;
    }
    commands++;
    const output = handle(part.command);
    const actual = output === "" || output.endsWith("\n") ? output : `${output}\n`;
    if (actual !== part.expected) {
      mismatches.push({ line: part.line, command: part.source.join("\n"), expected: part.expected, actual });
    }
    rewritten.push(...part.source, "----", ...wrapped(actual));
  }
  return { commands, mismatches, rewritten: `${rewritten.join("\n")}\n` };
}

function wrapped(output: string): string[] {
  if (output === "") return [];
  const lines = output.slice(0, -1).split("\n");
  return lines.includes("") || lines[0] === "----" ? ["----", ...lines, "----", "----"] : lines;
}

function parse(script: string): (Case | Text)[] {
  const lines = script.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const parts: (Case | Text)[] = [];
  let position = 0;
  while (position < lines.length) {
    const line = lines[position] as string;
    if (line.trim() === "" || line.startsWith("#")) {
      parts.push({ kind: "text", lines: [line] });
      position++;
      continue;
    }
    const start = position;
    let directive = line;
    while (directive.endsWith("\\")) {
      position++;
      directive = `${directive.slice(0, -1)} ${lines[position] ?? ""}`;
    }
    position++;
    const inputStart = position;
    while (lines[position] !== "----") {
      if (position >= lines.length) throw new ScriptError(`line ${start + 1}: no ---- after the command`);
      position++;
    }
    const input = lines.slice(inputStart, position).join("\n").trim();
    const source = lines.slice(start, position);
    position++;
    const expected: string[] = [];
    if (lines[position] === "----") {
      position++;
      while (!(lines[position] === "----" && lines[position + 1] === "----")) {
        if (position >= lines.length) throw new ScriptError(`line ${start + 1}: no closing ---- ----`);
        expected.push(lines[position++] as string);
      }
      position += 2;
    } else {
      while (position < lines.length && (lines[position] as string).trim() !== "") {
        expected.push(lines[position++] as string);
      }
    }
    parts.push({
      kind: "case",
      command: { ...parseDirective(directive), input },
      source,
      expected: expected.map((one) => `${one}\n`).join(""),
      line: start + 1,
    });
  }
  return parts;
}

function parseDirective(directive: string): { readonly name: string; readonly args: readonly Argument[] } {
  const [name = "", ...tokens] = directive.match(/[^\s=(]+=\([^)]*\)|\S+/g) ?? [];
  return { name, args: tokens.map(parseArgument) };
}

function parseArgument(token: string): Argument {
  const equals = token.indexOf("=");
  if (equals < 0) return { key: token, values: [] };
  const key = token.slice(0, equals);
  const value = token.slice(equals + 1);
  if (!value.startsWith("(")) return { key, values: [value] };
  const list = value.slice(1, -1).trim();
  return { key, values: list === "" ? [] : list.split(",").map((item) => item.trim()) };
}

/** The values of the argument `key`; undefined if it is absent. */
export function argumentValues(command: Command, key: string): readonly string[] | undefined {
  return command.args.find((arg) => arg.key === key)?.values;
}

/** A readable account of a mismatch: lines that agree, `-` lines that were expected, `+` lines that came. */
export function describeMismatch(mismatch: Mismatch): string {
  const expected = mismatch.expected.split("\n");
  const actual = mismatch.actual.split("\n");
  let same = 0;
  while (same < expected.length && same < actual.length && expected[same] === actual[same]) same++;
  let tail = 0;
  while (
    tail < Math.min(expected.length, actual.length) - same &&
    expected[expected.length - 1 - tail] === actual[actual.length - 1 - tail]
  ) {
    tail++;
  }
  const shown = [
    ...expected.slice(Math.max(0, same - 3), same).map((line) => `   ${line}`),
    ...expected.slice(same, expected.length - tail).map((line) => ` - ${line}`),
    ...actual.slice(same, actual.length - tail).map((line) => ` + ${line}`),
    ...actual.slice(actual.length - tail, actual.length - tail + 3).map((line) => `   ${line}`),
  ];
  return `line ${mismatch.line}: ${mismatch.command}\n${shown.join("\n")}\n`;
}
