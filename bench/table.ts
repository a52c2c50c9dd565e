/** The result table of the benchmark. */

export interface Figures {
  /** Calls or events per second, milliseconds or bytes, as the row says. */
  readonly value: number;
  readonly cpuSecondsPer100k?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly rssBytes?: number;
  /** Processor time of the load generator a call. */
  readonly generatorCpuUs?: number;
}

export interface Line {
  readonly name: string;
  readonly unit: "/s" | "ms" | "MB" | "s";
  readonly ours: Figures;
  readonly peer: Figures;
  readonly ratio: number;
  readonly target: number;
  /** Whether a lower ratio is the better one. */
  readonly lessIsBetter: boolean;
  /** The generator's own rate against the null server; it must be twice the rate measured. */
  readonly ceiling?: number;
  /** How late our server's event loop was since it started, its 99.9th percentile. */
  readonly stallMs?: number;
}

/** No load may hold up the event loop for longer, but once in a thousand looks. */
const stallMsMax = 50;

/** Whether the event loop came in time. */
export function isCalm({ stallMs }: Line): boolean {
  return stallMs === undefined || stallMs < stallMsMax;
}

/** Whether the target is met. */
export function isMet(line: Line): boolean {
  return line.lessIsBetter ? line.ratio <= line.target : line.ratio >= line.target;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (upper + lower) / 2;
}

const titles = [
  [
    "",
    "ours",
    "peer",
    "ratio",
    "target",
    "",
    "CPU s/100 k",
    "",
    "p50 ms",
    "",
    "p99 ms",
    "",
    "RSS MB",
    "",
    "generator",
    "ceiling",
    "loop late",
  ],
  [
    ...["", "", "", "", "", "", "ours", "peer", "ours", "peer", "ours", "peer", "ours", "peer"],
    ...["CPU µs", "÷ fastest", "p99.9 ms"],
  ],
];

/** Renders the lines as columns aligned with blanks. */
export function renderTable(lines: readonly Line[]): string {
  const rows = [...titles, ...lines.map(cells)];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))))
    .map((row) => row.join("  ").trimEnd())
    .join("\n");
}

function cells(line: Line): string[] {
  const { ours, peer } = line;
  const headroom = line.ceiling === undefined ? undefined : line.ceiling / Math.max(ours.value, peer.value);
  return [
    line.name,
    `${figure(ours.value)} ${line.unit}`,
    `${figure(peer.value)} ${line.unit}`,
    line.ratio.toFixed(2),
    `${line.lessIsBetter ? "≤" : "≥"} ${line.target}`,
    isMet(line) ? "" : "missed",
    ...[ours.cpuSecondsPer100k, peer.cpuSecondsPer100k].map((value) => optional(value, 2)),
    ...[ours.p50Ms, peer.p50Ms].map((value) => optional(value, 2)),
    ...[ours.p99Ms, peer.p99Ms].map((value) => optional(value, 2)),
    ...[ours.rssBytes, peer.rssBytes].map((value) => optional(value === undefined ? undefined : value / 2 ** 20, 0)),
    optional(ours.generatorCpuUs, 2),
    headroom === undefined ? "" : `${headroom.toFixed(1)}${headroom < 2 ? " (low)" : ""}`,
    line.stallMs === undefined ? "" : `${line.stallMs.toFixed(1)}${isCalm(line) ? "" : " (high)"}`,
  ];
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US").replaceAll(",", " ") : value.toPrecision(3);
}

function optional(value: number | undefined, decimals: number): string {
  return value === undefined ? "" : value.toFixed(decimals);
}
