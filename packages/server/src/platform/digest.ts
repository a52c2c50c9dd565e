import { createHash } from "node:crypto";
import { crc32c } from "@etcd-ts/api";
import { crc32c as nativeCrc32c } from "@node-rs/crc32";
import type { Digest } from "../env.js";

/** Below this the call into native code costs more than it saves. */
const nativeCrcBytesMin = 400;

/** Checksums: OpenSSL's, and crc32c by the processor's instruction where that is faster. */
export const nodeDigest: Digest = {
  sha1: (bytes: Uint8Array) => new Uint8Array(createHash("sha1").update(bytes).digest()),
  sha256: (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest()),
  startSha256: () => {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), finish: () => new Uint8Array(hash.digest()) };
  },
  crc32c: (crc: number, bytes: Uint8Array, start = 0, end = bytes.length) =>
    end - start < nativeCrcBytesMin ? crc32c(crc, bytes, start, end) : nativeCrc32c(bytes.subarray(start, end), crc),
};
