/** What docs/configuration.md and docs/etcd.conf.yml say, read from the flag table. */

import { type FeatureGate, featureGateTable } from "../feature-gates.js";
import { environmentName, type FlagGroup, type FlagName, flagNames, flagTable, helpGroups } from "../flags.js";
import { parseDuration } from "../go-values.js";

const groups: readonly FlagGroup[] = ["General", ...helpGroups, "Ignored"];

export function configurationPage(): string {
  const sections = groups.map((group) => `## ${group}\n\n${groupTable(group)}`);
  return `# Configuration

A member is configured by flags, by variables or by a file, with etcd's names, defaults and rules.

- Flags are written as Go's: \`--name=value\` or \`--name value\`, with one or two dashes; switches take a value only with
  \`=\`. Lists are separated by commas.
- The variable of a flag is \`ETCD_\` and its name in upper case with \`_\` for \`-\`. An empty variable counts as unset. A flag
  wins over the default as a variable does; both together are refused.
- With \`--config-file\` (or \`ETCD_CONFIG_FILE\`) all other flags and variables are ignored. The file is YAML or JSON; keys are
  the flags' names, except where the tables say otherwise. [etcd.conf.yml](etcd.conf.yml) shows all of them.
- Durations are \`300ms\`, \`1h30m\` and so on; in the file they are whole nanoseconds. \`heartbeat-interval\` and
  \`election-timeout\` are milliseconds everywhere.
- A flag that cannot be read ends the program with code 2, a value that is refused with code 1.

**no effect** marks flags that are accepted because leaving them out endangers nothing; **not yet** those that are refused
when they are set to anything but their default. The corruption checks (feature gates \`InitialCorruptCheck\` and
\`CompactHashCheck\`) are on by default, unlike etcd's.

This page is made from the flag table: \`npx vitest run packages/server/src/config -u\` rewrites it.

${sections.join("\n")}
## Feature gates

${table(["gate", "stage", "default", "what it does"], Object.keys(featureGateTable).map(gateRow))}`;
}

function groupTable(group: FlagGroup): string {
  const names = flagNames.filter((name) => flagTable[name].group === group);
  return table(["flag", "default", "variable", "what it does"], names.map(flagRow));
}

function flagRow(name: FlagName): readonly string[] {
  const { default: defaultText, file, help, support } = flagTable[name];
  const mark = { full: "", inert: " **no effect**", planned: " **not yet**" }[support];
  const key = file === "" ? " Not in the file." : file === name ? "" : ` In the file: \`${file}\`.`;
  return [
    `\`--${name}\``,
    defaultText === "" ? "" : `\`${defaultText}\``,
    `\`${environmentName(name)}\``,
    `${help}${key}${mark}`,
  ];
}

function gateRow(name: string): readonly string[] {
  const { stage, default: on, help } = featureGateTable[name as FeatureGate];
  return [`\`${name}\``, stage, String(on), help];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}

/** Every key of the file with its default; those that have no effect are left out. */
export function sampleFile(): string {
  const names = flagNames.filter((name) => flagTable[name].file !== "" && flagTable[name].support !== "inert");
  const flat = names.filter((name) => !flagTable[name].file.includes("."));
  const nested = names.filter((name) => flagTable[name].file.includes("."));
  return `# Configuration of a member: start it with \`etcd --config-file etcd.conf.yml\`. All values are the defaults.
# Other flags and ETCD_* variables are ignored then. Durations are whole nanoseconds.

${flat.map((name) => entry(name, { key: flagTable[name].file, indent: "" })).join("\n")}
${blocks(nested).join("\n")}`;
}

function entry(name: FlagName, { key, indent }: { readonly key: string; readonly indent: string }): string {
  const { help, support } = flagTable[name];
  const note = support === "planned" ? " Not supported yet." : "";
  return `${indent}# ${help}${note}\n${indent}${key}:${value(name)}\n`;
}

function value(name: FlagName): string {
  const { default: text, fileSequence, kind } = flagTable[name];
  if (fileSequence === true) return ` ${JSON.stringify(text === "" ? [] : text.split(","))}`;
  switch (kind) {
    case "bool":
    case "int":
    case "uint":
    case "uint32":
      return ` ${text}`;
    case "duration":
      return ` ${(parseDuration(text) ?? 0) * 1e6}`;
    default:
      return text === "" ? "" : ` ${JSON.stringify(text)}`;
  }
}

/** Mappings, by their outermost key. Inner ones are written by their dotted names' parts. */
function blocks(names: readonly FlagName[]): readonly string[] {
  const lines: string[] = [];
  let open: readonly string[] = [];
  const sorted = [...names].sort((a, b) => (flagTable[a].file < flagTable[b].file ? -1 : 1));
  for (const name of sorted) {
    const path = flagTable[name].file.split(".");
    const parents = path.slice(0, -1);
    for (const [depth, parent] of parents.entries()) {
      if (open.slice(0, depth + 1).join(".") === parents.slice(0, depth + 1).join(".")) continue;
      lines.push(`${"  ".repeat(depth)}${parent}:`);
    }
    open = parents;
    lines.push(entry(name, { key: path.at(-1) ?? "", indent: "  ".repeat(parents.length) }));
  }
  return lines;
}
