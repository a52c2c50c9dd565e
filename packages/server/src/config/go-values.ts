/**
 * Go's text forms of numbers, booleans and durations, as its `strconv`, `flag` and `time` packages read them.
 * All parsers return undefined for text they do not accept.
 */

const unitsNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // U+00B5
  μs: 1e3, // U+03BC
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Largest duration Go can hold, 2^63 − 1 ns, in milliseconds. */
const durationMsMax = 2 ** 63 / 1e6;

/**
 * A duration such as `300ms`, `-1.5h` or `2h45m`, in milliseconds (fractional below one). `0` needs no unit.
 * Source: Go time.ParseDuration.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^([-+]?)(.+)$/s.exec(text);
  if (match === null) return undefined;
  const [, sign = "", rest = ""] = match;
  if (rest === "0") return 0;
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let ns = 0;
  for (const [, number = "", unit = ""] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    ns += Number(number) * (unitsNs[unit] ?? 0);
  }
  const ms = ns / 1e6;
  if (ms >= durationMsMax) return undefined;
  return sign === "-" ? -ms : ms;
}

/** What Go says of text that is no duration. */
export function durationError(text: string): string {
  const quoted = JSON.stringify(text);
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(text)
    ? `time: missing unit in duration ${quoted}`
    : `time: invalid duration ${quoted}`;
}

/** Go's form of a duration: `1m0s`, `300ms`, `1.5s`, `0s`. Source: Go time.Duration.String. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  const sign = ms < 0 ? "-" : "";
  const ns = Math.round(Math.abs(ms) * 1e6);
  if (ns < 1e3) return `${sign}${ns}ns`;
  if (ns < 1e6) return `${sign}${ns / 1e3}µs`;
  if (ns < 1e9) return `${sign}${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = `${(ns % 60e9) / 1e9}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

export type IntegerText =
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "syntax" }
  | { readonly kind: "range" };

const integerPattern = /^([-+]?)(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?[0-9])*)$/;

/**
 * An integer with the prefixes `0x`, `0b`, `0o` and `0`, and `_` between digits, within [lo, hi]. The result is
 * saturated at ±(2^53 − 1), which no limit of a member reaches. Source: Go strconv.ParseInt with base 0.
 */
export function parseInteger(text: string, { lo, hi }: { readonly lo: bigint; readonly hi: bigint }): IntegerText {
  const match = integerPattern.exec(text);
  if (match === null || (lo === 0n && match[1] !== "")) return { kind: "syntax" };
  const digits = (match[2] ?? "").replaceAll("_", "").replace(/^0(?=[0-7])/, "0o");
  const value = BigInt(digits) * (match[1] === "-" ? -1n : 1n);
  if (value < lo || value > hi) return { kind: "range" };
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  return { kind: "integer", value: Number(value > bound ? bound : value < -bound ? -bound : value) };
}

/** Source: Go strconv.ParseBool. */
export function parseBool(text: string): boolean | undefined {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return undefined;
}
