/**
 * The hash of `Maintenance.Hash`: every row of every bucket, except what differs between members. It is made in slices
 * over one pinned read, so that it is that of one moment. Source: server/storage/backend/backend.go Hash.
 */

import { bytesFromLatin1, latin1FromBytes } from "@etcd-ts/api";
import type { PinnedDatabase } from "../backend/database.js";
import type { Clock, Digest } from "../env.js";
import { timeSlices, whenDone } from "../slices.js";
import { Pin } from "./pin.js";
import { PinnedRows } from "./pinned-rows.js";

/** Rows of `meta` that are left out. Source: server/storage/schema/schema.go `DefaultIgnores`. */
const metaKeysNotHashed: ReadonlySet<string> = new Set(["consistent_index", "storageVersion", "term"]);

/** Takes over `pinned`, and releases it. Rejects with `ImageAbortedError` when it must end early. */
export async function hashDatabase(
  env: { readonly clock: Clock; readonly digest: Digest },
  pinned: PinnedDatabase,
  aborted: AbortSignal,
): Promise<number> {
  const pin = new Pin(env.clock, pinned, aborted);
  try {
    const slice = timeSlices(env.clock, hashTask(new PinnedRows(pinned), env.digest));
    return await whenDone(env.clock, () => {
      pin.check();
      return slice();
    });
  } finally {
    pin.release();
  }
}

function* hashTask(rows: PinnedRows, { crc32c }: Digest): Generator<undefined, number, undefined> {
  let crc = 0;
  for (const bucket of rows.names) {
    crc = crc32c(crc, bytesFromLatin1(bucket));
    yield* rows.visit(bucket, (key, value) => {
      if (bucket === "meta" && metaKeysNotHashed.has(latin1FromBytes(key))) return;
      crc = crc32c(crc32c(crc, key), value);
    });
  }
  return crc;
}
