/** How results are written: simple, table, json, fields. Source: etcd etcdutl/etcdutl/printer*.go. */

import { UsageError } from "./flags.js";

export interface Result {
  /** Column heads of the table. */
  readonly heads: readonly string[];
  /** The only row, as the simple form and the table show it. */
  readonly row: readonly string[];
  readonly json: Readonly<Record<string, string | number>>;
  /** Lines of the form `"Name" : value`. */
  readonly fields: readonly (readonly [name: string, value: string | number])[];
}

export function format(result: Result, form: string): string {
  switch (form) {
    case "simple":
      return `${result.row.join(", ")}\n`;
    case "json":
      return `${JSON.stringify(result.json)}\n`;
    case "fields":
      return result.fields.map(([name, value]) => `"${name}" : ${value}\n`).join("");
    case "table":
      return table(result.heads, result.row);
    default:
      throw new UsageError("unsupported output format", 4);
  }
}

function table(heads: readonly string[], row: readonly string[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, row[i]?.length ?? 0) + 2);
  const line = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => "─".repeat(width)).join(middle)}${right}\n`;
  const cells = (texts: readonly string[]): string => `│${texts.join("│")}│\n`;
  const centred = heads.map((head, i) => {
    const room = (widths[i] ?? 0) - head.length;
    return " ".repeat(Math.floor(room / 2)) + head + " ".repeat(Math.ceil(room / 2));
  });
  const right = row.map((cell, i) => `${cell.padStart((widths[i] ?? 0) - 1)} `);
  return line("┌", "┬", "┐") + cells(centred) + line("├", "┼", "┤") + cells(right) + line("└", "┴", "┘");
}

/** As Go's humanize prints bytes: three digits at most, powers of 1000. */
export function humanBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  if (bytes < 10) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toString()} ${units[power]}`;
}
