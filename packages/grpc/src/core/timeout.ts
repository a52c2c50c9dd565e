/** The grpc-timeout header. Source: gRPC over HTTP/2, "Timeout". */

const unitMs: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Milliseconds of a timeout, or what is wrong with it, in grpc-go's words. */
export function decodeTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${quote(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${quote(text)}`;
  const unit = unitMs.get(text.slice(-1));
  if (unit === undefined) return `transport: timeout unit is not recognized: ${quote(text)}`;
  const digits = text.slice(0, -1);
  if (!/^[0-9]+$/.test(digits)) return `strconv.ParseUint: parsing ${quote(digits)}: invalid syntax`;
  return Number(digits) * unit;
}

/** The shortest exact form, rounded up: a deadline must not come early. */
export function encodeTimeout(timeoutMs: number): string {
  if (timeoutMs <= 0) return "0n";
  for (const [unit, size] of [...unitMs].reverse()) {
    const count = Math.ceil(timeoutMs / size);
    if (count < 1e8) return `${count}${unit}`;
  }
  return "99999999H";
}

/** As Go's %q, for the characters a header value may have. */
export function quote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character === '"' || character === "\\") quoted += `\\${character}`;
    else if (code === 9) quoted += "\\t";
    else if (code < 0x20 || code >= 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += character;
  }
  return `${quoted}"`;
}
