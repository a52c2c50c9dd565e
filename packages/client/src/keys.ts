/** Keys, values and ranges as users write them. Source: etcd client/v3/op.go. */

import { prefixRangeEnd, zeroByte } from "@etcd-ts/api";

/** Text is sent as UTF-8. Bytes must not change until the call has ended: a retry sends them again. */
export type Bytes = string | Uint8Array;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function toBytes(bytes: Bytes): Uint8Array {
  if (typeof bytes === "string") return encoder.encode(bytes);
  // A Buffer is a Uint8Array whose slice() is no copy: nothing below may meet one.
  const { buffer, byteOffset, length } = bytes;
  return Buffer.isBuffer(bytes) ? new Uint8Array(buffer, byteOffset, length) : bytes;
}

/** Bytes as UTF-8 text; what is none becomes U+FFFD. */
export function toText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Which keys are meant besides the one key. At most one of the fields. */
export interface RangeOptions {
  /** All keys that start with the key; with the empty key, all keys. */
  readonly prefix?: boolean | undefined;
  /** All keys from the key on. */
  readonly fromKey?: boolean | undefined;
  /** All keys from the key on that are below this one. */
  readonly rangeEnd?: Bytes | undefined;
}

export interface WireRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

const emptyBytes = new Uint8Array(0);

/** The range as requests carry it. Throws RangeError when more than one of the options is given. */
export function wireRange(key: Bytes, { prefix, fromKey, rangeEnd }: RangeOptions = {}): WireRange {
  const bytes = toBytes(key);
  if (Number(prefix === true) + Number(fromKey === true) + Number(rangeEnd !== undefined) > 1) {
    throw new RangeError("at most one of prefix, fromKey and rangeEnd may be given");
  }
  if (prefix === true) {
    if (bytes.length === 0) return { key: zeroByte, rangeEnd: zeroByte };
    return { key: bytes, rangeEnd: prefixRangeEnd(bytes) };
  }
  if (fromKey === true) return { key: bytes.length === 0 ? zeroByte : bytes, rangeEnd: zeroByte };
  return { key: bytes, rangeEnd: rangeEnd === undefined ? emptyBytes : toBytes(rangeEnd) };
}
