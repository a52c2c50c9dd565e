/**
 * Strings and bytes without the platform's TextEncoder: header fields are latin1 strings (one character, one byte), and
 * only status messages are real text.
 */

/** Copies an ASCII or latin1 string into `target`; characters above U+00FF lose their high byte. Returns the end. */
export function writeLatin1(target: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
  return at + text.length;
}

export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeLatin1(bytes, 0, text);
  return bytes;
}

/** Arguments of one `fromCharCode` call; engines limit them. */
const sliceCharacters = 4096;

/** The string whose characters are the bytes `start..end`. */
export function latin1String(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= sliceCharacters) {
    return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
  }
  let text = "";
  for (let at = start; at < end; at += sliceCharacters) {
    text += String.fromCharCode.apply(
      null,
      bytes.subarray(at, Math.min(end, at + sliceCharacters)) as unknown as number[],
    );
  }
  return text;
}

/** UTF-8 of a string; lone surrogates become U+FFFD. */
export function utf8Bytes(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    let code = character.codePointAt(0) ?? 0xfffd;
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x1_0000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else {
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return bytes;
}

/** Text of UTF-8 bytes; every byte that does not belong to a valid sequence becomes U+FFFD. */
export function utf8String(bytes: ArrayLike<number>): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    let code = size === 1 ? first : first & (0x7f >> size);
    let valid = size > 0 && at + size <= bytes.length;
    for (let i = 1; valid && i < size; i++) {
      const next = bytes[at + i] as number;
      valid = (next & 0xc0) === 0x80;
      code = (code << 6) | (next & 0x3f);
    }
    if (valid && size === 3) valid = code >= 0x800 && (code < 0xd800 || code > 0xdfff);
    if (valid && size === 4) valid = code >= 0x1_0000 && code <= 0x10_ffff;
    text += valid ? String.fromCodePoint(code) : "\ufffd";
    at += valid ? size : 1;
  }
  return text;
}

const hexDigits = "0123456789ABCDEF";

/** Percent-encodes a status message. Source: gRPC over HTTP/2, "Percent-Encoded". */
export function percentEncode(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let text = "";
  for (const byte of utf8Bytes(message)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) text += String.fromCharCode(byte);
    else text += `%${hexDigits[byte >> 4]}${hexDigits[byte & 15]}`;
  }
  return text;
}

/** Undoes `percentEncode`. Wrong escapes are kept as they are: an unreadable message must not hide the status. */
export function percentDecode(text: string): string {
  if (!/[%\u0080-\u00ff]/.test(text)) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const digits = text.charCodeAt(i) === 0x25 ? text.slice(i + 1, i + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      i += 2;
    } else bytes.push(text.charCodeAt(i) & 0xff);
  }
  return utf8String(bytes);
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 without padding, as binary metadata is sent. */
export function base64Encode(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += `${base64Digits[group >> 18]}${base64Digits[(group >> 12) & 63]}`;
    if (left > 1) text += base64Digits[(group >> 6) & 63];
    if (left > 2) text += base64Digits[group & 63];
  }
  return text;
}

/** Bytes of base64 with or without padding; undefined when it is not base64. */
export function base64Decode(text: string): Uint8Array | undefined {
  const digits = text.length % 4 === 0 ? text.replace(/={1,2}$/, "") : text;
  if (digits.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let group = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < digits.length; i++) {
    const value = base64Digits.indexOf(digits.charAt(i));
    if (value < 0) return undefined;
    group = ((group << 6) | value) & 0xfff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (group >> bits) & 0xff;
    }
  }
  return bytes;
}
