/**
 * How far the backend has come: the index and term of the last entry whose effects are in it. They are rows of `meta`,
 * written with every commit. Source: server/etcdserver/cindex.
 */

import { bytesFromLatin1 } from "@etcd-ts/api";
import { assert } from "../assert.js";
import type { Backend } from "../backend.js";

export interface Applied {
  /** 0 = no entry. */
  readonly index: number;
  readonly term: number;
}

const indexKey = bytesFromLatin1("consistent_index");
const termKey = bytesFromLatin1("term");

export function readApplied(backend: Backend): Applied {
  return { index: readNumber(backend, indexKey), term: readNumber(backend, termKey) };
}

function readNumber(backend: Backend, key: Uint8Array): number {
  const bytes = backend.get("meta", key);
  if (bytes === undefined) return 0;
  assert(bytes.length === 8, "a stored index or term has 8 bytes");
  const value = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0));
  assert(Number.isSafeInteger(value), "a stored index or term fits 53 bits");
  return value;
}
