/** Bytes as text of one character each, as facts hold them. */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";

/** Longer ones are converted by Node, into one flat string. */
const shortMax = 64;

export function textOf(bytes: Uint8Array): string {
  if (bytes.length <= shortMax) return latin1FromBytes(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

export function bytesOf(text: string): Uint8Array {
  if (text.length <= shortMax) return bytesFromLatin1(text);
  const { buffer, byteOffset, length } = Buffer.from(text, "latin1");
  return new Uint8Array(buffer, byteOffset, length);
}
