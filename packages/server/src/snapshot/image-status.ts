/** What `etcdutl snapshot status` and `hashkv` say of an image. Source: etcd etcdutl/snapshot/v3_snapshot.go Status. */

import { decodeUtf8, latin1FromBytes } from "@etcd-ts/api";
import { decodeKeyValue } from "@etcd-ts/api/mvccpb";
import { type LeaseAttachments, MemoryBackend, Mvcc } from "@etcd-ts/store";
import { isTombstoneKey, readMain, readSub } from "../backend/revision-key.js";
import type { ImageReader } from "../bbolt/image-reader.js";
import type { Row } from "../bbolt/image-writer.js";
import type { Digest } from "../env.js";
import { type LoadableImage, openImage } from "./import-image.js";

export interface ImageStatus {
  /** CRC-32C of everything in it. */
  readonly hash: number;
  readonly revision: number;
  /** Keys that are not deleted. */
  readonly totalKey: number;
  readonly totalSize: number;
  /** `meta/storageVersion`; empty when not set. */
  readonly version: string;
}

/** Rejects with `ImageFormatError`. */
export async function imageStatus(image: LoadableImage, digest: Digest): Promise<ImageStatus> {
  const reader = await openImage(image);
  const live = new Set<string>();
  let hash = 0;
  let revision = 0;
  let version = "";
  for (const bucket of await bucketNamesOf(image, reader)) {
    hash = digest.crc32c(hash, new TextEncoder().encode(bucket));
    await eachRow(image, reader, bucket, (key, value) => {
      hash = digest.crc32c(digest.crc32c(hash, key), value);
      if (bucket === "key") {
        revision = readMain(key);
        const name = latin1FromBytes(decodeKeyValue(value).key);
        if (isTombstoneKey(key)) live.delete(name);
        else live.add(name);
      } else if (bucket === "meta" && latin1FromBytes(key) === "storageVersion") {
        version = decodeUtf8(value, 0, value.length) ?? "";
      }
    });
  }
  return { hash, revision, totalKey: live.size, totalSize: reader.sizeBytes, version };
}

export interface ImageHash {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

/** The hash of the key-value history up to `revision` (0 = the newest); a refusal's reason when that is not there. */
export async function imageHashKv(
  image: LoadableImage,
  digest: Digest,
  revision: number,
): Promise<ImageHash | "compacted" | "futureRev"> {
  const reader = await openImage(image);
  const backend = new MemoryBackend();
  await eachRow(image, reader, "key", (key, value) => {
    backend.putRecord(readMain(key), readSub(key), isTombstoneKey(key), value);
  });
  await eachRow(image, reader, "meta", (key, value) => backend.put("meta", key.slice(), value));
  const mvcc = new Mvcc({ backend, leases: noLeases, crc32c: digest.crc32c });
  mvcc.restore();
  const read = mvcc.startHash(revision);
  for (let result = read.step(sliceUnits); ; result = read.step(sliceUnits)) if (result !== undefined) return result;
}

const sliceUnits = 1_000_000;

/** Leases do not count in this hash. */
const noLeases: LeaseAttachments = { leaseOf: () => 0n, attach: () => true, detach: () => {} };

async function bucketNamesOf(image: LoadableImage, reader: ImageReader): Promise<string[]> {
  const task = reader.bucketNames();
  for (let step = task.next(); ; step = task.next()) {
    if (step.done === true) return step.value;
    await image.load();
  }
}

async function eachRow(
  image: LoadableImage,
  reader: ImageReader,
  bucket: string,
  visit: (...row: Row) => void,
): Promise<void> {
  for (const row of reader.rows(bucket)) {
    if (row === undefined) await image.load();
    else visit(...row);
  }
}
