/** Rows as the store writes them, for tests of whole databases. */

import { encodeUtf8 } from "@etcd-ts/api";
import { encodeKeyValue, type KeyValueInit, sizeKeyValue } from "@etcd-ts/api/mvccpb";

/** The record of a key that was put at `main` for the first time. */
export function recordOf(main: number, key: string, value: Uint8Array): Uint8Array {
  const kv: KeyValueInit = { key: encodeUtf8(key), createRevision: main, modRevision: main, version: 1, value };
  const record = new Uint8Array(sizeKeyValue(kv));
  encodeKeyValue(kv, record, 0);
  return record;
}
