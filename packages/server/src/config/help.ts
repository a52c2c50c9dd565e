/** The texts of `etcd --help`, of a wrong command line and of `etcd --version`. */

import { featureGateTable } from "./feature-gates.js";
import { flagNames, flagTable, helpGroups } from "./flags.js";

export function usageText(): string {
  return `Usage:

  etcd [flags]
    Start a member.

  etcd --version
    Print the version.

  etcd -h | --help
    Print this help.

  etcd --config-file PATH
    Start a member from a configuration file. All other flags and ETCD_* variables are then ignored.
    Durations in the file are whole nanoseconds (600000000000 for 10m); --heartbeat-interval and
    --election-timeout are milliseconds there too.
`;
}

export function helpText(): string {
  const groups = helpGroups.map((group) => {
    const names = flagNames.filter((name) => flagTable[name].group === group);
    return `${group}:\n${names.map(flagHelp).join("")}`;
  });
  const caution =
    "CAUTION: the unsafe flags may break the guarantees of consensus; data acknowledged to clients may be lost.\n";
  return `${usageText()}\n${groups.join("\n")}\n${caution}`;
}

function flagHelp(name: (typeof flagNames)[number]): string {
  const { default: defaultText, help, kind, support } = flagTable[name];
  const notes = { full: "", inert: " (no effect)", planned: " (not supported yet)" };
  const gates = kind === "gates" ? gatesHelp() : "";
  return `  --${name} '${defaultText}'\n    ${help}${notes[support]}\n${gates}`;
}

function gatesHelp(): string {
  return Object.entries(featureGateTable)
    .map(([gate, spec]) => `      ${gate}=true|false (${spec.stage} - default=${spec.default}): ${spec.help}\n`)
    .join("");
}

export interface BuildFacts {
  /** The etcd version that is spoken, e.g. `3.7.3`. */
  readonly version: string;
  readonly gitSha: string | undefined;
  /** As `process.version`, `process.platform` and `process.arch` give them. */
  readonly nodeVersion: string;
  readonly platform: string;
  readonly architecture: string;
}

const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** Four lines with etcd's names, since scripts read them. */
export function versionText(facts: BuildFacts): string {
  const architecture = goArchitectures[facts.architecture] ?? facts.architecture;
  return `etcd Version: ${facts.version}
Git SHA: ${facts.gitSha ?? "Not provided"}
Go Version: none (node ${facts.nodeVersion})
Go OS/Arch: ${facts.platform}/${architecture}
`;
}
