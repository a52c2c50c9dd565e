/** Numbers, durations and quoted text as Go's standard library reads and writes them. */

/** Source: Go strconv.ParseInt; the error texts are shown to users. Throws SyntaxError. */
export function parseInt64(text: string, base: 10 | 16 = 10): bigint {
  const value = parseInteger("ParseInt", text, base, /^([+-]?)(.+)$/);
  if (value < -(2n ** 63n) || value >= 2n ** 63n) throw outOfRange("ParseInt", text);
  return value;
}

/** Source: Go strconv.ParseUint. Throws SyntaxError. */
export function parseUint64(text: string, base: 10 | 16 = 10): bigint {
  const value = parseInteger("ParseUint", text, base, /^()(.+)$/);
  if (value >= 2n ** 64n) throw outOfRange("ParseUint", text);
  return value;
}

function parseInteger(name: string, text: string, base: 10 | 16, form: RegExp): bigint {
  const [, sign, digits] = form.exec(text) ?? [];
  const isValid = base === 10 ? /^[0-9]+$/ : /^[0-9a-fA-F]+$/;
  if (digits === undefined || !isValid.test(digits)) {
    throw new SyntaxError(`strconv.${name}: parsing ${quote(text)}: invalid syntax`);
  }
  const value = BigInt(base === 10 ? digits : `0x${digits}`);
  return sign === "-" ? -value : value;
}

function outOfRange(name: string, text: string): SyntaxError {
  return new SyntaxError(`strconv.${name}: parsing ${quote(text)}: value out of range`);
}

/** Source: Go strconv.ParseBool. Throws SyntaxError. */
export function parseBool(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new SyntaxError(`strconv.ParseBool: parsing ${quote(text)}: invalid syntax`);
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration such as `1m30s`. Source: Go time.ParseDuration. Throws SyntaxError. */
export function parseDurationMs(text: string): number {
  const [, sign, rest] = /^([+-]?)(.*)$/.exec(text) ?? [];
  if (rest === "0") return 0;
  if (rest === undefined || rest === "") throw new SyntaxError(`time: invalid duration ${quote(text)}`);
  if (/^[0-9.]+$/.test(rest)) throw new SyntaxError(`time: missing unit in duration ${quote(text)}`);
  let total = 0;
  let length = 0;
  for (const [part, number, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(number) * (unitMs[unit ?? ""] ?? 0);
    length += part.length;
  }
  if (length !== rest.length) throw new SyntaxError(`time: invalid duration ${quote(text)}`);
  return sign === "-" ? -total : total;
}

/** A duration as Go prints one, e.g. `3.032674ms`. Source: Go time.Duration.String. */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return "0s";
  if (ns < 1_000) return `${ns}ns`;
  if (ns < 1_000_000) return `${trim(ns / 1e3)}µs`;
  if (ns < 1_000_000_000) return `${trim(ns / 1e6)}ms`;
  const seconds = ns / 1e9;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = `${trim(seconds % 60)}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

function trim(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/, "");
}

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** Text or bytes as a Go string literal. Source: Go strconv.Quote. */
export function quote(text: string | Uint8Array): string {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  let result = '"';
  for (let i = 0; i < bytes.length; ) {
    const length = runeLength(bytes, i);
    if (length === 0) {
      result += `\\x${hexByte(bytes[i] ?? 0)}`;
      i++;
      continue;
    }
    result += quoteRune(Buffer.from(bytes.subarray(i, i + length)).toString());
    i += length;
  }
  return `${result}"`;
}

function quoteRune(rune: string): string {
  const escaped = escapes[rune];
  if (escaped !== undefined) return escaped;
  const point = rune.codePointAt(0) ?? 0;
  if (rune === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(rune)) return rune;
  if (point < 0x20 || point === 0x7f) return `\\x${hexByte(point)}`;
  return point < 0x1_0000 ? `\\u${point.toString(16).padStart(4, "0")}` : `\\U${point.toString(16).padStart(8, "0")}`;
}

/** Bytes of the UTF-8 sequence at `at`; 0 = there is none. */
function runeLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  const sequence = bytes.subarray(at, at + length);
  return Buffer.compare(Buffer.from(Buffer.from(sequence).toString()), sequence) === 0 ? length : 0;
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** `\xNN` for every byte: what `--hex` prints. */
export function hexEscaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${hexByte(byte)}`).join("");
}

/** An id as etcdctl prints it: hexadecimal, unsigned. */
export function hexId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

/** Sizes such as `20 kB`. Source: github.com/dustin/go-humanize Bytes. */
export function humanBytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  if (size < 10) return `${size} B`;
  const power = Math.min(units.length - 1, Math.floor(Math.log10(size) / 3));
  const value = Math.floor((size / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : roundHalfToEven(value)} ${units[power]}`;
}

/** As Go's `%.0f`. */
function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
