/** Help and usage, laid out as etcdctl's. Source: its output. */

import type { Command } from "./command.js";
import { type FlagSpec, typeNames } from "./flags.js";

const optionsHint = 'Use "etcdctl options" for a list of global command-line options (applies to all commands).\n';

/** Names of commands are padded to this width. */
const nameWidth = 11;

/** The usage that follows a flag error. `path` is the command with those above it. */
export function usageText(command: Command, path: readonly string[]): string {
  const name = path.join(" ");
  const words = command.usage === undefined ? name : `${name} ${command.usage}`;
  return `Usage:\n  ${words}${command.run === undefined ? "" : " [flags]"}\n\nFlags:\n${flagLines(flagsOf(command))}\n`;
}

export function helpText(command: Command, path: readonly string[]): string {
  const name = path.join(" ");
  if (command.commands === undefined) {
    return `${command.short}\n\n${usageText(command, path).replace(/\n$/, "")}${optionsHint}`;
  }
  const groups = new Map<string, Command[]>();
  for (const child of command.commands) {
    const group = child.group ?? "Available Commands:";
    groups.set(group, [...(groups.get(group) ?? []), child]);
  }
  const lists = [...groups].map(([group, children]) => `${group}\n${children.map(commandLine).join("")}`);
  const flags = path.length === 1 ? "" : `Flags:\n${flagLines(flagsOf(command))}\n`;
  return [
    `${command.short}\n\nUsage:\n  ${name} [command]\n\n${lists.join("\n")}\n`,
    flags,
    `Use "${name} [command] --help" for more information about a command.\n`,
    optionsHint,
  ].join("");
}

function commandLine({ name, short }: Command): string {
  return `  ${name.padEnd(nameWidth)} ${short}\n`;
}

function flagsOf(command: Command): readonly FlagSpec[] {
  const help: FlagSpec = { name: "help", short: "h", type: "bool", default: "false", help: `help for ${command.name}` };
  return [...(command.flags ?? []), help];
}

/** One line for each flag, by name. Source: pflag FlagUsages. */
export function flagLines(specs: readonly FlagSpec[]): string {
  const lines = specs
    .filter(({ hidden }) => hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => {
      const short = spec.short === undefined ? "    " : `-${spec.short}, `;
      const type = typeNames[spec.type];
      return { left: `  ${short}--${spec.name}${type === "" ? "" : ` ${type}`}`, right: spec.help + defaultOf(spec) };
    });
  const width = Math.max(...lines.map(({ left }) => left.length));
  return lines.map(({ left, right }) => `${left.padEnd(width)}   ${right}\n`).join("");
}

function defaultOf({ type, default: value }: FlagSpec): string {
  switch (type) {
    case "bool":
      return value === "true" ? " (default true)" : "";
    case "string":
      return value === "" ? "" : ` (default "${value}")`;
    case "strings":
      return value === "" ? "" : ` (default [${value}])`;
    case "int":
    case "uint":
    case "int64":
      return value === "0" ? "" : ` (default ${value})`;
    case "duration":
      return ` (default ${value})`;
  }
}
