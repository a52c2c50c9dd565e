/** Base64 without Buffer and btoa, which the pure zone does not have. Source: RFC 4648. */

const standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const invalid = 0xff;
const standardValues: Uint8Array = valuesOf(standard);
const urlValues: Uint8Array = valuesOf(`${standard.slice(0, 62)}-_`);

function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(invalid);
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
}

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  let i = 0;
  for (; i + 2 < bytes.length; i += 3) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    text += digit(group >> 18) + digit(group >> 12) + digit(group >> 6) + digit(group);
  }
  const rest = bytes.length - i;
  if (rest === 1) {
    const group = (bytes[i] as number) << 16;
    text += `${digit(group >> 18)}${digit(group >> 12)}==`;
  } else if (rest === 2) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8);
    text += `${digit(group >> 18)}${digit(group >> 12)}${digit(group >> 6)}=`;
  }
  return text;
}

function digit(value: number): string {
  return standard.charAt(value & 63);
}

/**
 * The bytes of a base64 text, or undefined when it is none. Takes either alphabet, but not both at once; padding in
 * full or, when the length is no multiple of four, not at all; and skips line breaks. That is what Go's protojson
 * takes.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const values = /[-_]/.test(text) ? urlValues : standardValues;
  const padded = text.length % 4 === 0;
  const digits = text.replace(/[\r\n]/g, "");
  const end = padded ? digits.length - paddingOf(digits) : digits.length;
  if (padded ? digits.length % 4 !== 0 : end % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((end * 3) / 4));
  let at = 0;
  let bits = 0;
  let count = 0;
  for (let i = 0; i < end; i++) {
    const value = values[digits.charCodeAt(i)] ?? invalid;
    if (value === invalid) return undefined;
    bits = ((bits << 6) | value) & 0xff_ffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = bits >> count;
    }
  }
  return bytes;
}

function paddingOf(digits: string): number {
  if (digits.endsWith("==")) return 2;
  return digits.endsWith("=") ? 1 : 0;
}
